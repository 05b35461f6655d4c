"""Lists of different lengths without an object a list: all values end to end, and the length of each list."""

from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Ragged(NamedTuple):
    """Lists of integers: `values` of all of them, and how many of these are each list's."""

    values: NDArray[np.int32]
    lengths: NDArray[np.int64]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each list begins among the values, and behind them where the last one ends."""
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.lengths)])

    def lists(self) -> list[list[int]]:
        """The lists as Python has them."""
        values, ends = self.values.tolist(), self.offsets.tolist()
        return [values[start:end] for start, end in pairwise(ends)]


def ragged(lists: Iterable[Sequence[int]]) -> Ragged:
    """Those lists, end to end."""
    kept = list(lists)
    lengths = np.fromiter(map(len, kept), dtype=np.int64, count=len(kept))
    values = np.fromiter(chain.from_iterable(kept), dtype=np.int32, count=int(lengths.sum()))
    return Ragged(values, lengths)


def padded(lists: Sequence[Sequence[int]], filler: int) -> NDArray[np.int64]:
    """(lists, longest) with `filler` behind the shorter ones; never narrower than 1."""
    real = real_places(lists)
    found = np.full(real.shape, filler, dtype=np.int64)
    found[real] = np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=int(real.sum()))
    return found


def real_places(lists: Sequence[Sequence[int]]) -> NDArray[np.bool_]:
    """(lists, longest): where each list has a number, and nothing behind it."""
    lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
    places: NDArray[np.bool_] = np.arange(max(1, lengths.max(initial=0))) < lengths[:, None]
    return places
