"""Rows as a source gives them: untyped, column by column, some thousands at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_A_BATCH = 32_768
# A row as Python objects takes a few times the bytes of its text, so this bounds a batch at some hundred megabytes.
BYTES_A_BATCH = 32 * 2**20
CHARACTERS_SHOWN = 2_000


@dataclass(frozen=True)
class UnreadableRow:
    """A row that cannot be read as a row at all; `number` is its place in the file, as in RawRows."""

    number: int
    problem: str
    value: str


@dataclass(frozen=True)
class RawRows:
    """Some rows of one file, column by column, under the contract's names.

    `numbers` is each row's place in its file, from 1: the line for text formats, else the row. A column that no row
    here has is left out; a row that lacks one of `columns` has None there. `unreadable` rows are not in `columns`.
    """

    numbers: Sequence[int]
    columns: "dict[str, Sequence[Any] | pa.Array]"
    unreadable: tuple[UnreadableRow, ...] = ()


# A row as a table's reader finds it: its number, its cells and about how many bytes they are.
TableRow = tuple[int, Sequence[Any], int]


def table_batches(names: Sequence[str], rows: Iterable[TableRow | UnreadableRow]) -> Iterator[RawRows]:
    """Batches of rows that all have the columns `names`, in that order."""
    numbers: list[int] = []
    cells: list[Sequence[Any]] = []
    unreadable: list[UnreadableRow] = []
    size = 0
    for row in rows:
        if isinstance(row, UnreadableRow):
            unreadable.append(row)
            size += len(row.value)
        else:
            numbers.append(row[0])
            cells.append(row[1])
            size += row[2]
        if len(numbers) + len(unreadable) >= ROWS_A_BATCH or size >= BYTES_A_BATCH:
            yield _table(names, numbers, cells, unreadable)
            numbers, cells, unreadable, size = [], [], [], 0
    if numbers or unreadable:
        yield _table(names, numbers, cells, unreadable)


def count_labelled(rows: RawRows, labels: Sequence[str]) -> int:
    """Rows that hold a value in any of the columns `labels`; all of them where there are no such columns."""
    if not labels:
        return len(rows.numbers)
    given: list[Any] = [rows.columns[name] for name in labels if name in rows.columns]
    values = [column if isinstance(column, list | tuple) else column.to_pylist() for column in given]
    return sum(any(value is not None for value in of_row) for of_row in zip(*values, strict=True))


def shown(raw: bytes) -> str:
    """The beginning of a row that cannot be read, as text; bytes that are no UTF-8 as backslash escapes."""
    # A character takes four bytes at most: the cut never falls inside what is shown.
    return raw[: 4 * CHARACTERS_SHOWN].decode("utf-8", errors="backslashreplace")[:CHARACTERS_SHOWN]


def _table(
    names: Sequence[str], numbers: list[int], cells: list[Sequence[Any]], unreadable: list[UnreadableRow]
) -> RawRows:
    columns = zip(*cells, strict=True) if cells else ()
    return RawRows(numbers, dict(zip(names, columns, strict=True)) if cells else {}, tuple(unreadable))
