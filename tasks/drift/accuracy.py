"""How many answers are right where nobody has said so, from confidences on rows where somebody has."""

import numpy as np
from numpy.typing import NDArray

from data_contracts.drift import AccuracyEstimate
from tasks.drift.seen import OfTask

Numbers = NDArray[np.float64]
DRAWS = 200
SEED = 20_264


def labelled(of: OfTask) -> tuple[Numbers, Numbers] | None:
    """(confidences, right) of the rows with a label; None where there is none."""
    if of.right is None:
        return None
    known = ~np.isnan(of.right)
    return (of.confidences[known], of.right[known]) if known.any() else None


def doubt_threshold(confidences: Numbers, right: Numbers) -> float:
    """The confidence below which as many rows lie as are answered wrongly (Garg et al. 2022, 2201.04234)."""
    return float(np.quantile(confidences, 1 - right.mean(), method="higher"))


def estimate_accuracy(reference: OfTask, window: OfTask) -> AccuracyEstimate | None:
    """The share of a window's rows that are answered right, by two methods; None where no reference row has a label.

    by_threshold: rows from the threshold on (average-threshold confidence). by_confidence: accuracy on the reference,
    plus how far the window's mean confidence is above the reference's (difference of confidences, Guillory et al.
    2021, 2107.03315), for which confidences have to be calibrated. `error`: 95% of as many rows, drawn from the
    reference and held against its others, are estimated so well by the first.
    """
    known = labelled(reference)
    if known is None:
        return None
    confidences, right = known
    threshold = doubt_threshold(confidences, right)
    by_confidence = right.mean() + window.confidences.mean() - confidences.mean()
    return AccuracyEstimate(
        reference=float(right.mean()),
        by_threshold=float((window.confidences >= threshold).mean()),
        by_confidence=float(np.clip(by_confidence, 0, 1)),
        error=_usual_error(confidences, right, len(window.confidences)),
    )


def _usual_error(confidences: Numbers, right: Numbers, rows: int) -> float:
    """95% quantile of |estimate - accuracy| of windows of so many rows, or of half the reference if that is less."""
    taken = max(1, min(rows, len(right) // 2))
    random = np.random.default_rng(SEED)
    errors = []
    for _ in range(DRAWS):
        order = random.permutation(len(right))
        inside, outside = order[:taken], order[taken:]
        if not len(outside):
            return 1.0
        threshold = doubt_threshold(confidences[outside], right[outside])
        errors.append(abs((confidences[inside] >= threshold).mean() - right[inside].mean()))
    return float(np.quantile(errors, 0.95))
