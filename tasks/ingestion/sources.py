"""Sources: where rows are read from. Each kind holds its settings and reads its format, in bounded memory."""

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import chain
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from data_contracts.errors import InputError
from tasks.ingestion import conll
from tasks.ingestion.addresses import matching_files
from tasks.ingestion.fetching import local_copy
from tasks.ingestion.hugging_face import prepared_files
from tasks.ingestion.json_objects import objects_in
from tasks.ingestion.lines import BYTES_AT_ONCE, line_batches
from tasks.ingestion.mapping import Made, map_batches
from tasks.ingestion.rows import RawRows, TableRow, UnreadableRow, shown, table_batches

MOST_COLUMNS = 1_000
# Characters; a quote that is never closed would take the whole file for one cell.
MOST_OF_A_CELL = 16 << 20
DELIMITERS = ",;\t|"


class FileSource(BaseModel, ABC):
    """What all sources share. `path` is local, relative to the pipeline's YAML file, or any address fsspec reads.

    endings: those of file names that speak for this kind.
    typed: its values are numbers, truths and lists where they are meant so, and not all of them text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    endings: ClassVar[tuple[str, ...]] = ()
    typed: ClassVar[bool] = True

    path: str = Field(min_length=1, description="a file, or a pattern (*, ?, [..], **) that its shards match")
    columns: dict[str, Made] = Field({}, description="contract column: the column in the file, or how it is made")
    drop: tuple[str, ...] = Field((), description="columns in the file that are left out")

    def shards(self) -> list[str]:
        """Addresses of its files, sorted. Raises InputError where there is none, or they cannot be listed."""
        return matching_files(self.path)

    def at(self, address: str) -> Self:
        """The same source for one of its shards."""
        return self.model_copy(update={"path": address})

    def local_copy(self, folder: Path) -> AbstractContextManager[Path]:
        """The shard as a local file; one that is elsewhere lies in `folder` as long as the context is open."""
        return local_copy(self.path, folder)

    def batches(self, file: Path) -> Iterator[RawRows]:
        """The rows of the shard, whose bytes are `file`, under the contract's names.

        Raises InputError where it is damaged or of another format, or its columns cannot be mapped.
        """
        return map_batches(self._read(file), self.columns, self.drop, self.path)

    @abstractmethod
    def _read(self, file: Path) -> Iterator[RawRows]:
        """The rows under the file's own names."""


class JsonLines(FileSource):
    """One JSON object a line, UTF-8, plain or compressed (`.gz`, `.bz2`, `.xz`); empty lines are skipped.

    A row's number is its line. Whole numbers beyond 64 bits are read as floating point.
    """

    kind: Literal["json_lines"] = "json_lines"
    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")

    def _read(self, file: Path) -> Iterator[RawRows]:
        for first, lines in line_batches(file, self.path):
            numbers, rows, unreadable = objects_in(first, lines)
            names = dict.fromkeys(chain.from_iterable(rows))
            if len(names) > MOST_COLUMNS:
                raise InputError(
                    f"{self.path}, lines {first} to {first + len(lines) - 1}, has {len(names):,} different keys, which "
                    f"is no table; up to {MOST_COLUMNS:,} are read. Put what changes from row to row into values."
                )
            yield RawRows(numbers, {name: [row.get(name) for row in rows] for name in names}, tuple(unreadable))


class Csv(FileSource):
    """A header and rows separated by `delimiter`, UTF-8, plain or compressed; an empty cell is a missing value.

    A row's number is the line on which it ends. Cells that look like JSON objects or numbers stay text.
    """

    kind: Literal["csv"] = "csv"
    endings: ClassVar[tuple[str, ...]] = (".csv", ".tsv")
    typed: ClassVar[bool] = False
    delimiter: str = Field(",", min_length=1, max_length=1)

    def _read(self, file: Path) -> Iterator[RawRows]:
        records = self._records(file)
        header = next((cells for _, cells in records if cells), [])
        if twice := sorted({name for name in header if header.count(name) > 1}):
            raise InputError(
                f"{self.path} has the column(s) {', '.join(map(repr, twice))} twice. Rename one in the file."
            )
        if not all(map(_is_utf8, header)):
            raise InputError(f"{self.path} has a header that is not UTF-8. Save the file as UTF-8.")
        yield from table_batches(header, (self._row(header, number, cells) for number, cells in records if cells))

    def _records(self, file: Path) -> Iterator[tuple[int, list[str]]]:
        """Cells of the header and of every row, with the line on which they end."""
        pieces = (b"\n".join([*lines, b""]) for lines in self._checked_lines(file))
        texts = (io.StringIO(piece.decode("utf-8", errors="surrogateescape"), newline="\n") for piece in pieces)
        csv.field_size_limit(MOST_OF_A_CELL)
        reader = csv.reader(chain.from_iterable(texts), delimiter=self.delimiter, strict=True)
        done = 0
        try:
            for cells in reader:
                done = reader.line_num
                yield done, cells
        except csv.Error as error:
            raise InputError(
                f"{self.path}, row after line {done}: {error}. Check the quotes and `delimiter`."
            ) from error

    def _checked_lines(self, file: Path) -> Iterator[list[bytes]]:
        """The lines, unless the first one speaks for another delimiter."""
        for first, lines in line_batches(file, self.path, BYTES_AT_ONCE):
            header = shown(lines[0]) if first == 1 else self.delimiter
            other = [mark for mark in DELIMITERS if mark in header]
            if other and self.delimiter not in header:
                raise InputError(
                    f"{self.path} has one column by the delimiter {self.delimiter!r}, but {other[0]!r} stands in its "
                    f"header. Set `delimiter: {json.dumps(other[0])}`."
                )
            yield lines

    def _row(self, header: list[str], number: int, cells: list[str]) -> TableRow | UnreadableRow:
        text = self.delimiter.join(cells)
        if len(cells) != len(header):
            return UnreadableRow(number, f"{len(cells)} cells, but {len(header)} in the header", _escaped(text))
        if not text.isascii() and not _is_utf8(text):
            return UnreadableRow(number, "not UTF-8", _escaped(text))
        return number, [cell or None for cell in cells], len(text)


class Parquet(FileSource):
    """Parquet files. A row's number is its place in the file, from 1; columns of classes hold the classes' names."""

    kind: Literal["parquet"] = "parquet"
    endings: ClassVar[tuple[str, ...]] = (".parquet",)

    def _read(self, file: Path) -> Iterator[RawRows]:
        from tasks.ingestion.arrow_files import parquet_batches

        return parquet_batches(file, self.path)


class Conll(FileSource):
    """A token a line with its columns, sentences separated by blank lines, UTF-8, plain or compressed.

    Its columns are `tokens`, `tags` and `text`, the tokens joined by `joined_by`. A row's number is the line of its
    first token. Lines of `-DOCSTART-`, and comments (`# `) before a sentence's first token, are skipped.
    """

    kind: Literal["conll"] = "conll"
    endings: ClassVar[tuple[str, ...]] = (".conll", ".iob", ".bio", ".txt")
    delimiter: str | None = Field(None, min_length=1, description="what separates columns; white space if not given")
    token_column: int = Field(0, description="from 0; negative numbers count from the end")
    tag_column: int = -1
    scheme: conll.Scheme = Field("bio", description="how tags are written; iob1 is turned into bio")
    joined_by: str = Field(" ", description="what stands between tokens in the text; nothing, of Chinese or Thai")

    @model_validator(mode="after")
    def _token_and_tag_are_two_columns(self) -> Self:
        if self.token_column == self.tag_column:
            raise ValueError(f"token_column and tag_column are both {self.tag_column}; a line needs two")
        return self

    def _read(self, file: Path) -> Iterator[RawRows]:
        layout = conll.Layout(self.delimiter, self.token_column, self.tag_column, self.scheme, self.joined_by)
        return table_batches(conll.COLUMNS, conll.sentence_rows(file, self.path, layout))


class ArrowFiles(FileSource):
    """A folder written by `Dataset.save_to_disk`, or Arrow (Feather 2) files, in the file or the stream format.

    A row's number is its place in the file, from 1; columns of classes hold the classes' names.
    """

    kind: Literal["arrow"] = "arrow"
    endings: ClassVar[tuple[str, ...]] = (".arrow", ".feather")

    def shards(self) -> list[str]:
        """Addresses of its files, sorted. Raises InputError where there is none, or the folder holds several splits."""
        from tasks.ingestion.arrow_files import arrow_shards

        return arrow_shards(self.path)

    def _read(self, file: Path) -> Iterator[RawRows]:
        from tasks.ingestion.arrow_files import arrow_batches

        return arrow_batches(file, self.path)


class HuggingFace(FileSource):
    """A dataset by its name on the hub, `hf://datasets/NAME`, or a local folder of data files.

    A bare NAME is one of the hub too where no file makes a path of it, as a pipeline's YAML does.
    Its shards are the Arrow files that `datasets` prepares, called PATH@REVISION/SUBSET/SPLIT#NUMBER. A row's number
    is its place in its shard, from 1; columns of classes hold the classes' names.
    """

    kind: Literal["hugging_face"] = "hugging_face"
    revision: str | None = Field(None, description="branch, tag or commit; only a commit gives the same rows for ever")
    subset: str | None = Field(None, description="name of the configuration, where the dataset has several")
    split: str = Field("train", pattern=r"^\w+(\.\w+)*$", description="a whole split; slices of one are not read")

    def shards(self) -> list[str]:
        """Addresses of its files, in the dataset's order. Raises InputError where it cannot be loaded."""
        files = prepared_files(self.path, self.revision, self.subset, self.split)
        return [f"{self.path}{self._within()}#{number}" for number in range(len(files))]

    def local_copy(self, folder: Path) -> AbstractContextManager[Path]:
        """The shard as it lies in the cache of `datasets`, which loads it again where it is gone."""
        whole, _, number = self.path.rpartition("#")
        files = prepared_files(whole.removesuffix(self._within()), self.revision, self.subset, self.split)
        if int(number) >= len(files):
            raise InputError(f"{self.path} is gone: the split has {len(files)} files now. Run again.")
        return local_copy(str(files[int(number)]), folder)

    def _within(self) -> str:
        """What stands behind the dataset's name in the address of a shard, save its number."""
        return (f"@{self.revision}" if self.revision else "") + "".join(
            f"/{part}" for part in (self.subset, self.split) if part
        )

    def _read(self, file: Path) -> Iterator[RawRows]:
        from tasks.ingestion.arrow_files import arrow_batches

        return arrow_batches(file, self.path)


Source = Annotated[JsonLines | Csv | Parquet | Conll | ArrowFiles | HuggingFace, Field(discriminator="kind")]
SourceAdapter: TypeAdapter[Source] = TypeAdapter(Source)


def _is_utf8(text: str) -> bool:
    """Whether no byte of the text was kept as a lone surrogate, which is how undecodable bytes are marked."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _escaped(text: str) -> str:
    return shown(text.encode("utf-8", errors="surrogateescape"))
