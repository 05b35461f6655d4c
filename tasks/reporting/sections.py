"""What a report's page is made of: sections with a note, sentences, tables and pictures, written without markup."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Tone = Literal["good", "bad", "doubt", "strong", ""]
Value = str | float | int | None


@dataclass(frozen=True)
class Cell:
    """A value of a table, with what it means for the reader."""

    value: Value
    tone: Tone = ""


@dataclass(frozen=True)
class Column:
    """A column of a table: texts wrap, names do not, numbers stand to the right in so many digits."""

    title: str
    kind: Literal["name", "text", "number"] = "name"
    digits: int = 3
    signed: bool = False

    def shown(self, value: Value) -> str:
        """A value as it stands in the table."""
        if value is None:
            return ""
        if isinstance(value, float):
            return f"{value:+.{self.digits}f}" if self.signed else f"{value:.{self.digits}f}"
        return f"{value:,}" if isinstance(value, int) and self.kind == "number" else str(value)


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as there are columns; a long one is `folded` under its title until it is asked for."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | Value]]
    title: str = ""
    folded: bool = False

    @property
    def cells(self) -> list[list[tuple[str, str, Tone]]]:
        """(kind of the column, what is shown, tone) of every cell."""
        return [
            [
                (column.kind, column.shown(cell.value if isinstance(cell, Cell) else cell), _tone(cell))
                for column, cell in zip(self.columns, row, strict=True)
            ]
            for row in self.rows
        ]


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption, which is also what a reader without pictures is told; `name` is that of its file."""

    name: str
    caption: str
    png: bytes

    @property
    def encoded(self) -> str:
        """In base64."""
        return base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Section:
    """A part of the page; `anchor` is its address on the page."""

    anchor: str
    title: str
    note: str = ""
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = field(default_factory=tuple)


def interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """Both ends, for a table."""
    return "" if low is None or high is None else f"{low:.{digits}f} – {high:.{digits}f}"


def _tone(cell: Cell | Value) -> Tone:
    return cell.tone if isinstance(cell, Cell) else ""
