"""Rows as a source gives them, put together again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.ingestion.rows import RawRows, UnreadableRow
from tasks.ingestion.sources import FileSource, Source

Row = dict[str, Any]


def rows_in(batches: list[RawRows]) -> list[tuple[int, Row]]:
    found = []
    for batch in batches:
        columns = {
            name: column if isinstance(column, list | tuple) else column.to_pylist()
            for name, column in batch.columns.items()
        }
        assert {len(column) for column in columns.values()} <= {len(batch.numbers)}
        for place, number in enumerate(batch.numbers):
            found.append((number, {name: column[place] for name, column in columns.items()}))
    return found


@pytest.fixture
def batches_of(tmp_path: Path) -> Callable[[FileSource, bytes], list[RawRows]]:
    """Batches that a source makes of these bytes, which lie in a file of another name."""

    def read(source: FileSource, content: bytes) -> list[RawRows]:
        file = tmp_path / "local"
        file.write_bytes(content)
        return list(source.batches(file))

    return read


@pytest.fixture
def rows_of(
    batches_of: Callable[[FileSource, bytes], list[RawRows]],
) -> Callable[[FileSource, bytes], list[tuple[int, Row]]]:
    """Number and content of the rows in these bytes."""
    return lambda source, content: rows_in(batches_of(source, content))


@pytest.fixture
def unreadable_in(
    batches_of: Callable[[FileSource, bytes], list[RawRows]],
) -> Callable[[FileSource, bytes], list[UnreadableRow]]:
    """What cannot be read as a row in these bytes."""
    return lambda source, content: [row for batch in batches_of(source, content) for row in batch.unreadable]


@pytest.fixture
def rows_at(tmp_path: Path) -> Callable[[Source], list[Row]]:
    """Content of the rows of all shards of a source; what was copied for that is gone again."""

    def read(source: Source) -> list[Row]:
        folder = tmp_path / "copies"
        folder.mkdir(exist_ok=True)
        found = []
        for address in source.shards():
            with source.at(address).local_copy(folder) as file:
                found += [row for _, row in rows_in(list(source.at(address).batches(file)))]
        assert list(folder.iterdir()) == []
        return found

    return read
