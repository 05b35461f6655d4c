"""Protected slices: in no group of them may a candidate be worse than the champion by more than the margin."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.checks import Check
from tasks.evaluation.differences import Difference, PairedRows, differences
from tasks.evaluation.policy import SKILL, GatePolicy
from tasks.evaluation.promotion_rule import clearly_worse
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.evaluation.slices import Groups


def protected_checks(tasks: Mapping[str, PairedRows], groups: Mapping[str, Groups], policy: GatePolicy) -> list[Check]:
    """A check for every group of the in-domain rows that `policy.protected_slices` name, in every task.

    The chances of all groups and tasks are held to alpha together (`holm`). What is worse on its own only leaves the
    verdict open, a group of too few rows is named, and a slice that the rows do not have is not kept.
    """
    checks, found = [], []
    for name in policy.protected_slices:
        if not groups.get(name):
            limit = f"no group below -{policy.margin:.3f}"
            checks.append(Check(f"slice {name}", "the in-domain rows have no such groups", limit, False))
        for group, rows in groups.get(name, {}).items():
            within = {task: _rows_of(paired, rows) for task, paired in tasks.items()}
            of_group = differences("champion", IN_DOMAIN, within, policy)
            found += [(f"{name} {group}", d) for d in of_group if d.task != SKILL]
    few = [(group, d) for group, d in found if d.rows < policy.slice_min_rows]
    judged = [(group, d) for group, d in found if d.rows >= policy.slice_min_rows]
    worse = clearly_worse([d for _, d in judged], None, policy)
    checks += [_check(group, d, is_worse, policy) for (group, d), is_worse in zip(judged, worse, strict=True)]
    limit = f"{policy.slice_min_rows} rows at least to be judged"
    checks += [Check(f"{d.task} where {group}", f"{d.rows} row(s)", limit, None) for group, d in few]
    return checks


def _rows_of(paired: PairedRows, rows: NDArray[np.int64]) -> PairedRows:
    return paired._replace(
        candidate=paired.candidate[rows],
        opponent=paired.opponent[rows],
        known=paired.known[rows],
        clusters=None if paired.clusters is None else paired.clusters[rows],
    )


def _check(group: str, difference: Difference, is_worse: bool, policy: GatePolicy) -> Check:
    margin = policy.margin_of(difference.task)
    return Check(
        f"{difference.task} where {group}, against the champion",
        f"{difference.shown} on {difference.rows} rows",
        f"not shown to be below -{margin:.3f}",
        not is_worse and difference.high >= -margin,
        "REJECT" if is_worse else "INCONCLUSIVE",
    )
