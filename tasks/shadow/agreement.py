"""How far two versions agree on rows that nobody has labelled, and the rows to label where they do not."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_contracts.artifacts import ShadowAnswers
from data_contracts.errors import InputError
from tasks.modeling.answers import Answers, read_answers
from tasks.modeling.heads import AnyHead
from tasks.modeling.sequential import SignTest
from tasks.shadow.labels import known_label
from tasks.shadow.serving import CHALLENGER, CHAMPION

ROW = "_row"


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


def differing_rows(
    folders: Mapping[str, Path], heads: Mapping[str, AnyHead], columns: Sequence[str]
) -> list[dict[str, Any]]:
    """The rows that the versions answer otherwise, the surest of both first, each with what they say.

    `folders` are those of the batches. Of rows that are alike in all text `columns` there is the first. `_row` names a
    row for `label_test`, `differs` its tasks, and a column for each of them stands empty for the label.
    """
    found: dict[tuple[Any, ...], tuple[float, dict[str, Any]]] = {}
    for batch, folder in folders.items():
        shared = {task: head for task, head in _answered_by_both(folder, heads).items() if head.has_confidence}
        champion, challenger = _both(folder, shared)
        for at, row in enumerate(_rows(folder)):
            tasks = [task for task in shared if challenger.answers[task][at] != champion.answers[task][at]]
            if tasks:
                sure = max(min(of.confidences[task][at] for of in (champion, challenger)) for task in tasks)
                blank = {shared[task].column: None for task in tasks}
                shown = {ROW: f"{batch}:{at}", **row, **blank, "differs": tasks}
                found.setdefault(_texts(row, columns), (sure, shown))
    return [row for _, row in sorted(found.values(), key=lambda pair: -pair[0])]


def agreement_page(pipeline: str, answers: ShadowAnswers, found: list[Agreement]) -> str:
    """Markdown: how far the versions agree on one batch."""
    rows = "\n".join(f"| {a.task} | {a.rows} | {a.in_words} |" for a in found)
    return (
        f"# Champion {answers.champion} and challenger {answers.challenger}, unseen\n\n"
        f"| task | rows | agreement |\n| --- | ---: | ---: |\n{rows}\n\n"
        f"`graft shadow {pipeline} --differences FILE` writes the rows that they answer otherwise, to be labelled.\n"
    )


def label_tests(
    folders: Mapping[str, Path],
    heads: Mapping[str, AnyHead],
    columns: Sequence[str],
    labelled: list[dict[str, Any]],
) -> dict[str, SignTest]:
    """{task: which version labels prove right where the two differ}, from rows of `differing_rows` with labels.

    `folders` are those of the batches. Rows that both answer alike, both wrongly, or that have no label, say nothing;
    of rows that are alike in all text `columns` the first with a label counts, for one text that is asked often is one
    text. Each is one look more; the test allows any number. Raises InputError for a row that was never answered, and
    for a label that the task does not know.
    """
    shared: dict[str, dict[str, AnyHead]] = {b: _answered_by_both(folder, heads) for b, folder in folders.items()}
    answers = {batch: _both(folder, shared[batch]) for batch, folder in folders.items()}
    texts = {batch: [_texts(row, columns) for row in _rows(folder)] for batch, folder in folders.items()}
    counted: set[tuple[str, tuple[Any, ...]]] = set()
    wins: dict[str, list[bool]] = {}
    for number, row in enumerate(labelled, start=1):
        batch, _, at = str(row.get(ROW)).partition(":")
        if batch not in answers or not at.isdigit() or int(at) >= len(texts[batch]):
            raise InputError(
                f"labelled row {number}: {ROW!r} is {row.get(ROW)!r}, and names no row that these versions answered. "
                "Take the rows of `graft shadow --differences`, and change nothing but the labels."
            )
        champion, challenger = answers[batch]
        for task, head in shared[batch].items():
            label = row.get(head.column)
            text = (task, texts[batch][int(at)])
            if label is None or not head.has_confidence or text in counted:
                continue
            label = known_label(label, head, f"labelled row {number}")
            counted.add(text)
            right = [head.is_right(of.answers[task][int(at)], label) for of in (champion, challenger)]
            if right[0] != right[1]:
                wins.setdefault(task, []).append(right[1])
    return {task: SignTest.of(of_task) for task, of_task in wins.items()}


def _answered_by_both(folder: Path, heads: Mapping[str, AnyHead]) -> dict[str, AnyHead]:
    names = [set(pq.read_schema(folder / f"{role}.parquet").names) for role in (CHAMPION, CHALLENGER)]
    return {task: head for task, head in heads.items() if all(task in of_role for of_role in names)}


def _both(folder: Path, heads: Mapping[str, AnyHead]) -> tuple[Answers, Answers]:
    return (
        read_answers(folder / f"{CHAMPION}.parquet", heads),
        read_answers(folder / f"{CHALLENGER}.parquet", heads),
    )


def _texts(row: Mapping[str, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row.get(column) for column in columns)


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    with (folder / "rows.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, itertools.filterfalse(str.isspace, file))
