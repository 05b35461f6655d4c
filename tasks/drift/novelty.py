"""How far rows are from all that the reference holds."""

import numpy as np
from numpy.typing import NDArray

ROWS_AT_ONCE = 1_024


def nearest_distances(rows: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float64]:
    """(rows,) Euclidean distance of each embedding to the nearest of the reference; 0 where there is no reference."""
    if not len(reference):
        return np.zeros(len(rows))
    # Distances do not change when the origin moves, and near it single precision has most digits to spare.
    centre = reference.mean(axis=0, dtype=np.float64)
    known = (reference - centre).astype(np.float32)
    lengths = (known.astype(np.float64) ** 2).sum(axis=1)
    found = np.empty(len(rows))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = (rows[start : start + ROWS_AT_ONCE] - centre).astype(np.float32)
        smallest = (lengths - 2 * (some @ known.T)).min(axis=1)
        found[start : start + len(some)] = (some.astype(np.float64) ** 2).sum(axis=1) + smallest
    return np.sqrt(np.maximum(found, 0))
