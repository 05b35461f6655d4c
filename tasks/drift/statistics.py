"""Drift statistics: how far a window is from the reference. Bigger is always worse.

Each kind holds its settings and gives one number; where the window and the reference are exchangeable, so are their
rows, which is what `permutation_p_value` rests on.
"""

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tasks.drift.reference import Seen


class Statistic(BaseModel):
    """What all statistics share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 7


class EmbeddingDistance(Statistic):
    """Squared maximum mean discrepancy of mean token states, by random Fourier features of a Gaussian kernel.

    Gretton et al. 2012 (JMLR 13); features after Rahimi and Recht 2007; bandwidth by the median heuristic.
    """

    kind: Literal["embedding_distance"] = "embedding_distance"
    features: int = Field(512, ge=16)

    def draws(self, reference: Seen, window: Seen, membership: NDArray[np.float64]) -> NDArray[np.float64]:
        """The statistic for each row of `membership`."""
        from scipy.spatial.distance import pdist

        both = np.concatenate([reference.embeddings, window.embeddings]).astype(np.float64)
        random = np.random.default_rng(self.seed)
        some = both[random.choice(len(both), size=min(500, len(both)), replace=False)]
        squares = pdist(some, "sqeuclidean")
        bandwidth = np.sqrt(max(float(np.median(squares[squares > 0])) / 2, 1e-12)) if (squares > 0).any() else 1.0
        directions = random.normal(size=(both.shape[1], self.features)) / bandwidth
        phases = random.uniform(0, 2 * np.pi, size=self.features)
        mapped = np.sqrt(2 / self.features) * np.cos(both @ directions + phases)
        return np.asarray((_mean_difference(mapped, membership) ** 2).sum(axis=1))


class ConfidenceShift(Statistic):
    """Largest Kolmogorov-Smirnov distance of the confidences of any task."""

    kind: Literal["confidence_shift"] = "confidence_shift"

    def draws(self, reference: Seen, window: Seen, membership: NDArray[np.float64]) -> NDArray[np.float64]:
        """The statistic for each row of `membership`."""
        found = np.zeros(len(membership))
        inside = membership.sum(axis=1, keepdims=True)
        outside = membership.shape[1] - inside
        for task, values in reference.confidences.items():
            both = np.concatenate([values, window.confidences[task]])
            order = np.argsort(both, kind="stable")
            # Equal confidences stand in the order of the data, so a gap counts only where a run of equals ends.
            ends = np.append(np.diff(both[order]) > 0, True)
            taken = np.cumsum(membership[:, order], axis=1)[:, ends]
            gaps = taken / inside - (np.flatnonzero(ends) + 1 - taken) / outside
            found = np.maximum(found, np.abs(gaps).max(axis=1))
        return found


DriftStatistic = Annotated[EmbeddingDistance | ConfidenceShift, Field(discriminator="kind")]


def permutation_p_value(
    statistics: tuple[DriftStatistic, ...], reference: Seen, window: Seen, *, permutations: int, seed: int
) -> tuple[float, dict[str, float]]:
    """One p-value over all statistics, (k + 1) / (B + 1), and each statistic's z-score against its own null.

    The statistics are brought to one scale by their null and the largest is tested, with the same permutations for
    all, so they are neither assumed independent nor charged Bonferroni's price (Westfall and Young 1993).
    """
    sizes = len(reference.embeddings), len(window.embeddings)
    membership = _memberships(*sizes, permutations=permutations, seed=seed)
    drawn = [statistic.draws(reference, window, membership) for statistic in statistics]
    scaled = np.stack([(d - d.mean()) / max(float(d.std()), 1e-12) for d in drawn])
    largest = scaled.max(axis=0)
    beaten = int((largest[1:] >= largest[0]).sum())
    scores = {f"{statistic.kind}_z": float(row[0]) for statistic, row in zip(statistics, scaled, strict=True)}
    return (beaten + 1) / (permutations + 1), scores


def estimated_accuracy(reference: Seen, window: Seen, task: str) -> tuple[float, float]:
    """(accuracy on the reference, estimate on the window) by average-threshold confidence (Garg et al., 2201.04234).

    The threshold is the confidence that as many reference rows fall short of as are answered wrongly. Reference rows
    without a label for the task take no part.
    """
    known = ~np.isnan(reference.right[task])
    right, confidences = reference.right[task][known], reference.confidences[task][known]
    threshold = np.quantile(confidences, 1 - right.mean())
    return float(right.mean()), float((window.confidences[task] >= threshold).mean())


def _memberships(reference: int, window: int, *, permutations: int, seed: int) -> NDArray[np.float64]:
    """(1 + permutations, rows): 1 for rows counted as the window's; the first row is the truth."""
    truth = np.concatenate([np.zeros(reference), np.ones(window)])
    random = np.random.default_rng(seed)
    return np.stack([truth, *(random.permutation(truth) for _ in range(permutations))])


def _mean_difference(values: NDArray[np.float64], membership: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = membership.sum(axis=1, keepdims=True)
    total = values.sum(axis=0)
    sums = membership @ values
    return np.asarray(sums / inside - (total - sums) / (membership.shape[1] - inside))
