"""Gaps between groups: whether rows that mention a group are got wrong more often than the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
SEED = 20_260


@dataclass(frozen=True)
class GroupGap:
    """A rate of mistakes among the rows that mention a group, and by how much it exceeds that of all other rows.

    `low` and `high` bound the gap's 95% bootstrap interval. Numbers are None where either side has too few rows to say.
    """

    measure: str
    group: str
    rows: int
    rate: float | None = None
    others_rate: float | None = None
    gap: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def too_small_to_say(self) -> bool:
        """Whether there are too few rows."""
        return self.gap is None


def group_gaps(
    measure: str, mentions: Mapping[str, Sequence[bool]], wrong: Sequence[bool], minimum_rows: int
) -> list[GroupGap]:
    """The gap of each group; `mentions` says of each row whether it mentions the group, `wrong` whether it counts."""
    mistakes = np.asarray(wrong, dtype=bool)
    return [_gap(measure, group, np.asarray(of, dtype=bool), mistakes, minimum_rows) for group, of in mentions.items()]


def _gap(measure: str, group: str, inside: NDArray[np.bool_], wrong: NDArray[np.bool_], minimum_rows: int) -> GroupGap:
    rows, others = int(inside.sum()), int((~inside).sum())
    if min(rows, others) < max(1, minimum_rows):
        return GroupGap(measure, group, rows)
    rate, others_rate = float(wrong[inside].mean()), float(wrong[~inside].mean())
    draw = np.random.default_rng(SEED)
    # Rows drawn with replacement, of which a share is wrong: the number of wrong ones is binomial.
    drawn = draw.binomial(rows, rate, DRAWS) / rows - draw.binomial(others, others_rate, DRAWS) / others
    low, high = np.quantile(drawn, (0.025, 0.975))
    return GroupGap(measure, group, rows, rate, others_rate, rate - others_rate, float(low), float(high))
