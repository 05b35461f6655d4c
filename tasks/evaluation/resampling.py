"""Rows drawn again with replacement (Efron and Tibshirani 1993), as sums over the rows of each draw."""

import numpy as np
from numpy.typing import NDArray

SEED = 20_260
COUNTS_AT_ONCE = 4_000_000


def resampled_sums(table: NDArray[np.float64], draws: int, seed: int = SEED) -> NDArray[np.float64]:
    """(draws, columns) sums over as many rows as the table has, drawn with replacement; the same for the same table.

    Rows that are alike are drawn as one kind of row, so that the cost grows with the kinds and not with the rows.
    """
    random = np.random.default_rng(seed)
    _, first, counts = np.unique(_fingerprints(table, random), return_index=True, return_counts=True)
    kinds = table[first]
    found = np.empty((draws, table.shape[1]))
    step = max(1, COUNTS_AT_ONCE // len(kinds))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        found[start : start + size] = random.multinomial(len(table), counts / len(table), size=size) @ kinds
    return found


def _fingerprints(table: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """(rows,) the rows' places on one random line, which rows that differ share once in 2^50."""
    places = np.zeros(len(table))
    # By column, since a product of matrices may add up equal rows in different orders.
    for column in table.T:
        places += column * random.normal()
    return places
