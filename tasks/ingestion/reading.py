"""From bytes to typed rows: a snapshot with a Parquet file a split, and a note of every row that could not be read.

Files are read batch by batch, so memory does not grow with them.
"""

import io
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from data_contracts.artifacts import SourceFile
from data_contracts.cleaning import Cleaning, clean_tagged, clean_texts
from data_contracts.dataset import DatasetContract
from data_contracts.errors import InputError, complain
from data_contracts.labelling import AT_RANDOM, CHOSEN
from data_contracts.splits import OWN_SPLITS, TRAIN, WINDOW
from tasks.ingestion.answers import carried, with_texts
from tasks.ingestion.identity import file_digest, raw_id, row_ids
from tasks.ingestion.rows import RawRows
from tasks.ingestion.sources import Source, SourceAdapter
from tasks.ingestion.splits import Lines, Names, RandomSplit, Splits, StratifiedSplit
from tasks.ingestion.values import arrow_type, typed_column

ORIGIN = [("_id", pa.string()), ("_file", pa.string()), ("_row", pa.int64())]
Corrected = Mapping[str, Mapping[str, Any]]
Problem = dict[str, Any]
SHOWN = 200


@dataclass(frozen=True)
class Reading:
    """How rows are read: the contract, the cleaning, the rule that divides them, and what an owner has mended.

    `lines` are those that `split_lines` drew; `corrected` holds rows by the id of the row that each stands for.
    """

    contract: DatasetContract
    cleaning: Cleaning = field(default_factory=Cleaning)
    splits: Splits | None = None
    lines: Lines = field(default_factory=dict)
    corrected: Corrected = field(default_factory=dict)


def read_sources(files: Sequence[SourceFile], reading: Reading, output: Path) -> dict[str, int]:
    """Writes `<split>.parquet` for every split and `problems.jsonl`; returns the rows of each split.

    A value of the wrong type makes its row a problem: {id, split, file, row, column, rule, value, content}. Raises
    InputError for a file that is empty, changed since it was located or lacks a column, for a column that the contract
    lacks, and where rows are divided, for a split that gets none.
    """
    rows: dict[str, int] = {}
    schema = arrow_schema(reading.contract)
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        log = stack.enter_context((output / "problems.jsonl").open("w", encoding="utf-8"))
        bar = stack.enter_context(tqdm(desc="reading", unit="row", disable=None, leave=False))
        for file in files:
            for table in read_file(file, reading, log):
                names = splits_of(table, file, reading)
                for split in sorted(set(names)):
                    if split not in writers:
                        writers[split] = stack.enter_context(pq.ParquetWriter(output / f"{split}.parquet", schema))
                    part = table.filter(pa.array(names == split))
                    writers[split].write_table(part)
                    rows[split] = rows.get(split, 0) + part.num_rows
                bar.update(table.num_rows)
    if any(file.split is None for file in files):
        _refuse_empty_splits(rows)
    return rows


def read_file(file: SourceFile, reading: Reading, log: TextIO) -> Iterator[pa.Table]:
    """The rows of one file in typed batches, cleaned and corrected; problems go to `log`, a line each.

    Of rows labelled since, those that nobody has labelled yet are left out, and so is the column that says why people
    were asked to.
    """
    source = source_of(file)
    columns: set[str] = set()
    first: Problem | None = None
    with tempfile.TemporaryDirectory() as folder, source.local_copy(Path(folder)) as local:
        before = _state(local)
        if file_digest(local) != file.sha256:
            raise _changed(file)
        for raw in source.batches(local):
            columns |= raw.columns.keys()
            raw = at_random(raw) if file.drawn_at_random else raw
            table, problems = _typed(raw, file, reading)
            log.writelines(json.dumps(problem, ensure_ascii=False, default=str) + "\n" for problem in problems)
            first = first or next(iter(problems), None)
            table = labelled_rows(table, reading.contract) if file.labelled_since else table
            if table.num_rows:
                yield table
        # What is written behind the digest would be read, too, and be part of a snapshot that does not know of it.
        if _state(local) != before:
            raise _changed(file)
    split = file.split or TRAIN
    if not columns:
        unread = f" that can be read; the first, row {first['row']}, is {first['rule']}" if first else ""
        raise InputError(f"{file.address} holds no rows{unread}; split {split!r} needs some. Fill it or take it out.")
    _check_columns(columns - {CHOSEN} if file.labelled_since else columns, reading.contract, file)


def labelled_rows(table: pa.Table, contract: DatasetContract) -> pa.Table:
    """The rows with any label; all of them where the contract knows of none."""
    given = [pc.is_valid(table.column(column.name)) for column in contract.columns if column.is_label]
    return table.filter(reduce(pc.or_, given)) if given else table


def at_random(raw: RawRows) -> RawRows:
    """The rows that chance chose, of a file of `graft label`; of one that does not say who chose them, all."""
    if CHOSEN not in raw.columns:
        return raw
    kept = [place for place, why in enumerate(_values(raw.columns[CHOSEN])) if why in (None, AT_RANDOM)]
    given = {name: _values(column) for name, column in raw.columns.items()}
    columns: dict[str, Any] = {name: [values[place] for place in kept] for name, values in given.items()}
    return RawRows([raw.numbers[place] for place in kept], columns, raw.unreadable)


def split_lines(files: Sequence[SourceFile], reading: Reading, kept: Lines) -> Lines:
    """Where the lines between splits lie in each stratum, `kept` ones unmoved; nothing is read where there are none."""
    rule = reading.splits
    undivided = [file for file in files if file.split is None]
    if not isinstance(rule, StratifiedSplit) or not undivided:
        return {}
    values: list[str] = []
    places: list[NDArray[np.float64]] = []
    for file in undivided:
        for table in read_file(file, reading, io.StringIO()):
            values += map(str, table.column(rule.column).to_pylist())
            places.append(rule.positions(table, reading.contract))
    return rule.lines(values, np.concatenate(places), kept)


def source_of(file: SourceFile) -> Source:
    """The source that reads one file."""
    return SourceAdapter.validate_python({**file.reader, "path": file.address})


def splits_of(table: pa.Table, file: SourceFile, reading: Reading) -> Names:
    """The split of each row of a file."""
    if file.split is None:
        assert reading.splits is not None, "a file without a split comes with a rule that divides it"
        return reading.splits.assign(table, reading.contract, reading.lines)
    if file.held_out_split is None:
        return np.full(table.num_rows, file.split, dtype=object)
    # By its text, for people repeat each other, and what they say is not learnt and judged on at once.
    places = RandomSplit().positions(table, reading.contract)
    return np.where(places < file.held_out_share, file.held_out_split, file.split).astype(object)


def arrow_schema(contract: DatasetContract) -> pa.Schema:
    """Columns of a snapshot's Parquet files: the contract's, then where each row came from."""
    return pa.schema([(column.name, arrow_type(column)) for column in contract.columns] + ORIGIN)


def _state(local: Path) -> tuple[int, int, int] | None:
    """What tells that a file was written to, or that another one has taken its place; None of one that is gone."""
    with suppress(FileNotFoundError):
        facts = local.stat()
        return facts.st_ino, facts.st_size, facts.st_mtime_ns
    return None


def _changed(file: SourceFile) -> InputError:
    return InputError(f"{file.address} changed while the run was reading it. Run again once it is written.")


def _typed(raw: RawRows, file: SourceFile, reading: Reading) -> tuple[pa.Table, list[Problem]]:
    """The rows of a batch in the contract's types, and what is wrong with those that are left out."""
    origin = {"split": file.split or TRAIN, "file": file.sha256}
    problems: list[Problem] = [
        {"id": raw_id(row.value), **origin, "row": row.number, "column": "", "rule": row.problem}
        | {"value": row.value[:SHOWN], "content": row.value}
        for row in raw.unreadable
    ]
    columns, mistakes = _columns_of(raw.columns, len(raw.numbers), reading.contract)
    for position in sorted(mistakes):
        content = {name: _python(values[position]) for name, values in raw.columns.items()}
        problems += [
            {"id": raw_id(content), **origin, "row": int(raw.numbers[position]), "column": name}
            | {"rule": f"type: {mistake}", "value": str(content.get(name))[:SHOWN], "content": content}
            for name, mistake in mistakes[position].items()
        ]
    problems.sort(key=lambda problem: problem["row"])
    table = pa.table(columns | {"_row": pa.array(raw.numbers, type=pa.int64())})
    if mistakes:
        table = table.filter(pa.array([position not in mistakes for position in range(table.num_rows)]))
    table = _with_ids(_cleaned(table, reading), file)
    return _put_right(table, problems, file, reading) if reading.corrected else (table, problems)


def _columns_of(
    raw: Mapping[str, Any], rows: int, contract: DatasetContract
) -> tuple[dict[str, pa.Array], dict[int, dict[str, str]]]:
    """Typed columns, and {position: {column: what is wrong}}."""
    typed: dict[str, pa.Array] = {}
    mistakes: dict[int, dict[str, str]] = {}
    for column in contract.columns:
        values = raw.get(column.name, [None] * rows)
        if (text := column.rules.answers_in) is not None:
            values = with_texts(_values(values), _values(raw.get(text, [None] * rows)))
        typed[column.name], wrong = typed_column(values, column)
        for position, mistake in wrong.items():
            mistakes.setdefault(position, {})[column.name] = mistake
    return typed, mistakes


def _cleaned(table: pa.Table, reading: Reading) -> pa.Table:
    if reading.cleaning.changes_nothing:
        return table
    before = table
    # Answers last: where they stand in a cleaned text is looked for there.
    for column in sorted(reading.contract.columns, key=lambda column: column.rules.answers_in is not None):
        at = table.column_names.index(column.name)
        values = table.column(at).to_pylist()
        if column in reading.contract.text_columns:
            known = [position for position, value in enumerate(values) if value is not None]
            for position, text in zip(known, clean_texts([values[p] for p in known], reading.cleaning), strict=True):
                values[position] = text
        elif column.rules.answers_in is not None:
            texts = (of.column(column.rules.answers_in).to_pylist() for of in (before, table))
            values = [
                carried(value, text, cleaned, reading.cleaning) if value and text else value
                for value, text, cleaned in zip(values, *texts, strict=True)
            ]
        elif column.logical_type == "object":
            values = [value and _clean_object(value, reading.cleaning) for value in values]
        else:
            continue
        table = table.set_column(at, column.name, pa.array(values, type=arrow_type(column)))
    return table


def _clean_object(value: dict[str, list[str]], cleaning: Cleaning) -> dict[str, list[str]]:
    if len(value["tokens"]) != len(value["tags"]):
        # Which tag is whose cannot be known, and the contract refuses the row.
        return value
    tokens, tags = clean_tagged(value["tokens"], value["tags"], cleaning)
    return {"tokens": tokens, "tags": tags}


def _with_ids(table: pa.Table, file: SourceFile) -> pa.Table:
    numbers = table.column("_row")
    table = table.drop_columns(["_row"])
    ids = pa.array(row_ids(table), type=pa.string())
    files = pa.array([file.sha256] * table.num_rows, type=pa.string())
    return table.append_column("_id", ids).append_column("_file", files).append_column("_row", numbers)


def _put_right(
    table: pa.Table, problems: list[Problem], file: SourceFile, reading: Reading
) -> tuple[pa.Table, list[Problem]]:
    """The batch with the owner's rows in place of those that they stand for, each where it was."""
    numbers = table.column("_row").to_pylist()
    known = {problem["row"]: problem["id"] for problem in problems}
    known |= dict(zip(numbers, table.column("_id").to_pylist(), strict=True))
    mended = {row: reading.corrected[identity] for row, identity in known.items() if identity in reading.corrected}
    if not mended:
        return table, problems
    # A mended row may have been mended again, under the id that it had by then; no row stands for itself.
    used = {known[row] for row in mended}
    others = {identity: row for identity, row in reading.corrected.items() if identity not in used}
    rows = sorted(mended)
    names = [column.name for column in reading.contract.columns]
    raw = RawRows(rows, {name: [mended[row].get(name) for row in rows] for name in names}, ())
    replaced, still = _typed(raw, file, replace(reading, corrected=others))
    kept = table.filter(pa.array([row not in mended for row in numbers], type=pa.bool_()))
    return (
        pa.concat_tables([kept, replaced]).sort_by("_row"),
        [problem for problem in problems if problem["row"] not in mended] + still,
    )


def _values(column: Any) -> list[Any]:
    return list(column) if isinstance(column, list | tuple) else column.to_pylist()


def _python(value: Any) -> Any:
    return value.as_py() if isinstance(value, pa.Scalar) else value


def _refuse_empty_splits(rows: Mapping[str, int]) -> None:
    if empty := [split for split in OWN_SPLITS if not rows.get(split)]:
        got = ", ".join(f"{split} {rows[split]}" for split in OWN_SPLITS if rows.get(split)) or "no row at all"
        raise InputError(
            f"`data.splits` leaves no row for {' and '.join(empty)} ({got}). Add rows, change its shares or moments, "
            "or give a source for each split."
        )


def _check_columns(found: set[str], contract: DatasetContract, file: SourceFile) -> None:
    wanted = {column.name for column in contract.columns}
    # Of a window the contract is read without its labels.
    unknown = "is a label, which windows have none of, or not in" if file.split == WINDOW else "is not in"
    problems = [f"column {name!r} is missing" for name in sorted(wanted - found)]
    problems += [f"column {name!r} {unknown} the contract" for name in sorted(found - wanted)]
    if problems:
        raise complain(
            f"{file.address} does not have the columns of contract {contract.name}",
            problems,
            "Name the file's columns under `columns` of the source, `drop` some, or change the contract.",
        )
