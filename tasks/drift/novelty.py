"""Which rows of the reference others are nearest to, and texts unlike all of them, which no label may fit."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tasks.drift.seen import Seen

ROWS_AT_ONCE = 1024
# Rows of the reference that others are held against for the test, if half of it is more.
MOST_BANK_ROWS = 2500
SEED = 20_268
# Of the reference's own rows so many lie farther from their nearest neighbour than the threshold.
USUAL_SHARE = 0.05


def beside(rows: Seen, reference: Seen) -> Seen:
    """The rows, with which one of the reference is nearest to each, and how far it is.

    None of the reference's own rows is its own neighbour.
    """
    distances, nearest = nearest_rows(rows.embeddings, reference.embeddings, own=rows is reference)
    return replace(rows, distances=distances, nearest=nearest)


def nearest_distances(rows: NDArray[np.float32], bank: NDArray[np.float32]) -> NDArray[np.float64]:
    """(rows,) how far the nearest row of the bank is, as `nearest_rows` has it."""
    return nearest_rows(rows, bank)[0]


def nearest_rows(
    rows: NDArray[np.float32], bank: NDArray[np.float32], *, own: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(rows,) Euclidean distance to the nearest row of the bank, of states of length one (Sun et al. 2022, 2204.06507),
    and its position.

    With `own` the rows are the bank, and none is its own neighbour. Without a bank all are as far as can be, 2.
    """
    places = np.zeros(len(rows), np.int64)
    if len(bank) <= own:
        return np.full(len(rows), 2.0), places
    first, second = _of_length_one(rows), _of_length_one(bank)
    found = np.empty(len(first))
    for start in range(0, len(first), ROWS_AT_ONCE):
        alike = first[start : start + ROWS_AT_ONCE] @ second.T
        if own:
            place = np.arange(len(alike))
            alike[place, start + place] = -np.inf
        chosen = alike.argmax(axis=1)
        places[start : start + ROWS_AT_ONCE] = chosen
        found[start : start + ROWS_AT_ONCE] = alike[np.arange(len(alike)), chosen]
    return np.asarray(np.sqrt(np.maximum(0.0, 2 - 2 * found))), places


def both_apart(reference: Seen, window: Seen) -> tuple[Seen, Seen]:
    """Rows of the reference and the window, with how far they are from the reference's other rows.

    Where there is no shift, none of their distances tells of which side a row is. Those among the reference's own rows
    do: two that are each other's nearest have one distance, so they stray more, together, than a window's.
    """
    order = np.random.default_rng(SEED).permutation(len(reference))
    size = min(MOST_BANK_ROWS, len(reference) // 2)
    bank, held = reference.embeddings[order[:size]], reference.at(np.sort(order[size:]))
    ours, theirs = (
        replace(side, distances=nearest_distances(side.embeddings, bank), nearest=None) for side in (held, window)
    )
    return ours, theirs


def scope_threshold(distances: NDArray[np.float64]) -> float:
    """The distance from which on a text counts as out of scope, from the reference's own."""
    return float(np.quantile(distances, 1 - USUAL_SHARE, method="higher"))


def _of_length_one(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12)))
