"""The texts of a split, some rows at a time, and where the words that carry tags stand in them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import InputError
from tasks.modeling.pairs import Input, inputs_of
from tasks.modeling.words import spans_of, words_of

ROWS_AT_ONCE = 8192
# What the tokenizer says of a text takes some fifty times the memory of the text, and two parts are in work at once.
BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class TextRows:
    """Rows of a split from position `first` on: texts and, by column, the tagged tokens that a row may have.

    `seconds` are the second texts of pairs, None where no column holds any.
    """

    split: Path
    first: int
    text_column: str
    texts: list[str]
    tagged: dict[str, list[Any]]
    seconds: list[str | None] | None = None

    @property
    def inputs(self) -> Sequence[Input]:
        """What the tokenizer is given: texts, and pairs where there is a second text."""
        return inputs_of(self.texts, self.seconds)

    def spans(self, column: str) -> list[list[tuple[int, int]]]:
        """(start, end) in characters of each text's tokens, or of all its words where it has none.

        Raises InputError naming the row whose tokens are no part of its text.
        """
        found = []
        for position, (text, tagged) in enumerate(zip(self.texts, self.tagged[column], strict=True), start=self.first):
            try:
                found.append(spans_of(tagged["tokens"] if tagged and tagged["tokens"] else words_of(text), text))
            except ValueError as error:
                place = place_of(self.split, position)
                raise InputError(f"{place}, {column}: {error}. Tokens are parts of {self.text_column!r}.") from error
        return found


def read_texts(
    split: Path, text_column: str, tag_columns: tuple[str, ...], pair_column: str | None = None
) -> Iterator[TextRows]:
    """The split in order, so many rows at once that neither they nor their bytes are more than memory is for."""
    with pq.ParquetFile(split) as file:
        names = (text_column, *tag_columns, *([pair_column] if pair_column else []))
        present = [name for name in names if name in file.schema_arrow.names]
        first = 0
        batches = file.iter_batches(batch_size=_rows_at_once(file.metadata), columns=present)
        for batch in itertools.chain.from_iterable(map(_parts, batches)):
            texts = batch.column(text_column).to_pylist()
            if None in texts:
                raise InputError(
                    f"{place_of(split, first + texts.index(None))} has no {text_column!r}, which is to be tokenized. "
                    f"Say `required: true` of that column in the contract, so that such a row is quarantined."
                )
            given = {name: batch.column(name).to_pylist() for name in tag_columns if name in present}
            tagged = {name: given.get(name, [None] * len(texts)) for name in tag_columns}
            # A champion of yesterday may have read a column that today's contract no longer has.
            seconds = batch.column(pair_column).to_pylist() if pair_column in present else None
            yield TextRows(split, first, text_column, texts, tagged, seconds)
            first += len(texts)


def place_of(split: Path, position: int) -> str:
    """The row at that position of a split, by the file that it was read from where the split knows it."""
    origin = [name for name in ("_file", "_row") if name in pq.read_schema(split).names]
    row = pq.read_table(split, columns=origin).slice(position, 1).to_pylist()[0] if len(origin) == 2 else {}
    of_file = f" of the file with sha256 {row['_file']}" if row else ""
    return f"{split.stem}, row {row.get('_row', position + 1)}{of_file}"


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    size: int = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return _fitting(metadata.num_rows, size)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in parts of the size that is meant: the file keeps a text once that recurs, as a document may."""
    step = _fitting(batch.num_rows, batch.nbytes)
    return (batch.slice(start, step) for start in range(0, batch.num_rows, step))


def _fitting(rows: int, size: int) -> int:
    return max(1, min(ROWS_AT_ONCE, BYTES_AT_ONCE * rows // max(1, size)))
