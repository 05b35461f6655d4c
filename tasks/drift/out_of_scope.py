"""Texts unlike all that the reference holds, which no label may fit."""

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 1024
# Of the reference's own rows so many lie farther from their nearest neighbour than the threshold.
USUAL_SHARE = 0.05


def nearest_distances(
    rows: NDArray[np.float32], bank: NDArray[np.float32], *, own: bool = False
) -> NDArray[np.float64]:
    """(rows,) Euclidean distance to the nearest row of the bank, of states of length one (Sun et al. 2022, 2204.06507).

    With `own` the rows are the bank, and none is its own neighbour.
    """
    first, second = _of_length_one(rows), _of_length_one(bank)
    found = np.empty(len(first))
    for start in range(0, len(first), ROWS_AT_ONCE):
        alike = first[start : start + ROWS_AT_ONCE] @ second.T
        if own:
            place = np.arange(len(alike))
            alike[place, start + place] = -np.inf
        found[start : start + ROWS_AT_ONCE] = alike.max(axis=1)
    return np.asarray(np.sqrt(np.maximum(0.0, 2 - 2 * found)))


def scope_threshold(distances: NDArray[np.float64]) -> float:
    """The distance from which on a text counts as out of scope, from the reference's own."""
    return float(np.quantile(distances, 1 - USUAL_SHARE, method="higher"))


def _of_length_one(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12)))
