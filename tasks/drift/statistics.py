"""Drift statistics: how far a window is from the reference. Bigger is always worse.

A kind gives every row numbers, its features, and says how far two means of them are apart. Whatever way rows are
divided in two, the means of all features follow from one matrix product, by which `shift.py` permutes all kinds at
once. `z` says how unusual a distance is where there is no shift, in standard deviations of a normal distribution, so
that the largest of several is fair to all: by moments of all rows together, which no division changes.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tasks.drift.seen import Seen

Rows = NDArray[np.float32]
Numbers = NDArray[np.float64]
CELLS = 64
# The largest of 63 standardised gaps between cumulative shares is about that of so many independent ones.
INDEPENDENT_GAPS = 11
LARGEST_CHANCE = 0.95
BANDWIDTH_ROWS = 400
# Of features that are the same for all rows, rounding leaves a smaller spread than any row that differs.
LEAST_SPREAD = 1e-6


class View(NamedTuple):
    """What a kind makes of all rows: its name, the task it is of, features (rows, d), and their z.

    `z` maps differences of means (draws, d), with 1 / rows + 1 / rows of the two parts, to (draws,).
    """

    name: str
    task: str | None
    features: Rows
    z: Callable[[Rows, float], Numbers]


class Statistic(BaseModel):
    """What all kinds share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    def views(self, both: Seen) -> Iterator[View]:
        """Of the rows of both sides together."""


class EmbeddingDistance(Statistic):
    """Squared maximum mean discrepancy of mean token states, by random Fourier features of a Gaussian kernel.

    Gretton et al. 2012 (JMLR 13); features after Rahimi and Recht 2007; bandwidth by the median heuristic.
    """

    kind: Literal["embedding_distance"] = "embedding_distance"
    features: int = Field(256, ge=16)
    seed: int = 7

    def views(self, both: Seen) -> Iterator[View]:
        """One, of all tasks."""
        yield _kernel_view(self.kind, None, fourier_features(both.embeddings, self.features, self.seed))


class OutputDistance(Statistic):
    """The same of the label probabilities of each task: what the model says of the rows has changed."""

    kind: Literal["output_distance"] = "output_distance"
    features: int = Field(128, ge=16)
    seed: int = 8

    def views(self, both: Seen) -> Iterator[View]:
        """One for each task whose answer is one label."""
        for task, of in both.tasks.items():
            if of.shares is not None:
                mapped = fourier_features(of.shares, self.features, self.seed)
                yield _kernel_view(f"{self.kind}/{task}", task, mapped)


class ConfidenceShift(Statistic):
    """Largest standardised gap between the distributions of each task's confidences.

    That is the distance of Kolmogorov and Smirnov, with every gap in its own standard deviations (Anderson and Darling
    1952): a few rows that the model is unsure of lie in a tail, where the plain distance hardly sees them.
    """

    kind: Literal["confidence_shift"] = "confidence_shift"

    def views(self, both: Seen) -> Iterator[View]:
        """One for each task."""
        for task, of in both.tasks.items():
            yield _steps_view(f"{self.kind}/{task}", task, of.confidences)


class EntropyShift(Statistic):
    """The same of the entropy of each task's label probabilities."""

    kind: Literal["entropy_shift"] = "entropy_shift"

    def views(self, both: Seen) -> Iterator[View]:
        """One for each task whose answer is one label."""
        for task, of in both.tasks.items():
            if (entropy := of.entropy) is not None:
                yield _steps_view(f"{self.kind}/{task}", task, entropy)


class NoveltyShift(Statistic):
    """The same of the distance to the nearest of some rows of the reference, which themselves are left out."""

    kind: Literal["novelty_shift"] = "novelty_shift"

    def views(self, both: Seen) -> Iterator[View]:
        """One, of all tasks, where distances are known."""
        if both.distances is not None:
            yield _steps_view(self.kind, None, both.distances)


class LabelMix(Statistic):
    """Pearson's chi-square of how often each label is answered: label shift, if rows of a label stay as they are.

    Lipton, Wang and Smola 2018 (1802.03916) show that this sees whatever label shift the model's confusions allow.
    """

    kind: Literal["label_mix"] = "label_mix"

    def views(self, both: Seen) -> Iterator[View]:
        """One for each task whose answer is one label."""
        for task, of in both.tasks.items():
            if (given := of.given) is not None and of.shares is not None:
                yield _counts_view(f"{self.kind}/{task}", task, given, of.shares.shape[1])


DriftStatistic = Annotated[
    EmbeddingDistance | OutputDistance | ConfidenceShift | EntropyShift | NoveltyShift | LabelMix,
    Field(discriminator="kind"),
]


def fourier_features(values: NDArray[np.floating], features: int, seed: int) -> Rows:
    """(rows, features) whose inner products are those of a Gaussian kernel: pairs of cosine and sine."""
    rows = np.ascontiguousarray(values, dtype=np.float32)
    random = np.random.default_rng(seed)
    some = rows[random.choice(len(rows), size=min(BANDWIDTH_ROWS, len(rows)), replace=False)]
    squares = (some**2).sum(axis=1)
    distances = (squares[:, None] + squares - 2 * some @ some.T)[np.triu_indices(len(some), k=1)]
    apart = distances[distances > 1e-9]
    bandwidth = np.sqrt(float(np.median(apart)) / 2) if len(apart) else 1.0
    directions = (random.normal(size=(rows.shape[1], features // 2)) / bandwidth).astype(np.float32)
    angles = rows @ directions
    mapped = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(features // 2)
    return np.asarray(mapped, dtype=np.float32)


def mean_distances(differences: Rows) -> Numbers:
    """(draws,) squared lengths."""
    return np.asarray((differences.astype(float) ** 2).sum(axis=1))


def _kernel_view(name: str, task: str | None, mapped: Rows) -> View:
    usual = _usual_of(mapped)

    def z(differences: Rows, over: float) -> Numbers:
        return usual.z(mean_distances(differences) / over)

    return View(name, task, mapped, z)


class _Usual(NamedTuple):
    """How a sum of squares varies where there is no shift: mean, standard deviation, and degrees of freedom."""

    mean: float
    spread: float
    freedom: float

    def z(self, values: Numbers) -> Numbers:
        """What is about as unusual of a normal distribution.

        The cube root of Wilson and Hilferty (1931, PNAS 17) of a chi-square of as many degrees of freedom. The sums
        have a long tail, and standard deviations of theirs would drown whatever else is found.
        """
        alike = self.freedom + math.sqrt(2 * self.freedom) * (values - self.mean) / self.spread
        ninth = 2 / (9 * self.freedom)
        roots = np.cbrt(np.maximum(alike, 0) / self.freedom)
        return np.asarray((roots - (1 - ninth)) / math.sqrt(ninth))


def _usual_of(features: Rows) -> _Usual:
    """Of the squared length of a difference of means, times the rows: a weighted sum of chi-squares.

    Its first three cumulants are tr S, 2 tr S^2 and 8 tr S^3 of the features' covariance S, and a chi-square of
    (tr S^2)^3 / (tr S^3)^2 degrees of freedom is as skew (Liu, Tang and Zhang 2009, Comput. Stat. Data Anal. 53).
    """
    centred = features - features.mean(axis=0)
    covariance = (centred.T @ centred / max(1, len(features) - 1)).astype(float)
    squared = covariance @ covariance
    second, third = float(np.trace(squared)), float((squared * covariance).sum())
    spread = math.sqrt(2 * second)
    if spread < LEAST_SPREAD:
        return _Usual(float(np.trace(covariance)), LEAST_SPREAD, 1.0)
    return _Usual(float(np.trace(covariance)), spread, second**3 / third**2)


def _steps_view(name: str, task: str | None, values: Numbers) -> View:
    """Features that say which cells' ends a value reaches, so that means are cumulative shares in their own scale."""
    ends = np.unique(np.quantile(values, np.arange(1, CELLS) / CELLS, method="inverted_cdf"))
    reached = values[:, None] <= ends
    share = reached.mean(axis=0)
    told = (share > 0) & (share < 1)
    scaled = reached[:, told] / np.sqrt(share[told] * (1 - share[told]))

    def z(differences: Rows, over: float) -> Numbers:
        from scipy.special import ndtri_exp
        from scipy.stats import norm

        gap = np.abs(differences).max(axis=1, initial=0).astype(float)
        # Of so many gaps, each of which may be to either side.
        chance = math.log(2 * INDEPENDENT_GAPS) + norm.logsf(gap / np.sqrt(over))
        # In logarithms, since a chance of 0 would make an infinite z, which JSON does not hold.
        return np.asarray(-ndtri_exp(np.minimum(chance, math.log(LARGEST_CHANCE))))

    return View(name, task, scaled.astype(np.float32), z)


def _counts_view(name: str, task: str, given: NDArray[np.int64], labels: int) -> View:
    known = np.bincount(given, minlength=labels) / len(given)
    there = np.flatnonzero(known > 0)
    # So scaled, squares of differences add up to chi-square.
    scaled = ((given[:, None] == there) / np.sqrt(known[there])).astype(np.float32)
    freedom = max(1, len(there) - 1)
    usual = _Usual(freedom, math.sqrt(2 * freedom), freedom)

    def z(differences: Rows, over: float) -> Numbers:
        return usual.z(mean_distances(differences) / over)

    return View(name, task, scaled, z)
