"""Tests that may be looked at after every row: e-values, whose reciprocal is a p-value at any time.

Where there is no difference, the chance that an e-value ever reaches 1 / alpha is alpha at most, however often and for
whatever reason one looks (Ville's inequality; Ramdas et al. 2023, arXiv:2210.01948).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OPEN = "not told apart yet"


@dataclass(frozen=True)
class SignTest:
    """How often the challenger won among rows that only one of the two has right, and the evidence either way."""

    wins: int
    losses: int
    better: float
    worse: float

    @classmethod
    def of(cls, wins: Sequence[bool]) -> "SignTest":
        """From one entry a row: whether the challenger is the one that is right."""
        won, rows = sum(wins), len(wins)
        return cls(won, rows - won, sign_e_value(won, rows - won), sign_e_value(rows - won, won))

    @property
    def in_words(self) -> str:
        """For people."""
        return f"right where the other is wrong: challenger {self.wins}, champion {self.losses}"

    def verdict(self, alpha: float) -> str:
        """`better`, `worse`, or `not told apart yet`; each is wrongly said with a chance of alpha at most."""
        if self.better >= 1 / alpha:
            return "better"
        return "worse" if self.worse >= 1 / alpha else OPEN


def sign_e_value(wins: int, losses: int) -> float:
    """Evidence that one wins more than half of the rows, from counts so far.

    The mean over all chances p in (1/2, 1) of the likelihood p^wins (1 - p)^losses, over that of 1/2: a Bayes factor of
    a uniform prior, which is an e-value at every count (Robbins 1970, Ann. Math. Statist. 41, 1397-1409).
    """
    from scipy.special import betaincc, betaln

    tail = float(betaincc(wins + 1, losses + 1, 0.5))
    if tail == 0:
        return 0.0
    logarithm = betaln(wins + 1, losses + 1) + math.log(2 * tail) + (wins + losses) * math.log(2)
    return math.exp(min(logarithm, 700))


@dataclass(frozen=True)
class ArmsTest:
    """How often each of two versions was right on its own rows, and the evidence that the challenger is the better."""

    champion_rows: int
    champion_right: int
    challenger_rows: int
    challenger_right: int
    better: float
    worse: float

    @property
    def in_words(self) -> str:
        """For people."""
        arms = (self.challenger_right, self.challenger_rows), (self.champion_right, self.champion_rows)
        challenger, champion = (f"{right} of {rows} ({right / max(1, rows):.1%})" for right, rows in arms)
        return f"challenger right in {challenger}, champion in {champion}"

    def verdict(self, alpha: float) -> str:
        """As that of `SignTest`."""
        if self.better >= 1 / alpha:
            return "better"
        return "worse" if self.worse >= 1 / alpha else OPEN


def compare_arms(champion: Sequence[bool], challenger: Sequence[bool], rows_a_block: tuple[int, int]) -> ArmsTest:
    """Whether the rows of one version come out right more often than those of the other.

    Each row has to be drawn by itself: of rows that hang together, as those of one customer do, give one. They are
    taken in order, in blocks of `rows_a_block` of champion and challenger, which have to be settled before the first
    look; what does not fill a block waits for the next one. In each block the likelihood under the two rates as they
    were estimated from the blocks before stands over that under their mean, weighted by rows; the product is an e-value
    (Turner, Ly and Grünwald 2024, arXiv:2106.02693, theorem 1). Blocks in which the estimates do not speak for the side
    in question count as 1.
    """
    first, second = np.asarray(champion, dtype=bool), np.asarray(challenger, dtype=bool)
    better, worse = _arms_e_value(first, second, rows_a_block), _arms_e_value(second, first, rows_a_block[::-1])
    return ArmsTest(len(first), int(first.sum()), len(second), int(second.sum()), better, worse)


def _arms_e_value(lower: NDArray[np.bool_], higher: NDArray[np.bool_], sizes: tuple[int, ...]) -> float:
    """Evidence that `higher` has the higher rate."""
    arms = list(zip((lower, higher), sizes, strict=True))
    blocks = min(len(arm) // size for arm, size in arms)
    sums = [arm[: blocks * size].reshape(blocks, size).sum(axis=1) for arm, size in arms]
    # Rates before each block, from half a right and half a wrong row to begin with.
    before = [
        (np.cumsum(right) - right + 0.5) / (np.arange(blocks) * size + 1)
        for right, size in zip(sums, sizes, strict=True)
    ]
    low, high = before
    alike = (sizes[0] * low + sizes[1] * high) / sum(sizes)
    logs = np.zeros(blocks)
    for right, size, rate in zip(sums, sizes, before, strict=True):
        logs += right * np.log(rate / alike) + (size - right) * np.log((1 - rate) / (1 - alike))
    return float(np.exp(min(float(logs[high > low].sum()), 700.0)))
