"""How many answers are right where nobody has said so, from how doubtful they are beside rows where somebody has."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_contracts.drift import AccuracyEstimate
from tasks.drift.seen import Numbers, OfTask, Seen

DRAWS = 200
SEED = 20_264
# Of a model that hardly errs, so few rows would be doubted that texts out of scope pass. Chosen on validation rows of
# CLINC150 with foreign ones among them; of all held-out rows, at 20% of these, the estimate is 0.048 too high, and with
# 0.035 0.059.
LEAST_DOUBTED = 0.05
# Of what does not vary on the reference.
LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Doubt:
    """What counts as a doubtful answer to one task: as many of the reference's rows as are answered wrongly, or 5%.

    centres, spreads: of what a row's doubt is made of, on the reference's rows with a label, of which the share
    `accuracy` is answered right. Rows above `threshold` are doubted, as `doubted` of the reference's `rows` are that
    the task is asked of.
    """

    centres: tuple[float, ...]
    spreads: tuple[float, ...]
    threshold: float
    doubted: int
    rows: int
    accuracy: float

    @property
    def share(self) -> float:
        """Doubted rows of the reference."""
        return self.doubted / self.rows

    def of(self, rows: Seen, task: str) -> NDArray[np.bool_]:
        """(rows,) which answers are doubtful."""
        parts = _parts(rows, task)
        return np.asarray(_worst(parts, self.centres, self.spreads) > self.threshold)

    def accuracy_at(self, doubted: float) -> float:
        """The accuracy where that share of rows is doubted.

        Rows doubted beyond the usual share are taken for wrong, and the others to be right as often as usual. Where as
        many rows are doubted as are wrong, this is the average-threshold confidence of Garg et al. (2022, 2201.04234).
        """
        return float(np.clip(self.accuracy * (1 - (doubted - self.share) / (1 - self.share)), 0, 1))


def doubt_about(reference: Seen, task: str) -> Doubt | None:
    """Learnt from the reference's rows with a label for the task; None where there is none."""
    right = reference.tasks[task].right
    if right is None or np.isnan(right).all():
        return None
    known, every = ~np.isnan(right), _parts(reference, task)
    parts = [part[known] for part in every]
    centres, spreads = [float(p.mean()) for p in parts], [max(float(p.std()), LEAST_SPREAD) for p in parts]
    accuracy = float(right[known].mean())
    threshold = _threshold(_worst(parts, centres, spreads), accuracy)
    asked = known if reference.nearest is None else like_labelled(reference, reference, task)
    doubts = _worst(every, centres, spreads)[asked if asked.any() else known]
    return Doubt(tuple(centres), tuple(spreads), threshold, int((doubts > threshold).sum()), len(doubts), accuracy)


def like_labelled(reference: Seen, rows: Seen, task: str) -> NDArray[np.bool_]:
    """(rows,) which rows the task is asked of: those whose nearest one of the reference has a label for it.

    Rows of another kind, of which people have no label for the task, are answered with doubt and lose nothing by it.
    Where `rows` were not compared with the reference, all are.
    """
    right = reference.tasks[task].right
    known = np.zeros(len(reference), bool) if right is None else ~np.isnan(right)
    if known.all() or rows.nearest is None:
        return np.ones(len(rows), bool)
    return np.asarray(known[rows.nearest])


def estimate_accuracy(reference: Seen, window: Seen, task: str) -> AccuracyEstimate | None:
    """The share of the rows that the task is asked of that are answered right, by two methods; None where there is no
    such row, or no label in the reference.

    by_threshold: from how many rows are doubted. by_confidence: accuracy on the reference, plus how far the window's
    mean confidence is above the reference's (difference of confidences, Guillory et al. 2021, 2107.03315), for which
    confidences have to be calibrated. `error`: 95% of as many rows, drawn from the reference and held against its
    others, are estimated so well by the first.
    """
    right = reference.tasks[task].right
    doubt = doubt_about(reference, task)
    asked = window.at(like_labelled(reference, window, task))
    if doubt is None or right is None or not len(asked):
        return None
    known = reference.at(np.flatnonzero(~np.isnan(right)))
    parts = _parts(known, task)
    by_confidence = doubt.accuracy + asked.tasks[task].confidences.mean() - known.tasks[task].confidences.mean()
    return AccuracyEstimate(
        reference=doubt.accuracy,
        by_threshold=doubt.accuracy_at(float(doubt.of(asked, task).mean())),
        by_confidence=float(np.clip(by_confidence, 0, 1)),
        error=_usual_error(_worst(parts, doubt.centres, doubt.spreads), right[~np.isnan(right)], len(asked)),
    )


def labelled(of: OfTask) -> tuple[Numbers, Numbers] | None:
    """(confidences, right) of the rows with a label; None where there is none."""
    if of.right is None:
        return None
    known = ~np.isnan(of.right)
    return (of.confidences[known], of.right[known]) if known.any() else None


def _parts(rows: Seen, task: str) -> list[Numbers]:
    """What a row's doubt is made of: how spread its probabilities are, and how far it is from all of the reference."""
    of = rows.tasks[task]
    entropy = of.entropy
    unsure = entropy if entropy is not None else 1 - of.confidences
    return [unsure] if rows.distances is None else [unsure, rows.distances]


def _worst(parts: Sequence[Numbers], centres: Sequence[float], spreads: Sequence[float]) -> Numbers:
    """(rows,) the larger of both, each in standard deviations: an answer that is unsure is so near known texts, too."""
    return np.asarray(np.max([(p - c) / s for p, c, s in zip(parts, centres, spreads, strict=True)], axis=0))


def _threshold(doubts: Numbers, accuracy: float) -> float:
    """That as many rows are above as are wrong, or LEAST_DOUBTED of them; fewer where doubts are the same."""
    return float(np.quantile(doubts, 1 - max(1 - accuracy, LEAST_DOUBTED), method="lower"))


def _usual_error(doubts: Numbers, right: Numbers, rows: int) -> float:
    """95% quantile of |estimate - accuracy| of windows of so many rows, or of half the reference if that is less."""
    taken = max(1, min(rows, len(right) // 2))
    random = np.random.default_rng(SEED)
    errors = []
    for _ in range(DRAWS):
        order = random.permutation(len(right))
        inside, outside = order[:taken], order[taken:]
        if not len(outside):
            return 1.0
        accuracy = float(right[outside].mean())
        threshold = _threshold(doubts[outside], accuracy)
        doubted = int((doubts[outside] > threshold).sum())
        doubt = Doubt((), (), threshold, doubted, len(outside), accuracy)
        errors.append(abs(doubt.accuracy_at(float((doubts[inside] > threshold).mean())) - right[inside].mean()))
    return float(np.quantile(errors, 0.95))
