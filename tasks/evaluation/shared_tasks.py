"""What two models both answer, where the champion's heads are others than the candidate's.

A task that only the candidate answers is new, and judged against the baselines. One that only the champion answers is
named. A task whose labels changed is compared on the rows whose labels both models know: on the others one of the two
could not be right. It is new where they share fewer than two labels, where it is of another kind, or where its labels
have an order, in which a label that comes or goes moves all others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from tasks.evaluation.checks import Check
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.modeling.heads import AnyHead

ORDERED = "ordinal"


@dataclass
class SharedTasks:
    """Tasks to compare with the champion, new ones, labels that both know where they differ, and what to say of it."""

    compared: dict[str, AnyHead] = field(default_factory=dict)
    new: dict[str, AnyHead] = field(default_factory=dict)
    labels: dict[str, frozenset[str]] = field(default_factory=dict)
    notes: list[Check] = field(default_factory=list)


def shared_tasks(
    heads: Mapping[str, AnyHead], champion: Path, champion_heads: Mapping[str, AnyHead] | None
) -> SharedTasks:
    """Of the candidate's `heads`, and the champion's answers in that folder; its heads are the same by default."""
    answered = set(pq.read_schema(champion / f"{IN_DOMAIN}.parquet").names)
    before = {task: head for task, head in (champion_heads or heads).items() if task in answered}
    shared = SharedTasks()
    for task, head in heads.items():
        why = _why_new(head, before.get(task))
        if why is not None:
            shared.new[task] = head
            shared.notes.append(_note(task, why, "judged as a new task, against the baselines"))
            continue
        shared.compared[task] = head
        if set(head.labels) != set(before[task].labels):
            shared.labels[task] = frozenset(head.labels) & frozenset(before[task].labels)
            changed = "; ".join(_changed(before[task].labels, head.labels))
            shared.notes.append(_note(task, changed, "compared on the rows whose labels both models know"))
    shared.notes += [
        _note(task, "the champion answers it, the candidate does not", "not compared")
        for task in before
        if task not in heads
    ]
    return shared


def _why_new(head: AnyHead, before: AnyHead | None) -> str | None:
    if before is None:
        return "the champion does not answer it"
    if head.kind != before.kind:
        return f"the champion's head is of kind {before.kind}, the candidate's {head.kind}"
    if set(head.labels) == set(before.labels):
        return None if head.kind != ORDERED or head.labels == before.labels else "its labels have another order"
    if head.kind == ORDERED or len(set(head.labels) & set(before.labels)) < 2:
        return "; ".join(_changed(before.labels, head.labels))
    return None


def _changed(before: tuple[str, ...], now: tuple[str, ...]) -> list[str]:
    gone, come = sorted(set(before) - set(now)), sorted(set(now) - set(before))
    lists = {"labels gone": gone, "labels new": come}
    return [f"{what}: {', '.join(names)}" for what, names in lists.items() if names]


def _note(task: str, found: str, limit: str) -> Check:
    return Check(f"task {task}", found, limit, None)
