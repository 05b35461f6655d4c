"""How far two versions agree on rows that nobody has labelled, and the rows to label where they do not."""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_contracts.artifacts import ShadowAnswers
from data_contracts.errors import InputError
from tasks.modeling.answers import Answers, read_answers, read_ids
from tasks.modeling.heads import AnyHead
from tasks.modeling.sequential import ArmsTest, SignTest, compare_arms

ROW = "_row"
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Agreement:
    """Of one task: rows, and how many were answered alike; of numbers, which always differ, the mean distance."""

    task: str
    rows: int
    alike: int | None
    mean_distance: float | None

    @property
    def in_words(self) -> str:
        """For people."""
        if self.alike is not None:
            return f"{self.alike / self.rows:.1%}"
        return f"mean distance {self.mean_distance:.3f}"


def agreement_of(folder: Path, heads: Mapping[str, AnyHead]) -> list[Agreement]:
    """Of every task that both versions answer, in the folder that `answer_twice` wrote."""
    shared = _answered_by_both(folder, heads)
    champion, challenger = _both(folder, shared)
    found = []
    for task, head in shared.items():
        pairs = list(zip(champion.answers[task], challenger.answers[task], strict=True))
        if head.has_confidence:
            alike = sum(theirs == ours for theirs, ours in pairs)
            found.append(Agreement(task, len(pairs), alike, None))
        else:
            distance = sum(abs(theirs - ours) for theirs, ours in pairs) / len(pairs)
            found.append(Agreement(task, len(pairs), None, distance))
    return found


def differing_rows(folder: Path, heads: Mapping[str, AnyHead], batch: str) -> list[dict[str, Any]]:
    """The rows that the versions answer otherwise, the surest of both first, each with what they say.

    `_row` names a row for `label_test`, `differs` its tasks, and a column for each of them stands empty for the label.
    """
    shared = {task: head for task, head in _answered_by_both(folder, heads).items() if head.has_confidence}
    champion, challenger = _both(folder, shared)
    found = []
    for at, row in enumerate(_rows(folder)):
        tasks = [task for task in shared if challenger.answers[task][at] != champion.answers[task][at]]
        if tasks:
            sure = max(min(of.confidences[task][at] for of in (champion, challenger)) for task in tasks)
            blank = {shared[task].column: None for task in tasks}
            found.append((sure, {ROW: f"{batch}:{at}", **row, **blank, "differs": tasks}))
    return [row for _, row in sorted(found, key=lambda pair: -pair[0])]


def agreement_page(pipeline: str, answers: ShadowAnswers, found: list[Agreement]) -> str:
    """Markdown: how far the versions agree on one batch."""
    rows = "\n".join(f"| {a.task} | {a.rows} | {a.in_words} |" for a in found)
    return (
        f"# Champion {answers.champion} and challenger {answers.challenger}, unseen\n\n"
        f"| task | rows | agreement |\n| --- | ---: | ---: |\n{rows}\n\n"
        f"`graft shadow {pipeline}` lists the rows that they answer otherwise, to be labelled.\n"
    )


def label_tests(
    folders: Mapping[str, Path], heads: Mapping[str, AnyHead], labelled: list[dict[str, Any]]
) -> dict[str, SignTest]:
    """{task: which version labels prove right where the two differ}, from rows of `differing_rows` with labels.

    `folders` are those of the batches. Rows that both answer alike, both wrongly, or that have no label, say nothing.
    Each is one look more; the test allows any number.
    """
    shared: dict[str, dict[str, AnyHead]] = {b: _answered_by_both(folder, heads) for b, folder in folders.items()}
    answers = {batch: _both(folder, shared[batch]) for batch, folder in folders.items()}
    rows_of = {batch: read_ids(folder, CHAMPION) for batch, folder in folders.items()}
    wins: dict[str, list[bool]] = {}
    for number, row in enumerate(labelled, start=1):
        batch, _, at = str(row.get(ROW)).partition(":")
        if batch not in answers or not at.isdigit() or int(at) >= len(rows_of[batch]):
            raise InputError(
                f"labelled row {number}: {ROW!r} is {row.get(ROW)!r}, and names no row that these versions answered. "
                "Take the rows of `graft shadow --differences`, and change nothing but the labels."
            )
        champion, challenger = answers[batch]
        for task, head in shared[batch].items():
            label = row.get(head.column)
            if label is None or not head.has_confidence:
                continue
            right = [head.is_right(of.answers[task][int(at)], label) for of in (champion, challenger)]
            if right[0] != right[1]:
                wins.setdefault(task, []).append(right[1])
    return {task: SignTest.of(of_task) for task, of_task in wins.items()}


def outcome_tests(
    rows: list[dict[str, Any]],
    heads: Mapping[str, AnyHead],
    versions: tuple[int, int],
    champion_rows_a_block: int,
    success: str | None,
) -> dict[str, ArmsTest]:
    """{task: which version does better on the rows that it served}, from rows that say `served_by` and have labels.

    With `success`, a column of true and false, the one entry is of that. Rows of other versions, and those without a
    label, say nothing. Raises InputError where no row says who served it.
    """
    if not any(row.get("served_by") in versions for row in rows):
        raise InputError(
            f"no row was served by version {versions[0]} or {versions[1]} (`served_by`). Give rows that `graft "
            "predict` answered with serving.challenger_share above 0, and with their labels or outcomes."
        )
    found: dict[str, tuple[list[bool], list[bool]]] = {}
    for row in rows:
        if row.get("served_by") not in versions:
            continue
        arm = versions.index(row["served_by"])
        for task, right in _outcomes(row, heads, success).items():
            found.setdefault(task, ([], []))[arm].append(right)
    return {task: compare_arms(*arms, (champion_rows_a_block, 1)) for task, arms in found.items()}


def _outcomes(row: dict[str, Any], heads: Mapping[str, AnyHead], success: str | None) -> dict[str, bool]:
    if success is not None:
        return {} if row.get(success) is None else {success: bool(row[success])}
    return {
        task: row["predictions"][task]["label"] == row[head.column]
        for task, head in heads.items()
        if head.one_label and row.get(head.column) is not None
    }


def _answered_by_both(folder: Path, heads: Mapping[str, AnyHead]) -> dict[str, AnyHead]:
    names = [set(pq.read_schema(folder / f"{role}.parquet").names) for role in (CHAMPION, CHALLENGER)]
    return {task: head for task, head in heads.items() if all(task in of_role for of_role in names)}


def _both(folder: Path, heads: Mapping[str, AnyHead]) -> tuple[Answers, Answers]:
    return (
        read_answers(folder / f"{CHAMPION}.parquet", heads),
        read_answers(folder / f"{CHALLENGER}.parquet", heads),
    )


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    with (folder / "rows.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, itertools.filterfalse(str.isspace, file))
