"""Files that come after training, and are read as the pipeline reads its own of that format."""

import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from tasks.ingestion.endings import KINDS, ending_of, source_of
from tasks.ingestion.lines import COMPRESSED
from tasks.ingestion.mapping import mapped
from tasks.ingestion.plan import DataSettings
from tasks.ingestion.sources import Conll, JsonLines, Source

ReadRows = Callable[[str], dict[int, dict[str, Any]]]


def reader_of(data: DataSettings, address: str, texts: Sequence[str]) -> ReadRows | None:
    """What gives the rows of a file of texts by their numbers; None for plain JSON Lines under the contract's names.

    Settings are those of the pipeline's source whose files end alike, its windows before others. Of `columns` those in
    `texts` are made, where the file has them under other names; nothing else has to be there, or is dropped.
    """
    source = _source_alike(data, address)
    made = {name: rule for name, rule in source.columns.items() if name in texts}
    source = source.model_copy(update={"columns": made, "drop": ()})
    is_plain = isinstance(source, JsonLines) and not made and not address.lower().endswith(tuple(COMPRESSED))
    return None if is_plain else lambda path: _rows_of(source, path)


def _source_alike(data: DataSettings, address: str) -> Source:
    ending = ending_of(address)
    own = [data.windows.source] if data.windows is not None else []
    own += [*data.given.values(), *([data.undivided] if data.undivided is not None else [])]
    alike = next((source for source in own if ending and ending_of(source.path) == ending), None)
    if alike is not None:
        return alike.at(address)
    kind = KINDS.get(ending, "json_lines")
    # Rows of texts end with .txt more often than tagged tokens do.
    kind = "json_lines" if kind == Conll.model_fields["kind"].default else kind
    return source_of(address, kind)


def _rows_of(source: Source, path: str) -> dict[int, dict[str, Any]]:
    rows: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, source.at(path).local_copy(Path(folder)) as local:
        for raw in source.at(path).model_copy(update={"columns": {}}).batches(local):
            if raw.unreadable:
                first = raw.unreadable[0]
                raise InputError(f"{path}, line {first.number}: {first.problem}, found {first.value[:80]}")
            lacking = {name: made for name, made in source.columns.items() if name not in raw.columns}
            columns = mapped(raw, lacking, ()) if lacking else raw.columns
            given: list[Any] = list(columns.values())
            lists = [column if isinstance(column, list | tuple) else column.to_pylist() for column in given]
            for number, values in zip(raw.numbers, zip(*lists, strict=True), strict=True):
                rows[int(number)] = dict(zip(columns, map(_in_json, values), strict=True))
    if not rows:
        raise InputError(f"{path} holds no rows.")
    return rows


def _in_json(value: Any) -> Any:
    """The value as JSON can hold it: moments as text, and whatever else JSON has no form for."""
    if value is None or isinstance(value, str | int | float):
        return value
    return json.loads(json.dumps(value, default=_text_of))


def _text_of(value: Any) -> str:
    return value.isoformat() if isinstance(value, date | time) else str(value)
