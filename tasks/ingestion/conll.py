"""Sentences of a file with a token a line, as the CoNLL shared tasks write them."""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data_contracts.errors import InputError
from tasks.ingestion.lines import BYTES_AT_ONCE, line_batches
from tasks.ingestion.rows import TableRow, UnreadableRow, shown

COLUMNS = ("tokens", "tags", "text")
LONGEST_SENTENCE_LINES = 100_000
BYTES_A_TOKEN = 64  # as a Python object
DOCUMENT_START = b"-DOCSTART-"
BIO_TAG = re.compile(rb"O|[BI]-\S+")
Scheme = Literal["bio", "iob1"]


@dataclass(frozen=True)
class Layout:
    """Where in a line token and tag stand; negative positions count from the end."""

    delimiter: str | None
    token: int
    tag: int
    scheme: Scheme
    joined_by: str = " "

    def cells(self, line: bytes) -> list[bytes]:
        """The line's cells. White space is ASCII's: a token may hold a no-break space."""
        return line.split(self.delimiter.encode() if self.delimiter else None)

    def fits(self, width: int) -> bool:
        """Whether a line of so many cells holds token and tag, in cells of their own."""
        places = {place % width for place in (self.token, self.tag) if -width <= place < width}
        return len(places) == 2


def sentence_rows(file: Path, path: str, layout: Layout) -> Iterator[TableRow | UnreadableRow]:
    """A row of COLUMNS for every sentence, under the number of its first token's line.

    A sentence with a line of another number of columns than the file's first is unreadable as a whole.
    """
    width = 0
    for start, block in _blocks(file, path):
        skipped = _comments(block, layout)
        number, lines = start + skipped, block[skipped:]
        table = [layout.cells(line) for line in lines]
        width = width or next((len(cells) for cells in table if layout.fits(len(cells))), 0)
        wrong = next((n for n, cells in enumerate(table) if len(cells) != width), None)
        if wrong is not None:
            problem = _width_problem(number + wrong, len(table[wrong]), width, layout)
            yield UnreadableRow(number, problem, shown(b"\n".join(lines)))
        elif table:
            yield _row(number, table, layout) or UnreadableRow(number, "not UTF-8", shown(b"\n".join(lines)))


def to_bio(tags: Sequence[str]) -> list[str]:
    """IOB1 tags as BIO ones: in IOB1 an entity begins with B- only behind another one of the same kind.

    Tjong Kim Sang and Veenstra 1999, "Representing Text Chunks", https://aclanthology.org/E99-1023
    """
    before = "O"
    found = []
    for tag in tags:
        begins = tag.startswith("I-") and before[2:] != tag[2:]
        found.append(f"B-{tag[2:]}" if begins else tag)
        before = tag
    return found


def _blocks(file: Path, path: str) -> Iterator[tuple[int, list[bytes]]]:
    """Runs of lines between blank ones, with the first one's number; -DOCSTART- lines separate too."""
    block: list[bytes] = []
    number = 0
    for first, lines in line_batches(file, path, BYTES_AT_ONCE):
        for number, line in enumerate(lines, start=first):
            if line.strip() and not line.startswith(DOCUMENT_START):
                block.append(line)
            elif block:
                yield number - len(block), block
                block = []
            if len(block) > LONGEST_SENTENCE_LINES:
                raise InputError(
                    f"{path}, line {number}: no blank line for {LONGEST_SENTENCE_LINES:,} lines, which is no sentence. "
                    "Separate the sentences by blank lines."
                )
    if block:
        yield number - len(block) + 1, block


def _comments(block: list[bytes], layout: Layout) -> int:
    """How many comments the sentence begins with: lines before its first token that begin with `# `."""
    width = len(layout.cells(block[-1]))
    for number, line in enumerate(block):
        cells = layout.cells(line)
        # A tagged `#` may be a sentence's first token, too.
        is_token = len(cells) == width and layout.fits(width) and BIO_TAG.fullmatch(cells[layout.tag])
        if is_token or not line.startswith(b"# "):
            return number
    return len(block)


def _row(number: int, table: list[list[bytes]], layout: Layout) -> TableRow | None:
    try:
        tokens = [cells[layout.token].decode("utf-8") for cells in table]
        tags = [sys.intern(cells[layout.tag].decode("utf-8")) for cells in table]
    except UnicodeDecodeError:
        return None
    row = (tokens, to_bio(tags) if layout.scheme == "iob1" else tags, layout.joined_by.join(tokens))
    return number, row, BYTES_A_TOKEN * len(tokens)


def _width_problem(line: int, found: int, width: int, layout: Layout) -> str:
    if found != width and width:
        return f"line {line} has {found} columns, but the file's first token has {width}"
    return f"line {line} has {found} columns: no separate columns {layout.token} (token) and {layout.tag} (tag)"
