"""Lines of a text file of any size, plain or compressed."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from data_contracts.errors import InputError
from tasks.ingestion.addresses import name_of, readable_read_errors
from tasks.ingestion.rows import BYTES_A_BATCH, ROWS_A_BATCH

BYTES_AT_ONCE = 2**20
LONGEST_LINE_BYTES = 4 * BYTES_A_BATCH
COMPRESSED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NO_LINES = {
    b"\x1f\x8b": "is compressed with gzip: let its name end with .gz",
    b"BZh91AY&SY": "is compressed with bzip2: let its name end with .bz2",
    b"\xfd7zXZ\0": "is compressed with xz: let its name end with .xz",
    b"\x28\xb5\x2f\xfd": "is compressed with Zstandard, which is not read: unpack it, or compress it with gzip",
    b"PK\x03\x04": "is a ZIP archive or a file of Excel: unpack it, or save it as CSV",
    b"PAR1": "is a Parquet file: read it with `kind: parquet`",
    b"\xff\xfe": "is written in UTF-16: save it as UTF-8",
    b"\xfe\xff": "is written in UTF-16: save it as UTF-8",
}


def line_batches(file: Path, path: str, size_bytes: int = BYTES_A_BATCH) -> Iterator[tuple[int, list[bytes]]]:
    r"""Lines without their ends (\n, \r\n or \r), up to ROWS_A_BATCH and `size_bytes` of them, and the first's number.

    `path` is the address that messages name and whose ending (.gz, .bz2, .xz) tells whether the file is compressed.
    Raises InputError where a compressed file is damaged or cut off.
    """
    number, lines, size = 1, [], 0
    for piece in _pieces(file, path):
        lines += piece.splitlines()
        size += len(piece)
        while len(lines) >= ROWS_A_BATCH or (size >= size_bytes and lines):
            yield number, lines[:ROWS_A_BATCH]
            number += min(len(lines), ROWS_A_BATCH)
            del lines[:ROWS_A_BATCH]
            size = 0
    if lines:
        yield number, lines


def _pieces(file: Path, path: str) -> Iterator[bytes]:
    """The file's bytes without a byte order mark, cut behind ends of lines."""
    held: list[bytes] = []
    start = True
    with _opened(file, path) as stream:
        while data := _read(stream, path, BYTES_AT_ONCE):
            # What follows \r may be the other half of \r\n.
            while data.endswith(b"\r") and (following := _read(stream, path, 1)):
                data += following
            if start:
                _refuse_what_has_no_lines(data, path)
                data = data.removeprefix(BYTE_ORDER_MARK)
                start = False
            cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
            if cut:
                yield b"".join([*held, data[:cut]])
                held.clear()
            held.append(data[cut:])
            if BYTES_AT_ONCE * len(held) > LONGEST_LINE_BYTES:
                raise InputError(
                    f"{path} has a line of more than {LONGEST_LINE_BYTES:,} bytes, which is no row. "
                    "Check the format: rows stand on lines of their own."
                )
    if any(held):
        yield b"".join(held)


def _refuse_what_has_no_lines(data: bytes, path: str) -> None:
    """Raises InputError for bytes that begin as no text in UTF-8 does."""
    for beginning, what in NO_LINES.items():
        if data.startswith(beginning):
            raise InputError(f"{path} {what}.")
    # Half of each of its first characters, where they are of ASCII.
    if 0 in data[:4] and any(data[:4]):
        raise InputError(f"{path} is written in UTF-16 or UTF-32: save it as UTF-8.")


def _opened(file: Path, path: str) -> IO[bytes]:
    with readable_read_errors(path):
        match name_of(path).suffix:
            case ".gz":
                return gzip.open(file)  # type: ignore[return-value]
            case ".bz2":
                return bz2.open(file)
            case ".xz":
                return lzma.open(file)
        return file.open("rb")


def _read(stream: IO[bytes], path: str, size: int) -> bytes:
    kind = COMPRESSED.get(name_of(path).suffix)
    try:
        return stream.read(size)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if kind is None:
            raise InputError(f"{path} cannot be read to its end: {error}. Check the disk, or copy it again.") from error
        raise InputError(f"{path} is not a whole {kind} file: {error}. Copy it again.") from error
