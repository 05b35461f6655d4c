"""Sources: where rows are read from. Each kind holds its settings and reads its format."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
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
        try:
            with fsspec.open(self.path, "rb") as file:
                content: bytes = file.read()
        except FileNotFoundError as error:
            raise InputError(
                f"{self.path} does not exist. Correct `path` in the pipeline, or create the file."
            ) from error
        except PermissionError as error:
            raise InputError(
                f"{self.path} may not be read: {error}. Check its permissions or the credentials."
            ) from error
        except IsADirectoryError as error:
            raise InputError(f"{self.path} is a folder, not a file of rows.") from error
        except (OSError, ImportError, ValueError) as error:
            raise InputError(f"{self.path} cannot be read: {error}") from error
        return content

    def renamed(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row under the contract's column names."""
        back = {found: wanted for wanted, found in self.columns.items()}
        return {back.get(name, name): value for name, value in row.items()}


class JsonLines(FileSource):
    """One JSON object a line, UTF-8, plain or gzip (`.gz`)."""

    kind: Literal["json_lines"] = "json_lines"

    def rows(self, content: bytes) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
        """Line number, counted from 1, and row; empty lines are skipped."""
        for number, line in enumerate(_lines(content, self.path), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
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
        text = io.StringIO(b"\n".join(_lines(content, self.path)).decode("utf-8", errors="replace"), newline="")
        reader = csv.DictReader(text, delimiter=self.delimiter, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    yield (
                        reader.line_num,
                        Unreadable(problem="other number of cells than the header", value=str(row)[:200]),
                    )
                else:
                    yield reader.line_num, self.renamed({name: cell or None for name, cell in row.items()})
        except csv.Error as error:
            raise InputError(
                f"{self.path}, line {reader.line_num}: {error}. Check the quotes and `delimiter`."
            ) from error


class Parquet(FileSource):
    """One Parquet file; rows are numbered from 1."""

    kind: Literal["parquet"] = "parquet"

    def rows(self, content: bytes) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
        """Row number and row."""
        import pyarrow
        import pyarrow.parquet

        try:
            table = pyarrow.parquet.read_table(pyarrow.BufferReader(content))
        except pyarrow.ArrowException as error:
            raise InputError(f"{self.path} is not a whole Parquet file: {error}") from error
        for number, row in enumerate(table.to_pylist(), start=1):
            yield number, self.renamed(row)


Source = Annotated[JsonLines | Csv | Parquet, Field(discriminator="kind")]


def _lines(content: bytes, path: str) -> list[bytes]:
    if path.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError) as error:
            raise InputError(f"{path} is not a whole gzip file: {error}. Copy it again.") from error
    return content.removeprefix(b"\xef\xbb\xbf").splitlines()
