"""Gaps between groups: whether rows that mention a group are got wrong more often than the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.clusters import Clusters, sums_of_clusters
from tasks.evaluation.resampling import INTERVAL, resampled_sums

DRAWS = 2000


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
    measure: str,
    mentions: Mapping[str, Sequence[bool]],
    wrong: Sequence[bool],
    minimum_rows: int,
    clusters: Clusters | None = None,
) -> list[GroupGap]:
    """The gap of each group; `mentions` says of each row whether it mentions the group, `wrong` whether it counts.

    Rows of one cluster are drawn together, and the clusters of either side are what may be too few.
    """
    mistakes = np.asarray(wrong, dtype=bool)
    return [
        _gap(measure, group, np.asarray(of, dtype=bool), mistakes, minimum_rows, clusters)
        for group, of in mentions.items()
    ]


def _gap(
    measure: str,
    group: str,
    inside: NDArray[np.bool_],
    wrong: NDArray[np.bool_],
    minimum_rows: int,
    clusters: Clusters | None,
) -> GroupGap:
    rows = int(inside.sum())
    alone = np.arange(len(inside)) if clusters is None else clusters
    if min(len(np.unique(alone[side])) for side in (inside, ~inside)) < max(1, minimum_rows):
        return GroupGap(measure, group, rows)
    table = np.stack([inside & wrong, inside, ~inside & wrong, ~inside], axis=1).astype(float)
    drawn = resampled_sums(sums_of_clusters(table, clusters), DRAWS)
    # A draw that takes no row of one side says nothing of a gap.
    both = drawn[(drawn[:, 1] > 0) & (drawn[:, 3] > 0)]
    low, high = np.quantile(both[:, 0] / both[:, 1] - both[:, 2] / both[:, 3], INTERVAL)
    rate, others_rate = float(wrong[inside].mean()), float(wrong[~inside].mean())
    return GroupGap(measure, group, rows, rate, others_rate, rate - others_rate, float(low), float(high))
