"""The quarantine as its owner handles it: what lies there, rows to mend, and rows that were mended."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from data_contracts.dataset import DatasetContract
from data_contracts.errors import InputError, complain
from tasks.modeling.row_files import object_in
from tasks.validation.checks import QUARANTINED, Finding

UNREADABLE = "_content"
Row = dict[str, Any]


def rows_to_mend(folder: Path, findings: Iterable[Finding]) -> Iterator[Row]:
    """The rows of those findings as an owner edits them: `_id`, where each stands, what is wrong, then its columns.

    A row that could not be read at all has its line as `_content` instead of columns.
    """
    rules: dict[str, list[str]] = {}
    for found in findings:
        told = f"{found['column'] or 'row'}: {found['rule']}"
        if told not in rules.setdefault(found["id"], []):
            rules[found["id"]].append(told)
    for row in _quarantined(folder):
        if row["id"] in rules:
            content = row["content"]
            columns = content if isinstance(content, dict) else {UNREADABLE: content}
            yield {"_id": row["id"], "_file": row["address"], "_row": row["row"], "_rules": rules[row["id"]], **columns}


def read_mended(path: Path, contract: DatasetContract, folder: Path) -> tuple[dict[str, Row], int]:
    """{id: mended row} of a file that `rows_to_mend` gave and an owner edited, and how many rows were left as they are.

    Raises InputError with every line that is no row, names no row of the quarantine, or has other columns.
    """
    known = {row["id"]: row for row in _quarantined(folder)}
    columns = [column.name for column in contract.columns]
    mended: dict[str, Row] = {}
    problems: list[str] = []
    unchanged = 0
    for number, line in enumerate(_lines_of(path), start=1):
        if not line.strip():
            continue
        found, problem = _row_of(line, known, columns)
        if problem:
            problems.append(f"line {number}: {problem}")
        else:
            identity = found["_id"]
            row = {name: found[name] for name in columns if name in found}
            if row == known[identity]["content"]:
                unchanged += 1
            elif row != mended.setdefault(identity, row):
                problems.append(f"line {number}: _id {identity} stands there twice, mended in two ways; leave one")
    if problems:
        raise complain(f"{path}: {len(problems)} mistake(s)", problems, "Nothing was readmitted.")
    return mended, unchanged


def _row_of(line: str, known: dict[str, Row], columns: list[str]) -> tuple[Row, str | None]:
    try:
        row = object_in(line)
    except ValueError as error:
        return {}, str(error)
    if not isinstance(row.get("_id"), str):
        return {}, "no object with an `_id`; `graft quarantine show --output` writes such lines"
    if row["_id"] not in known:
        return {}, f"_id {row['_id']} is not in the quarantine any more"
    if UNREADABLE in row:
        return {}, f"still has `{UNREADABLE}`; write the row's columns instead, or leave the line out"
    unknown = [name for name in row if not name.startswith("_") and name not in columns]
    if unknown:
        return {}, f"{', '.join(unknown)}: no column of the contract; its columns are {', '.join(columns)}"
    return row, None


def _lines_of(path: Path) -> list[str]:
    try:
        # Not splitlines(), which also cuts where a text holds another kind of line end.
        return path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {error}. Give the file that `graft quarantine show` wrote."
        ) from error


def _quarantined(folder: Path) -> Iterator[Row]:
    with (folder / QUARANTINED).open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
