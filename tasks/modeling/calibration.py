"""Calibration: by one number a head, its temperature, confidences come to say how often answers are right."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Rows that are all answered right would have the temperature at 0, and those that say nothing at infinity.
LOWEST, HIGHEST = 0.05, 20.0


def shares_of(scores: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """(rows, labels) probabilities from log-probabilities that lack a constant a row: softmax(scores / temperature)."""
    scaled = np.asarray(scores, dtype=float) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def label_shares(
    scores: NDArray[np.floating] | None, temperature: float, labels: Sequence[str], label: str | None
) -> NDArray[np.float64]:
    """(rows,) probabilities of one of the labels."""
    if scores is None or label is None:
        raise ValueError("how likely a label is follows from the scores of all labels")
    return np.asarray(shares_of(scores, temperature)[:, labels.index(label)])


def fit_temperature(scores: NDArray[np.floating], targets: Sequence[int]) -> float:
    """The temperature by which the log-loss of those rows is least; 1 without rows (Guo et al. 2017, 1706.04599).

    `targets` are columns of `scores`, (rows, labels). Of n rows a label counts (n + 1) / (n + 2), and the others have
    the rest among them, so that a few rows that are all right do not make every later answer a sure one (Platt 1999).
    """
    from scipy.optimize import minimize_scalar

    if not len(targets):
        return 1.0
    rows, labels = scores.shape
    wanted = np.full(scores.shape, 1 / (rows + 2) / max(1, labels - 1))
    wanted[np.arange(rows), list(targets)] = (rows + 1) / (rows + 2)

    def loss(logarithm: float) -> float:
        scaled = np.asarray(scores, dtype=float) / np.exp(logarithm)
        highest = scaled.max(axis=1, keepdims=True)
        logs = scaled - highest - np.log(np.exp(scaled - highest).sum(axis=1, keepdims=True))
        return float(-(wanted * logs).sum() / rows)

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
