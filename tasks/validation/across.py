"""Rules that only show when rows are held against each other: duplicates, leakage, and labels that contradict."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.dataset import DatasetContract, Property
from data_contracts.rules import Action
from data_contracts.splits import TRAIN, VALIDATION
from data_contracts.texts import words_alone
from tasks.validation.checks import EXAMPLES, Finding, RuleResult
from tasks.validation.duplicates import Rows, find_duplicates, fingerprints
from tasks.validation.masking import shown
from tasks.validation.tags import entities_in

# The row that goes is the one further from the last judgement.
PRIORITY = {TRAIN: 0, VALIDATION: 1}
JUDGED = 2
ORIGIN = ("_file", "_row")
SHOWN = 200
ROWS_AT_ONCE = 10_000
Broken = Mapping[str, NDArray[np.bool_]]


@dataclass
class Across:
    """What was found across rows: findings, which go to `write`, rules about the whole that are broken, and counts."""

    contract: DatasetContract
    write: Callable[[Iterable[Finding]], None]
    failures: list[str] = field(default_factory=list)
    results: list[RuleResult] = field(default_factory=list)


def check_across(
    splits: Mapping[str, Path],
    contract: DatasetContract,
    broken: Broken,
    scratch: Path,
    write: Callable[[Iterable[Finding]], None],
    since: Collection[str] = (),
) -> Across:
    """Conflicting labels, then duplicates, of rows that are not broken yet; what is to go is marked in `broken`.

    Findings, with their split, are given to `write` as they are made. The rules are those of the contract's first text
    column; where it has several, they count as one text. `since` are the files of rows that people labelled since: a
    text of theirs may well be that of another row, and is at most quarantined for it.
    """
    found = Across(contract, write)
    if not contract.text_columns:
        return found
    rules = contract.text_columns[0].rules
    has_conflicts, has_duplicates = rules.conflicting_labels != "allow", not rules.duplicates.allow_all
    words = {name: words_of(path, contract) for name, path in splits.items() if has_conflicts or has_duplicates}
    if has_conflicts:
        for split, path in splits.items():
            _check_conflicts(split, path, contract, _unbroken(words[split], broken[split]), broken[split], found)
    if has_duplicates:
        left = [_unbroken(words[name], broken[name]) for name in splits]
        _check_duplicates(_Together(splits, left), broken, scratch, since, found)
    return found


def words_of(path: Path, contract: DatasetContract) -> pa.ChunkedArray:
    """The words of each row's text, in as many chunks as the file has groups of rows."""
    table = pq.read_table(path, columns=[column.name for column in contract.text_columns])
    parts = [pc.fill_null(words_alone(column), "") for column in table.columns]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, " \x1f ")


def _unbroken(words: pa.ChunkedArray, broken: NDArray[np.bool_]) -> pa.ChunkedArray:
    """The words, "" for a row that is broken."""
    return pc.if_else(pa.array(broken), "", words) if broken.any() else words


def _check_conflicts(
    split: str,
    path: Path,
    contract: DatasetContract,
    words: pa.ChunkedArray,
    broken: NDArray[np.bool_],
    found: Across,
) -> None:
    marks = fingerprints(words)
    spoken = np.asarray(pc.not_equal(words, ""))
    repeated = np.flatnonzero(pd.Series(marks).duplicated(keep=False).to_numpy() & spoken)
    action = contract.text_columns[0].rules.conflicting_labels
    for column in (column for column in contract.columns if _is_class(column)):
        taken = pa.array(repeated, type=pa.int64())
        labels = pq.read_table(path, columns=[column.name]).column(0).take(taken).to_pandas()
        frame = pd.DataFrame({"mark": marks[repeated], "label": labels.map(_as_text), "position": repeated}).dropna()
        against = frame.groupby("mark")["label"].transform("nunique") > 1 if len(frame) else frame["label"].notna()
        rows = frame[against]
        others = rows.groupby("mark")["label"].agg(lambda of: ", ".join(sorted(set(of))[:4]))
        positions = rows["position"].to_numpy()
        said = {mark: shown(labels, column.name, contract)[:SHOWN] for mark, labels in others.items()}
        reasons = [f"one text, conflicting labels: {said[mark]}" for mark in rows["mark"]]
        _act(action, split, path, column.name, positions, reasons, broken, found, "conflictingLabels: quarantine")
        found.results.append(
            RuleResult(
                split=split,
                column=column.name,
                rule="one text, one label",
                expectation="conflicting labels",
                checked=len(words),
                broken=len(positions),
                examples=tuple(reasons[:EXAMPLES]),
            )
        )


class _Case(NamedTuple):
    """Rows, by their place among all, that break one rule, and the row that each of all rows is held against.

    `setting` is what says in a contract how it acts.
    """

    rule: str
    setting: str
    what: str
    action: Action
    rows: Rows
    others: Rows


def _check_duplicates(
    together: "_Together", broken: Broken, scratch: Path, since: Collection[str], found: Across
) -> None:
    rules = found.contract.text_columns[0].rules.duplicates
    priority = np.array([PRIORITY.get(name, JUDGED) for name in together.names])[together.split_of]
    twins = find_duplicates(together.words, priority, rules.similarity, scratch)
    rows = np.flatnonzero(twins.of >= 0)
    same, exact = together.split_of[rows] == together.split_of[twins.of[rows]], twins.exact[rows]
    # Rows that are only judged on may well stand in two splits: one may be made from the other.
    leaks = ~same & (priority[rows] < JUDGED)
    # What a row repeats may stand in another split, and in its own all the same.
    before = together.first_in_split(twins.first)
    again = np.flatnonzero(before != np.arange(len(before)))
    cases = [
        _Case("once in its split", "within", "the same text", rules.within, again, before),
        _Case("in no split that is judged on", "across", "the same text", rules.across, rows[leaks & exact], twins.of),
    ]
    if rules.similarity is not None:
        near, leak, what = rows[same & ~exact], rows[leaks & ~exact], "nearly the same text"
        cases += [
            _Case("nearly once in its split", "nearWithin", what, rules.near_within, near, twins.of),
            _Case("nearly in no split that is judged on", "nearAcross", what, rules.near_across, leak, twins.of),
        ]
    for case in cases:
        for number in range(len(together.names)):
            _apply(case, number, rules.similarity, together, broken, since, found)


def _apply(
    case: _Case,
    number: int,
    similarity: float | None,
    together: "_Together",
    broken: Broken,
    since: Collection[str],
    found: Across,
) -> None:
    """One case in the split of that number."""
    name, path = together.names[number], together.paths[number]
    column = found.contract.text_columns[0].name
    own = case.rows[together.split_of[case.rows] == number]
    texts: list[str] = []
    if case.action != "allow" and len(own):
        nobodys = together.from_files(since, own) | together.from_files(since, case.others[own])
        divided: list[tuple[Action, Rows]] = [("quarantine", own[nobodys]), (case.action, own[~nobodys])]
        for action, rows in divided:
            reasons = together.told(case.what, case.others[rows])
            positions = rows - together.starts[number]
            remedy = f"duplicates: {{{case.setting}: quarantine}}"
            texts += _act(action, name, path, column, positions, reasons, broken[name], found, remedy)[:EXAMPLES]
    found.results.append(
        RuleResult(
            split=name,
            column=column,
            rule=case.rule,
            expectation="duplicates",
            arguments={"action": case.action, "similarity": similarity},
            checked=len(together.words[number]),
            broken=len(own),
            examples=tuple(texts[:EXAMPLES]),
        )
    )


class _Together:
    """The words of all splits, one behind the other: `split_of` each row, and where each split `starts`."""

    def __init__(self, splits: Mapping[str, Path], words: list[pa.ChunkedArray]) -> None:
        self.names = list(splits)
        self.words = words
        sizes = [len(of_split) for of_split in words]
        self.split_of = np.repeat(np.arange(len(words)), sizes)
        self.starts = np.cumsum([0, *sizes])
        self.paths = list(splits.values())

    def first_in_split(self, first: Rows) -> Rows:
        """For every row the first row of its split with the same text, given the first of all splits."""
        _, where, group = np.unique(first * len(self.names) + self.split_of, return_index=True, return_inverse=True)
        found: Rows = where[group]
        return found

    def from_files(self, files: Collection[str], rows: Rows) -> NDArray[np.bool_]:
        """Which of the rows were read from one of the files."""
        found = np.zeros(len(rows), dtype=bool)
        for number in set(self.split_of[rows].tolist()) if files else ():
            own = self.split_of[rows] == number
            origin = pq.read_table(self.paths[number], columns=["_file"]).column(0)
            taken = origin.take(pa.array(rows[own] - self.starts[number]))
            found[own] = pc.is_in(taken, pa.array(sorted(files))).to_numpy()
        return found

    def told(self, what: str, others: NDArray[np.int64]) -> list[str]:
        """For each of the rows at `others`, what its duplicate is told: where that one stands."""
        numbers = {
            number: pq.read_table(self.paths[number], columns=["_row"]).column(0).to_numpy()
            for number in set(self.split_of[others].tolist())
        }
        return [
            f"{what} stands in {self.names[number]}, row {numbers[number][other - self.starts[number]]}"
            for number, other in zip(self.split_of[others].tolist(), others.tolist(), strict=True)
        ]


def _act(
    action: Action,
    split: str,
    path: Path,
    column: str,
    positions: NDArray[np.int64],
    reasons: Sequence[str],
    broken: NDArray[np.bool_],
    found: Across,
    remedy: str,
) -> list[str]:
    """Quarantines the rows, or says that the whole cannot be used, and by which rule of the contract it can; the
    column's values, as people are told of them."""
    if len(positions) == 0:
        return []
    given = pq.read_table(path, columns=[column]).column(0).take(pa.array(positions)).to_pylist()
    values = [shown(value, column, found.contract)[:SHOWN] for value in given]
    origin = pq.read_table(path, columns=["_id", *ORIGIN], read_dictionary=["_file"]).take(pa.array(positions))
    findings = (
        {"split": split, "id": of["_id"], "file": of["_file"], "row": of["_row"], "column": column}
        | {"rule": reason, "value": value}
        for of, reason, value in zip(_rows_of(origin), reasons, values, strict=True)
    )
    if action == "quarantine":
        broken[positions] = True
        found.write(findings)
    else:
        first = itertools.islice(findings, 3)
        told = "; ".join(f"row {f['row']} ({f['value'][:60]!r}) {f['rule']}" for f in first)
        found.failures.append(
            f"{split}, {column}: {len(positions)} rows of {len(broken)}, for example {told}. Mend them, or "
            f"say `{remedy}` in the contract, which leaves such rows out"
        )
    return values


def _rows_of(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows as Python objects, of which there are never many at once."""
    for batch in table.to_batches(ROWS_AT_ONCE):
        yield from batch.to_pylist()


def _is_class(column: Property) -> bool:
    return column.is_label and column.logical_type in ("string", "boolean", "array", "object")


def _as_text(value: Any) -> str | None:
    """What is said of a text; of tagged tokens that is the entities, however the tokens are cut."""
    if isinstance(value, dict) and "start" in value:
        return ", ".join(sorted(set(value["text"]))) or "no answer"
    if isinstance(value, dict):
        entities = entities_in(value["tokens"], value["tags"])
        return ", ".join(f"{kind}: {words}" for kind, words in entities) or "no entity"
    if isinstance(value, str | bool):
        return str(value)
    # What is missing is NaN or None by now, and lists are arrays.
    return ", ".join(sorted(value)) or "no label" if isinstance(value, list | np.ndarray) else None
