"""Rows drawn again with replacement (Efron and Tibshirani 1993), as sums over the rows of each draw."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.clusters import Clusters, rows_worth, sums_of_clusters
from tasks.evaluation.intervals import wilson_interval

DRAWS = 1000
SEED = 20_260
COUNTS_AT_ONCE = 4_000_000
INTERVAL = (0.025, 0.975)


def resampled_sums(table: NDArray[np.float64], draws: int, seed: int = SEED) -> NDArray[np.float64]:
    """(draws, columns) sums over as many rows as the table has, drawn with replacement; the same for the same table.

    Rows that are alike are drawn as one kind of row, so that the cost grows with the kinds and not with the rows.
    """
    random = np.random.default_rng(seed)
    _, first, counts = np.unique(_fingerprints(table, random), return_index=True, return_counts=True)
    kinds = np.ascontiguousarray(table[first].T)
    found = np.empty((draws, table.shape[1]))
    step = max(1, COUNTS_AT_ONCE // len(counts))
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn = random.multinomial(len(table), counts / len(table), size=size).astype(float)
        for column in range(table.shape[1]):
            # By column, since a product of matrices may add up equal columns in different orders.
            found[start : start + size, column] = drawn @ kinds[column]
    return found


def score_interval(
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    table: NDArray[np.float64],
    clusters: Clusters | None = None,
) -> tuple[float, float]:
    """95% interval of the score of a (rows, k) table's sums; rows of one cluster are drawn together.

    Of rows that are all right, or all wrong, every draw says the same: there it is Wilson's.
    """
    drawn = score(resampled_sums(sums_of_clusters(table, clusters), DRAWS))
    if np.ptp(drawn) == 0 and drawn[0] in (0, 1):
        worth = None if clusters is None else rows_worth(clusters)
        return wilson_interval(len(table) * int(drawn[0]), len(table), worth)
    low, high = np.quantile(drawn, INTERVAL)
    return float(low), float(high)


def _fingerprints(table: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    """(rows,) the rows' places on one random line, which rows that differ share once in 2^50."""
    places = np.zeros(len(table))
    # By column, since a product of matrices may add up equal rows in different orders.
    for column in table.T:
        places += column * random.normal()
    return places
