"""Tokenized rows in memory: windows of token ids, and the words that are each window's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.modeling.pieces import Pieces

ANSWERED, PIECES = "answered_text", ("piece_starts", "piece_ends")


@dataclass(frozen=True)
class Words:
    """Words of some windows, ragged: the token each starts at, -1 where it was cut off, and its shape."""

    starts: list[list[int]]
    shapes: list[list[int]]

    def at(self, windows: Sequence[int]) -> "Words":
        """The words of those windows."""
        return Words([self.starts[window] for window in windows], [self.shapes[window] for window in windows])


@dataclass(frozen=True)
class TokenizedRows:
    """Token ids of every window, the row that each is of, and by tag column the words that are its own.

    Rows are counted from 0 and the windows of each follow each other; their words, end to end, are the row's.
    `segments` say whether a token is of a pair's first text or its second; None where no row can be a pair, and for an
    encoder that does not ask. `pieces` say where tokens stand in the text that answers are parts of, where there are
    such.
    """

    input_ids: Sequence[Sequence[int]]
    rows: Sequence[int]
    words: Mapping[str, Words]
    segments: Sequence[Sequence[int]] | None = None
    pieces: Pieces | None = None

    @property
    def windows_of_rows(self) -> NDArray[np.int64]:
        """(rows,) how many windows each row has."""
        return np.bincount(np.asarray(self.rows, dtype=np.int64))

    def segments_at(self, windows: Sequence[int]) -> list[Sequence[int]] | None:
        """The segments of those windows; None where they are of single texts, which no encoder need be told."""
        if self.segments is None:
            return None
        found = [self.segments[window] for window in windows]
        return found if any(map(any, found)) else None

    def pieces_for(self, column: str) -> Pieces:
        """The pieces, which a head with answers in that column cannot do without."""
        if self.pieces is None:
            raise ValueError(f"the rows were tokenized without the pieces that answers of {column!r} are made of")
        return self.pieces


def read_tokens(path: Path, chosen: NDArray[np.int64] | None = None) -> TokenizedRows:
    """A tokenized split, or its rows at the `chosen` positions, which are in order, counted from 0 anew."""
    table = pq.read_table(path)
    if chosen is not None:
        table = table.filter(pc.is_in(table.column("row"), pa.array(chosen, table.schema.field("row").type)))
        renumbered = np.searchsorted(chosen, table.column("row").to_numpy())
        table = table.set_column(table.column_names.index("row"), "row", pa.array(renumbered))
    pieces = _pieces(table) if ANSWERED in table.column_names else None
    columns = table.drop_columns([ANSWERED, *PIECES] if pieces else []).to_pydict()
    tagged = [name.removeprefix("starts_") for name in columns if name.startswith("starts_")]
    words = {column: Words(columns[f"starts_{column}"], columns[f"shapes_{column}"]) for column in tagged}
    return TokenizedRows(columns["input_ids"], columns["row"], words, columns.get("segments"), pieces)


def _pieces(table: pa.Table) -> Pieces:
    starts, ends = (_views(table.column(name).combine_chunks()) for name in PIECES)
    # Kept with a row's first window alone.
    return Pieces(starts, ends, table.column(ANSWERED).drop_null().to_pylist())


def _views(lists: pa.ListArray) -> list[NDArray[np.int32]]:
    """The lists, whose numbers stay where they are: as Python's own they would take ten times the memory."""
    values, offsets = lists.values.to_numpy(), lists.offsets.to_numpy().tolist()
    return [values[start:end] for start, end in pairwise(offsets)]
