"""Clusters: rows of one group, such as those of a customer, which hang together and are drawn together.

Drawn one by one, rows that are right or wrong together would pass for more evidence than they are (the cluster
bootstrap of Field and Welsh 2007, Journal of the Royal Statistical Society B 69, 369-390).
"""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

Clusters = NDArray[np.int64]


def read_clusters(snapshot: Path, split: str, group_column: str | None) -> Clusters | None:
    """(rows,) the number of each row's cluster; None, where every row stands alone, for a split without that column.

    A row without a value is a cluster of its own.
    """
    path = snapshot / f"{split}.parquet"
    if group_column is None or group_column not in pq.read_schema(path).names:
        return None
    values = pq.read_table(path, columns=[group_column]).column(group_column).to_pylist()
    numbers: dict[object, int] = {}
    names = ((row,) if value is None else str(value) for row, value in enumerate(values))
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)


def rows_worth(clusters: Clusters) -> float:
    """As how many rows that stand alone these count at least: as if those of one cluster were all right or all wrong.

    (sum n)² / sum n² of the sizes n of the clusters (Kish 1965, Survey Sampling, 8.2).
    """
    _, sizes = np.unique(clusters, return_counts=True)
    return float(sizes.sum() ** 2 / max(1, (sizes**2).sum()))


def sums_of_clusters(table: NDArray[np.float64], clusters: Clusters | None) -> NDArray[np.float64]:
    """(clusters, columns) sums over the rows of each, from which a draw takes whole clusters; the table without any."""
    if clusters is None:
        return table
    _, at = np.unique(clusters, return_inverse=True)
    found = np.zeros((int(at.max()) + 1, table.shape[1]))
    np.add.at(found, at, table)
    return found
