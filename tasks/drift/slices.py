"""Slices that tell a window from the reference: values of a column, and lengths of texts, whose share has moved."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CHANCE = 0.05
LEAST_ROWS = 5
# A column of more values names rows, and not kinds of them.
MOST_VALUES = 50
QUARTERS = ("shortest quarter", "second quarter", "third quarter", "longest quarter")


@dataclass(frozen=True)
class MovedSlice:
    """A slice, such as `language: vi`, its share of rows on both sides, and how many standard deviations it moved."""

    name: str
    window: float
    reference: float
    z: float


def moved_slices(
    window: Mapping[str, Sequence[str]], reference: Mapping[str, Sequence[str]], *, most: int = 12
) -> list[MovedSlice]:
    """Slices by |z|, of columns that both sides have; empty where none moved by more than chance explains.

    z is that of two proportions. Slices of fewer than LEAST_ROWS rows are not compared; of those listed a share of
    CHANCE is there by chance (Benjamini and Hochberg 1995).
    """
    from scipy.stats import norm

    found = [
        _moved(f"{column}: {value}", now[value], sum(now.values()), before[value], sum(before.values()))
        for column in window
        if column in reference
        for now, before in [(Counter(window[column]), Counter(reference[column]))]
        if now and before and len(now | before) <= MOST_VALUES
        for value in sorted(now | before)
        if now[value] + before[value] >= LEAST_ROWS
    ]
    found.sort(key=lambda moved: (-abs(moved.z), moved.name))
    chances = [2 * norm.sf(abs(moved.z)) for moved in found]
    below = [rank for rank, chance in enumerate(chances, start=1) if chance <= CHANCE * rank / len(found)]
    return found[: min(max(below), most)] if below else []


def length_quarters(texts: Sequence[str], reference: Sequence[str]) -> list[str]:
    """Of each text, the quarter of the reference's lengths, in characters, that it is in."""
    cuts = np.quantile([len(text) for text in reference], [0.25, 0.5, 0.75])
    return [QUARTERS[int(place)] for place in np.searchsorted(cuts, [len(text) for text in texts])]


def _moved(name: str, now: int, rows: int, before: int, reference_rows: int) -> MovedSlice:
    share = (now + before) / (rows + reference_rows)
    spread = np.sqrt(share * (1 - share) * (1 / rows + 1 / reference_rows))
    difference = now / rows - before / reference_rows
    return MovedSlice(name, now / rows, before / reference_rows, float(difference / spread) if spread else 0.0)
