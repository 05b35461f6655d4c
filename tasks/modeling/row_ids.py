"""Ids of rows: which rows were made from others, and a sample of those that were not."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MADE_FROM = "~"


def id_of_made(row_id: str, how: str) -> str:
    """The id of a row that was made from the one of that id, in the way that `how` names."""
    return f"{row_id}{MADE_FROM}{how}"


def sample_own(ids: Sequence[str], most: int, seed: int) -> NDArray[np.int64]:
    """Positions, in order, of at most so many rows, drawn at random among those that were not made from others."""
    own = np.flatnonzero([MADE_FROM not in row_id for row_id in ids])
    if len(own) <= most:
        return own
    return np.sort(np.random.default_rng(seed).choice(own, most, replace=False))
