"""Calibration: whether answers of a confidence of 0.8 are right eight times in ten, before and after the temperature.

Of heads with one label a text, Brier score and log-loss are of the probabilities of all labels; of other heads, which
have no temperature, they are of the event that the whole answer is right.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError
from tasks.evaluation.clusters import Clusters, read_clusters, rows_worth
from tasks.evaluation.intervals import wilson_interval
from tasks.evaluation.known_labels import read_known_labels
from tasks.modeling.answers import read_answers
from tasks.modeling.calibration import shares_of
from tasks.modeling.heads import AnyHead
from tasks.modeling.label_scores import read_label_scores
from tasks.modeling.scores import CALIBRATION_BINS

# An answer that was held impossible and is right would cost infinitely much.
LEAST_SHARE = 1e-12


@dataclass(frozen=True)
class Bin:
    """Rows whose confidence lies from `start` to `end`; `low` and `high` bound the accuracy's 95% Wilson interval.

    Where rows hang together in clusters, the interval is that of as many rows as these are worth at least.
    """

    start: float
    end: float
    rows: int
    confidence: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """How far confidences are from shares of right answers, on the rows of a split whose label the head knows.

    ece: mean gap over 15 bins of equal width; ece_equal_mass: over 15 bins of as many rows each.
    brier, log_loss: smaller is better, too. `bins` are the 15 of equal width that hold rows.
    """

    task: str
    split: str
    temperature: float
    calibrated: bool
    rows: int
    accuracy: float
    confidence: float
    ece: float
    ece_equal_mass: float
    brier: float
    log_loss: float
    bins: tuple[Bin, ...]


def measure_calibration(
    snapshot: Path,
    answers: Path,
    heads: Mapping[str, AnyHead],
    splits: Iterable[str],
    group_column: str | None = None,
) -> list[Calibration]:
    """Of every head with confidences on every split with labels for it; of one with a temperature before it, too.

    Rows with the same value of `group_column` hang together.
    """
    found = []
    for split in splits:
        labels, answered = read_known_labels(snapshot, split, heads), read_answers(answers / f"{split}.parquet", heads)
        clusters = read_clusters(snapshot, split, group_column)
        for task, head in heads.items():
            known = [row for row, label in enumerate(labels[task]) if label is not None]
            if not known or not head.has_confidence:
                continue
            of_known = None if clusters is None else clusters[known]
            given, wanted = [answered.answers[task][row] for row in known], [labels[task][row] for row in known]
            if head.one_label:
                scores = np.asarray(read_label_scores(answers, split, task)[known])
                found += _of_labels(task, split, head, scores, given, wanted, of_known)
                continue
            right = np.array([head.is_right(*pair) for pair in zip(given, wanted, strict=True)])
            confidences = np.array([answered.confidences[task][row] for row in known])
            losses = _losses(np.stack([1 - confidences, confidences], axis=1), right.astype(int))
            # Two probabilities of one event are wrong by the same, so that their Brier score counts it twice.
            halved = losses[0] / 2, losses[1]
            found.append(_calibration(task, split, 1.0, False, confidences, right, halved, of_known))
    return found


def reliability_bins(
    confidences: NDArray[np.floating], right: NDArray[np.bool_], clusters: Clusters | None = None
) -> tuple[Bin, ...]:
    """Of 15 bins of equal width those that hold rows, the lowest first."""
    numbers = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    found = []
    for number in np.unique(numbers):
        inside = numbers == number
        rows, hits = int(inside.sum()), int(right[inside].sum())
        low, high = wilson_interval(hits, rows, None if clusters is None else rows_worth(clusters[inside]))
        start, end = float(number / CALIBRATION_BINS), float((number + 1) / CALIBRATION_BINS)
        found.append(Bin(start, end, rows, float(confidences[inside].mean()), hits / rows, low, high))
    return tuple(found)


def equal_mass_error(confidences: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 bins of as many rows each (Nixon et al. 2019, arXiv:1904.01685).

    Rows of one confidence stay together, so that it does not depend on their order.
    """
    order = np.argsort(confidences, kind="stable")
    values, hits = confidences[order], right[order].astype(float)
    cuts = np.linspace(0, len(values), min(CALIBRATION_BINS, len(values)) + 1).round().astype(int)[1:-1]
    cuts = np.unique(np.searchsorted(values, values[cuts]))
    gaps = zip(np.split(values, cuts), np.split(hits, cuts), strict=True)
    return float(sum(abs(float((v - h).sum())) for v, h in gaps) / len(values))


def write_calibrations(path: Path, found: list[Calibration]) -> None:
    """Writes them as JSON."""
    path.write_text(json.dumps([asdict(calibration) for calibration in found], indent=1), encoding="utf-8")


def read_calibrations(path: Path) -> list[Calibration]:
    """What `write_calibrations` wrote."""
    return [
        Calibration(**{**entry, "bins": tuple(Bin(**bin_) for bin_ in entry["bins"])})
        for entry in json.loads(path.read_text(encoding="utf-8"))
    ]


def _of_labels(
    task: str,
    split: str,
    head: Any,
    scores: NDArray[np.float32],
    given: Sequence[str],
    wanted: Sequence[str],
    clusters: Clusters | None,
) -> list[Calibration]:
    """Before the temperature and, where the head has one that changes something, after it."""
    positions = {label: position for position, label in enumerate(head.labels)}
    answers, targets = (np.array([positions[label] for label in of]) for of in (given, wanted))
    found: list[Calibration] = []
    for temperature in (1.0, head.temperature):
        shares = shares_of(scores, temperature)
        confidences = shares[np.arange(len(shares)), answers]
        losses = _losses(shares, targets)
        calibrated = bool(found)
        right = answers == targets
        found.append(_calibration(task, split, temperature, calibrated, confidences, right, losses, clusters))
    return found


def _losses(shares: NDArray[np.float64], targets: NDArray[np.int64]) -> tuple[float, float]:
    """Brier score (summed over the labels, as Brier 1950 has it) and log-loss, both means over the rows."""
    rows = np.arange(len(shares))
    wanted = np.zeros_like(shares)
    wanted[rows, targets] = 1
    logs = np.log(np.maximum(shares[rows, targets], LEAST_SHARE))
    return float(((shares - wanted) ** 2).sum(axis=1).mean()), float(-logs.mean())


def _calibration(
    task: str,
    split: str,
    temperature: float,
    calibrated: bool,
    confidences: NDArray[np.float64],
    right: NDArray[np.bool_],
    losses: tuple[float, float],
    clusters: Clusters | None,
) -> Calibration:
    lost = np.flatnonzero(~np.isfinite(confidences))
    if len(lost):
        raise InputError(
            f"{task} on {split}: {len(lost)} of {len(right)} labelled rows, the first is the labelled row {lost[0]}, "
            "have a confidence that is no number. Look for a training that diverged."
        )
    bins = reliability_bins(confidences, right, clusters)
    return Calibration(
        task=task,
        split=split,
        temperature=temperature,
        calibrated=calibrated,
        rows=len(right),
        accuracy=float(right.mean()),
        confidence=float(confidences.mean()),
        ece=sum(of.rows * abs(of.confidence - of.accuracy) for of in bins) / len(right),
        ece_equal_mass=equal_mass_error(confidences, right),
        brier=losses[0],
        log_loss=losses[1],
        bins=bins,
    )
