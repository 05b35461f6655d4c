"""From bytes to typed rows: a snapshot with a Parquet file a split, and a note of every row that could not be read."""

import hashlib
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from data_contracts.artifacts import SourceFile
from data_contracts.dataset import DatasetContract, Property
from data_contracts.errors import InputError, complain
from tasks.ingestion.sources import Source, Unreadable

ARROW_TYPES = {
    "string": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "object": pa.struct([("tokens", pa.list_(pa.string())), ("tags", pa.list_(pa.string()))]),
}
ADDRESS = [("_id", pa.string()), ("_address", pa.string()), ("_row", pa.int64())]
SourceAdapter: TypeAdapter[Source] = TypeAdapter(Source)


def read_sources(files: tuple[SourceFile, ...], contract: DatasetContract, output: Path) -> dict[str, int]:
    """Writes `<split>.parquet` for every split and `problems.jsonl`; returns the rows of each split.

    A value of the wrong type makes its row a problem: {split, address, row, column, rule, value}. Raises InputError
    for an empty file, a missing column, and a column the contract lacks.
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    problems: list[dict[str, Any]] = []
    for file in files:
        for row in _read_file(file, contract, problems):
            rows.setdefault(_split_of(row["_id"], file), []).append(row)
    for split, found in rows.items():
        pq.write_table(pa.Table.from_pylist(found, schema=arrow_schema(contract)), output / f"{split}.parquet")
    with (output / "problems.jsonl").open("w", encoding="utf-8") as log:
        log.writelines(json.dumps(problem, ensure_ascii=False) + "\n" for problem in problems)
    return {split: len(found) for split, found in rows.items()}


def arrow_schema(contract: DatasetContract) -> pa.Schema:
    """Columns of a snapshot's Parquet files: the contract's, then where each row came from."""
    return pa.schema([(column.name, ARROW_TYPES[column.logical_type]) for column in contract.columns] + ADDRESS)


def convert(value: Any, column: Property) -> Any:
    """The value in the column's type; None and NaN are None. Raises ValueError, saying what was expected."""
    if value is None:
        return None
    match column.logical_type:
        case "string" if isinstance(value, str):
            return value
        case "number" if isinstance(value, int | float | str) and not isinstance(value, bool):
            return _number(float(value))
        case "integer" if isinstance(value, int | str) and not isinstance(value, bool):
            return _integer(int(value))
        case "boolean" if isinstance(value, bool):
            return value
        case "timestamp" if isinstance(value, str | datetime):
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        case "object":
            return _tagged_tokens(json.loads(value) if isinstance(value, str) else value)
    raise ValueError(f"expected {column.logical_type}, found {type(value).__name__}")


def _read_file(file: SourceFile, contract: DatasetContract, problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    source = SourceAdapter.validate_python({**file.reader, "path": file.address})
    content = source.read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise InputError(f"{file.address} changed while the run was reading it. Run again once it is written.")
    rows: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    columns: set[str] = set()
    for number, row in source.rows(content):
        note = {"split": file.split, "address": file.address, "row": number}
        if isinstance(row, Unreadable):
            problems.append({**note, "column": "", "rule": row.problem, "value": row.value})
            continue
        columns |= row.keys()
        typed, mistakes = _typed(row, contract)
        problems.extend({**note, **mistake} for mistake in mistakes)
        if not mistakes:
            identity = _row_id(typed, seen)
            rows.append({**typed, "_id": identity, "_address": file.address, "_row": number})
    if not columns:
        first = next((p for p in problems if p["address"] == file.address), None)
        unread = f" that can be read; the first, row {first['row']}, is {first['rule']}" if first else ""
        raise InputError(
            f"{file.address} holds no rows{unread}; split {file.split!r} needs some. Fill it or take it out."
        )
    _check_columns(columns, contract, file.address)
    return rows


def _typed(row: dict[str, Any], contract: DatasetContract) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    typed: dict[str, Any] = {}
    mistakes = []
    for column in contract.columns:
        value = row.get(column.name)
        try:
            typed[column.name] = convert(value, column)
        except (ValueError, TypeError, OverflowError) as error:
            mistakes.append({"column": column.name, "rule": f"type: {error}", "value": str(value)[:200]})
    return typed, mistakes


def _check_columns(found: set[str], contract: DatasetContract, address: str) -> None:
    wanted = {column.name for column in contract.columns}
    problems = [f"column {name!r} is missing" for name in sorted(wanted - found)]
    problems += [f"column {name!r} is not in the contract" for name in sorted(found - wanted)]
    if problems:
        raise complain(
            f"{address} does not have the columns of contract {contract.name}",
            problems,
            "Name the file's columns under `columns` of the source, or change the contract.",
        )


def _row_id(row: dict[str, Any], seen: dict[str, int]) -> str:
    """From the content alone, so a row keeps its id when the file grows; repeats are numbered."""
    content = hashlib.sha256(json.dumps(row, sort_keys=True, default=str, ensure_ascii=False).encode()).hexdigest()[:24]
    seen[content] = seen.get(content, 0) + 1
    return content if seen[content] == 1 else f"{content}-{seen[content]}"


def _split_of(row_id: str, file: SourceFile) -> str:
    if file.held_out_split and int(row_id[:8], 16) / 0xFFFFFFFF < file.held_out_share:
        return file.held_out_split
    return file.split


def _number(value: float) -> float | None:
    if math.isinf(value):
        raise ValueError("expected a finite number")
    # What wrote the file had no other way to say that the value is missing.
    return None if math.isnan(value) else value


def _integer(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise ValueError("expected an integer of 64 bits")
    return value


def _tagged_tokens(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in ("tokens", "tags")):
        raise ValueError("expected an object with the lists `tokens` and `tags`")
    if not all(isinstance(item, str) for key in ("tokens", "tags") for item in value[key]):
        raise ValueError("tokens and tags have to be text")
    return {"tokens": value["tokens"], "tags": value["tags"]}
