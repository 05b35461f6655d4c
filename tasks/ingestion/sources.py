"""Sources: where rows are read from. Each kind holds its settings and reads its format."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import fsspec
from pydantic import BaseModel, ConfigDict, Field

from data_contracts.errors import InputError


class Unreadable(BaseModel):
    """A row that cannot be read as a row at all."""

    problem: str
    value: str


class FileSource(BaseModel):
    """What all sources share. `path` is local, relative to the pipeline's YAML file, or any address fsspec reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    columns: dict[str, str] = Field({}, description="contract column: column in the file, where the names differ")

    def read_bytes(self) -> bytes:
        """The file's bytes. Raises InputError where there is no such file, bucket or permission."""
        with readable_read_errors(self.path), fsspec.open(self.path, "rb") as file:
            content: bytes = file.read()
        return content

    def renamed(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row under the contract's column names. Raises InputError where two columns would get the same name."""
        back = {found: wanted for wanted, found in self.columns.items()}
        renamed = {back.get(name, name): value for name, value in row.items()}
        if len(renamed) < len(row):
            twice = sorted(wanted for found, wanted in back.items() if found in row and wanted in row)
            raise InputError(
                f"{self.path} already has {', '.join(map(repr, twice))}, which `columns` renames another column to. "
                "Rename or drop one of the two."
            )
        return renamed


class JsonLines(FileSource):
    """One JSON object a line, UTF-8, plain or gzip (`.gz`)."""

    kind: Literal["json_lines"] = "json_lines"

    def rows(self, content: bytes) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
        """Line number, counted from 1, and row; empty lines are skipped."""
        for number, line in enumerate(_lines(content, self.path), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
                # Half of a surrogate pair can be escaped in JSON but is no text: nothing could write it down again.
                if b"\\u" in line:
                    json.dumps(row, ensure_ascii=False).encode("utf-8")
            except (ValueError, RecursionError) as error:
                yield number, Unreadable(problem=f"not JSON: {error}", value=repr(line[:200]))
                continue
            if isinstance(row, dict):
                yield number, self.renamed(row)
            else:
                yield number, Unreadable(problem=f"{type(row).__name__}, not an object", value=repr(line[:200]))


class Csv(FileSource):
    """A header and rows separated by `delimiter`, UTF-8, plain or gzip; an empty cell is a missing value."""

    kind: Literal["csv"] = "csv"
    delimiter: str = Field(",", min_length=1, max_length=1)

    def rows(self, content: bytes) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
        """Line number at which the row ends, and row; cells that look like JSON objects or numbers stay text."""
        text = io.StringIO(b"\n".join(_lines(content, self.path)).decode("utf-8", errors="surrogateescape"), newline="")
        reader = csv.reader(text, delimiter=self.delimiter, strict=True)
        done = 0
        try:
            header = next(reader, [])
            if twice := sorted({name for name in header if header.count(name) > 1}):
                raise InputError(f"{self.path} has the column(s) {', '.join(twice)} twice. Rename or drop one of them.")
            done = reader.line_num
            for cells in reader:
                done = reader.line_num
                if cells:
                    yield done, self._row(header, cells)
        except csv.Error as error:
            raise InputError(
                f"{self.path}, row after line {done}: {error}. Check the quotes and `delimiter`."
            ) from error

    def _row(self, header: list[str], cells: list[str]) -> dict[str, Any] | Unreadable:
        if len(cells) != len(header):
            return Unreadable(problem=f"{len(cells)} cells, but {len(header)} in the header", value=str(cells)[:200])
        if not _is_utf8("".join(cells)):
            return Unreadable(problem="not UTF-8", value=str(cells)[:200])
        return self.renamed({name: cell or None for name, cell in zip(header, cells, strict=True)})


class Parquet(FileSource):
    """One Parquet file; rows are numbered from 1."""

    kind: Literal["parquet"] = "parquet"

    def rows(self, content: bytes) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
        """Row number and row."""
        import pyarrow
        import pyarrow.parquet

        try:
            rows = pyarrow.parquet.read_table(pyarrow.BufferReader(content)).to_pylist()
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{self.path} is not a whole Parquet file: {reason}. Copy it again.") from error
        for number, row in enumerate(rows, start=1):
            yield number, self.renamed(row)


@contextmanager
def readable_read_errors(path: str) -> Iterator[None]:
    """Turns what goes wrong when a file or its folder is looked at into an InputError that says what to do."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist. Correct `path` in the pipeline, or create the file.") from error
    except PermissionError as error:
        raise InputError(f"{path} may not be read: {error}. Check its permissions or the credentials.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a file of rows.") from error
    except Exception as error:
        # Each of fsspec's back ends has error classes of its own, for missing credentials or a dead endpoint.
        raise InputError(
            f"{path} cannot be read: {type(error).__name__}: {error}. Check address, endpoint and credentials."
        ) from error


Source = Annotated[JsonLines | Csv | Parquet, Field(discriminator="kind")]


def _lines(content: bytes, path: str) -> list[bytes]:
    if path.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path} is not a whole gzip file: {error}. Copy it again.") from error
    return content.removeprefix(b"\xef\xbb\xbf").splitlines()


def _is_utf8(text: str) -> bool:
    """Whether no byte of the text was kept as a lone surrogate, which is how undecodable bytes are marked."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
