"""Scores of predictions against labels, as pure functions. Bigger is better except for errors."""

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15


def accuracy(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Share of predictions that are right."""
    return float(np.mean(np.asarray(predictions, dtype=object) == np.asarray(references, dtype=object)))


def macro_f1(predictions: Sequence[str], references: Sequence[str]) -> float:
    """Mean of the F1 of each class that occurs among the references; a class never predicted counts 0."""
    from sklearn.metrics import f1_score

    labels = sorted(set(references))
    return float(f1_score(references, predictions, labels=labels, average="macro", zero_division=0))


def entity_f1(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Micro F1 over whole entities, strict on kind and borders (seqeval, IOB2)."""
    counts = np.array([entity_counts(p, r) for p, r in zip(predictions, references, strict=True)])
    return f1_of_counts(counts.sum(axis=0))


def entity_counts(predicted: Sequence[str], reference: Sequence[str]) -> tuple[int, int, int]:
    """Entities of one text: (found and right, found but wrong, missed)."""
    from seqeval.metrics.sequence_labeling import get_entities

    found, wanted = set(get_entities(list(predicted))), set(get_entities(list(reference)))
    return len(found & wanted), len(found - wanted), len(wanted - found)


def f1_of_counts(counts: NDArray[np.int64]) -> float:
    """F1 of (true positives, false positives, false negatives); 0 where there is nothing to find and nothing found."""
    right, wrong, missed = (float(count) for count in counts)
    total = 2 * right + wrong + missed
    return 2 * right / total if total else 0.0


def f1_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """F1 of each of (draws, 3) sums of such counts."""
    return np.asarray(2 * sums[:, 0] / np.maximum(2 * sums[:, 0] + sums[:, 1] + sums[:, 2], 1e-12))


def label_counts(predicted: Collection[str], reference: Collection[str]) -> tuple[int, int, int]:
    """Labels of one text: (given and right, given but wrong, missed)."""
    given, wanted = set(predicted), set(reference)
    return len(given & wanted), len(given - wanted), len(wanted - given)


def label_set_f1(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """micro_f1 over all labels of all texts, macro_f1 over the labels among the references, and exact_match."""
    pairs = [(set(given), set(wanted)) for given, wanted in zip(predictions, references, strict=True)]
    # In one pass over the texts, whatever the number of labels.
    given = Counter(name for of_text, _ in pairs for name in of_text)
    wanted = Counter(name for _, of_text in pairs for name in of_text)
    right = Counter(name for both in pairs for name in both[0] & both[1])
    of_each = [
        f1_of_counts(np.array((right[name], given[name] - right[name], wanted[name] - right[name])))
        for name in sorted(wanted)
    ]
    total = right.total(), given.total() - right.total(), wanted.total() - right.total()
    return {
        "micro_f1": f1_of_counts(np.array(total)),
        "macro_f1": float(np.mean(of_each)) if of_each else 0.0,
        "exact_match": float(np.mean([of_text[0] == of_text[1] for of_text in pairs])),
    }


def rank_agreement(predictions: Sequence[int], references: Sequence[int]) -> dict[str, float]:
    """quadratic_weighted_kappa and mean_absolute_error of ranks."""
    return {
        "quadratic_weighted_kappa": float(kappa_of_sums(moments(predictions, references).sum(axis=0)[None])[0]),
        "mean_absolute_error": mean_absolute_error(predictions, references),
    }


def moments(
    predictions: Sequence[float] | NDArray[np.float64], references: Sequence[float] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """(rows, 6): 1, x, y, xx, yy, xy."""
    x, y = np.asarray(predictions, dtype=float), np.asarray(references, dtype=float)
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)


def kappa_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quadratic weighted kappa of each of (draws, 6) sums of moments; 0 where all ranks are one and the same.

    One less the mean squared distance over the one of ranks that are paired by chance (Cohen 1968, Psychological
    Bulletin 70, 213-220).
    """
    n, x, y, xx, yy, xy = sums.T
    by_chance = n * xx + n * yy - 2 * x * y
    return np.where(by_chance > 0, 1 - n * (xx + yy - 2 * xy) / np.where(by_chance > 0, by_chance, 1), 0.0)


def pearson(predictions: Sequence[float], references: Sequence[float]) -> float:
    """Linear correlation; 0 where either side is constant."""
    return _correlation(np.asarray(predictions, dtype=float), np.asarray(references, dtype=float))


def spearman(predictions: Sequence[float], references: Sequence[float]) -> float:
    """Rank correlation; 0 where either side is constant."""
    from scipy.stats import rankdata

    return _correlation(rankdata(predictions), rankdata(references))


def mean_absolute_error(predictions: Sequence[float], references: Sequence[float]) -> float:
    """Mean distance, in the label's units."""
    return float(np.abs(np.asarray(predictions, dtype=float) - np.asarray(references, dtype=float)).mean())


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """Mean gap of confidence and accuracy over 15 equal bins, weighted by rows (Guo et al. 2017, 1706.04599)."""
    values, hits = np.asarray(confidences, dtype=float), np.asarray(correct, dtype=float)
    bins = np.minimum((values * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [abs(float(np.sum(hits[bins == b] - values[bins == b]))) for b in range(CALIBRATION_BINS)]
    return sum(gaps) / len(values)


def auroc(inside: Sequence[float], outside: Sequence[float]) -> float:
    """Probability that a row of `inside` scores higher than one of `outside`, ties counting half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([1] * len(inside) + [0] * len(outside), [*inside, *outside]))


def correlation(predictions: Sequence[float], references: Sequence[float]) -> dict[str, float]:
    """pearson, spearman and mean_absolute_error together."""
    return {
        "pearson": pearson(predictions, references),
        "spearman": spearman(predictions, references),
        "mean_absolute_error": mean_absolute_error(predictions, references),
    }


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
