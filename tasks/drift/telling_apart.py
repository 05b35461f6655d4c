"""How large a shift is: how well rows of the window are told from the reference's, whatever their number."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from tasks.drift.seen import Seen

FOLDS, SEED = 2, 20_265
# Two ways are tried, so each has one half of what its interval may err by.
QUANTILE = 1 - 0.05 / 4


@dataclass(frozen=True)
class Told:
    """By how much more often than not a row of the window scores higher than one of the reference: 0 is chance, 1 all.

    That is 2 AUC - 1, with a 95% interval, of the better of two ways: `by` a classifier on embeddings, or novelty.
    """

    effect: float
    low: float
    high: float
    by: str


def tell_apart(reference: Seen, window: Seen, apart: tuple[Seen, Seen]) -> Told:
    """By a classifier on embeddings, scored on rows that it has not learnt from, or by the distance to the reference.

    The first sees that many rows have moved a little, the other that a few are far out. `apart` are rows of both with
    distances to rows of neither (`both_apart`).
    """
    ours, theirs = _discriminant(reference, window)
    # By chance, both halves are told apart equally well: it is how alike the differences in the two are that says how
    # well. So their scores tell no more than those of one half.
    found = [_told(ours, theirs, "embeddings", counted=1 / FOLDS)]
    near, far = (side.distances for side in apart)
    if near is not None and far is not None:
        found.append(_told(near, far, "novelty"))
    return max(found, key=lambda told: told.effect)


def _discriminant(reference: Seen, window: Seen) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of the rows of both by ridge regression of membership, Fisher's discriminant, cross-fitted on two halves.

    Each half is brought to mean 0 on the reference, since the scores of two classifiers are compared.
    """
    rows = np.concatenate([reference.embeddings, window.embeddings]).astype(np.float32)
    member = np.concatenate([np.zeros(len(reference), bool), np.ones(len(window), bool)])
    # Both sides weigh the same, however many rows each has.
    weights = np.where(member, len(member) / (2 * len(window)), len(member) / (2 * len(reference))).astype(np.float32)
    random = np.random.default_rng(SEED)
    fold = np.concatenate([random.permutation(len(side)) % FOLDS for side in (reference, window)])
    scores = np.zeros(len(rows))
    for part in range(FOLDS):
        learnt, held = fold != part, fold == part
        centre = np.average(rows[learnt], axis=0, weights=weights[learnt]).astype(np.float32)
        root = np.sqrt(weights[learnt])
        known = (rows[learnt] - centre) * root[:, None]
        gram = known.T @ known
        gram[np.diag_indices_from(gram)] += max(np.trace(gram) / len(gram), 1e-6)
        slope = np.linalg.solve(gram, known.T @ ((member[learnt] - np.float32(0.5)) * root))
        found = (rows[held] - centre) @ slope
        scores[held] = found - found[~member[held]].mean() if (~member[held]).any() else found
    return scores[~member], scores[member]


def _told(ours: NDArray[np.float64], theirs: NDArray[np.float64], by: str, counted: float = 1.0) -> Told:
    """The interval is that of Hanley and McNeil (1982, Radiology 143), for that part of the rows."""
    ranks = rankdata(np.concatenate([ours, theirs]))[len(ours) :]
    auc = float((ranks.sum() - len(theirs) * (len(theirs) + 1) / 2) / len(ours) / len(theirs))
    both, either = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (len(theirs) - 1) * (both - auc**2) + (len(ours) - 1) * (either - auc**2)
    half = float(norm.ppf(QUANTILE)) * math.sqrt(max(0.0, spread) / (len(ours) * len(theirs)) / counted)
    return Told(2 * auc - 1, max(-1.0, 2 * (auc - half) - 1), min(1.0, 2 * (auc + half) - 1), by)
