"""Files of rows: JSON Lines in and out, other formats in by what reads them."""

import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec

from data_contracts.errors import InputError

ReadRows = Callable[[str], dict[int, dict[str, Any]]]


def read_rows(
    path: str, text_column: str, pair_column: str | None, read: ReadRows | None = None
) -> dict[int, dict[str, Any]]:
    """The rows of a file of texts by line number, read by `read` where it is no JSON Lines.

    Raises InputError naming file and line.
    """
    rows = (read or read_objects)(path)
    for number, row in rows.items():
        _check_texts(path, number, row, text_column, pair_column)
    return rows


def read_objects(path: str) -> dict[int, dict[str, Any]]:
    """The objects of a JSON Lines file by line number. Raises InputError naming file and line."""
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig") as file:
            # Not splitlines(), which also splits at separators that JSON allows inside a text.
            lines = list(file)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}. Give a JSON Lines file in UTF-8.") from error
    rows = {number: _parse(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()}
    if not rows:
        raise InputError(f"{path} holds no rows.")
    return rows


def object_in(line: str) -> dict[str, Any]:
    """The JSON object that a line holds. Raises ValueError, saying what it holds instead."""
    try:
        row: Any = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ValueError(f"half of a character ({half!r}) that no UTF-8 file can hold") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}. Give JSON Lines, an object a line.") from error
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(row, dict):
        raise ValueError(f"expected an object, found {line[:80]}")
    return row


def _parse(path: str, number: int, line: str) -> dict[str, Any]:
    try:
        return object_in(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: {error}") from error


def _check_texts(path: str, number: int, row: dict[str, Any], text_column: str, pair_column: str | None) -> None:
    if not isinstance(row.get(text_column), str) or not row[text_column].strip():
        found = json.dumps(row, ensure_ascii=False)[:80]
        raise InputError(f"{path}, line {number}: expected an object with text in {text_column!r}, found {found}")
    second = row.get(pair_column) if pair_column else None
    if second is not None and (not isinstance(second, str) or not second.strip()):
        raise InputError(
            f"{path}, line {number}: expected text in {pair_column!r}, or null, found {str(second)[:80]!r}"
        )


def check_folder(output: str) -> None:
    """Raises InputError where nothing can be written at `output` for want of a folder."""
    folder = Path(output).parent
    if "://" not in output and not folder.is_dir():
        raise InputError(f"{folder} does not exist, so {Path(output).name} cannot be written there.")


def write_rows(rows: Sequence[Mapping[str, Any]], path: str) -> None:
    """Writes rows as JSON Lines, whole or not at all."""
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        if "://" in path:
            with fsspec.open(path, "wt", encoding="utf-8") as file:
                file.write(content)
        else:
            _replace(Path(path), content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}. Free space, grant access or choose another.") from error


def _replace(target: Path, content: str) -> None:
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        draft.write_text(content, encoding="utf-8")
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
