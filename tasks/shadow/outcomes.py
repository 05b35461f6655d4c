"""Which of two versions does better on the rows that each served, by what became of the answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_contracts.errors import InputError
from tasks.modeling.heads import AnyHead
from tasks.modeling.sequential import ArmsTest, compare_arms
from tasks.shadow.labels import known_label
from tasks.shadow.serving import Serving, key_of


@dataclass(frozen=True)
class OutcomeTest:
    """The test of the first row of every key, and how many rows these were taken from."""

    arms: ArmsTest
    rows: int

    @property
    def in_words(self) -> str:
        """For people."""
        keys = self.arms.champion_rows + self.arms.challenger_rows
        return f"{self.arms.in_words} (first rows of {keys} keys, of {self.rows} rows)"

    def verdict(self, alpha: float) -> str:
        """As that of `ArmsTest`."""
        return self.arms.verdict(alpha)


def outcome_tests(
    path: str,
    rows: Mapping[int, dict[str, Any]],
    heads: Mapping[str, AnyHead],
    versions: tuple[int, int],
    serving: Serving,
    success: str | None,
) -> dict[str, OutcomeTest]:
    """{task: which version does better on the rows that it served}, from rows that say `served_by` and have labels.

    `rows` are those of the file `path` by line number, in the order of time. With `success`, a column of true and
    false, the one entry is of that. Of each key the first row with an outcome counts: versions are given to keys, so
    rows of one key are no evidence of their own. Rows of other versions, and those without a label, say nothing.
    Raises InputError where no row says who served it or has the column, and, naming the line, for a row without a key
    or an answer, with a label that the task does not know, or with something else than true or false.
    """
    if not any(row.get("served_by") in versions for row in rows.values()):
        raise InputError(
            f"no row was served by version {versions[0]} or {versions[1]} (`served_by`). Give rows that `graft "
            "predict` answered with serving.challenger_share above 0, and with their labels or outcomes."
        )
    _check_columns(path, rows, [success] if success else [head.column for head in heads.values() if head.one_label])
    given: dict[str, int] = {}
    firsts: dict[str, dict[str, tuple[int, bool]]] = {}
    for line, row in rows.items():
        if row.get("served_by") not in versions:
            continue
        where = f"{path}, line {line}"
        arm, key = versions.index(row["served_by"]), key_of(row, where, serving)
        found = _by_labels(row, where, heads) if success is None else _by_column(row, where, success)
        for task, right in found.items():
            given[task] = given.get(task, 0) + 1
            firsts.setdefault(task, {}).setdefault(key, (arm, right))
    # Settled before the first look, as the test asks for it: champion and challenger in the ratio of their shares.
    block = max(1, round(1 / serving.challenger_share) - 1), 1
    return {task: OutcomeTest(_compare(list(of.values()), block), given[task]) for task, of in firsts.items()}


def _compare(observed: list[tuple[int, bool]], rows_a_block: tuple[int, int]) -> ArmsTest:
    """The test of (arm, right), one a key."""
    champion, challenger = ([right for of, right in observed if of == arm] for arm in (0, 1))
    return compare_arms(champion, challenger, rows_a_block)


def _check_columns(path: str, rows: Mapping[int, dict[str, Any]], wanted: list[str]) -> None:
    there = list(dict.fromkeys(name for row in rows.values() for name in row))
    if not any(name in there for name in wanted):
        raise InputError(
            f"{path}: no row has {' or '.join(map(repr, wanted))}. The columns there are: {', '.join(there)}. Add "
            "labels or outcomes to the rows, or name the column that has them with --success."
        )


def _by_column(row: dict[str, Any], where: str, success: str) -> dict[str, bool]:
    value = row.get(success)
    if value is None:
        return {}
    # Words are refused, since "false" would count as true.
    if value not in (True, False):
        raise InputError(
            f"{where}: {success!r} is {value!r}. Allowed are true and false, without quotes, or 1 and 0; null, or no "
            f"{success!r}, where nothing is known."
        )
    return {success: bool(value)}


def _by_labels(row: dict[str, Any], where: str, heads: Mapping[str, AnyHead]) -> dict[str, bool]:
    """Of the tasks that have a label, and that the version which served the row answers: the two may have others."""
    labels = {
        task: row[head.column] for task, head in heads.items() if head.one_label and row.get(head.column) is not None
    }
    answers: Any = row.get("predictions")
    if labels and not isinstance(answers, dict):
        raise InputError(
            f"{where}: 'predictions' is {answers!r}, so nothing says how it was answered. Give rows as `graft predict` "
            "wrote them, with labels added, or a column of outcomes with --success."
        )
    labels = {task: known_label(label, heads[task], where) for task, label in labels.items()}
    return {task: answers[task]["label"] == label for task, label in labels.items() if task in answers}
