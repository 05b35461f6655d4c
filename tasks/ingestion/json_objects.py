"""JSON objects, one a line."""

import json
from collections.abc import Sequence
from typing import Any

import orjson

from tasks.ingestion.rows import UnreadableRow, shown


def objects_in(first: int, lines: Sequence[bytes]) -> tuple[list[int], list[dict[str, Any]], list[UnreadableRow]]:
    """Numbers and rows of the lines that hold an object, and those lines that hold something else."""
    numbers: list[int] = []
    rows: list[dict[str, Any]] = []
    unreadable: list[UnreadableRow] = []
    for number, line in enumerate(lines, start=first):
        try:
            row = orjson.loads(line)
        except ValueError:
            if not line.strip():
                continue
            try:
                row = _leniently(line)
            except (ValueError, RecursionError) as error:
                unreadable.append(UnreadableRow(number, f"not JSON: {error}", shown(line)))
                continue
        if type(row) is dict:
            numbers.append(number)
            rows.append(row)
        else:
            unreadable.append(UnreadableRow(number, f"{type(row).__name__}, not an object", shown(line)))
    return numbers, rows, unreadable


def _leniently(line: bytes) -> Any:
    """What orjson refuses and the standard library reads: NaN, Infinity and numbers too large for floating point."""
    row = json.loads(line.decode("utf-8"))
    # Half of a surrogate pair can be escaped in JSON but is no text: nothing could write it down again.
    json.dumps(row, ensure_ascii=False).encode("utf-8")
    return row
