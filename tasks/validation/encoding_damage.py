"""Damage that a wrong encoding leaves in a text."""

import re
from collections.abc import Iterable

from ftfy.badness import BADNESS_RE

REPLACEMENT = "\ufffd"
# All that end neither a line nor a column nor a page: C0 without \t to \r, DEL, and C1, which windows-1252 text leaves
# behind when it is read as Latin-1.
UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")


def damage_in(text: str) -> str | None:
    """What is wrong with the text's characters, in words, or None."""
    if text.isascii() and text.isprintable():
        return None
    if unseen := UNSEEN.search(text):
        return _named(unseen.group())
    # The sequences that UTF-8 leaves in some other encoding and that no language writes: ftfy's list (Speer 2019,
    # doi:10.5281/zenodo.2591652).
    if sequence := BADNESS_RE.search(text):
        return f"UTF-8 read as another encoding: {sequence.group().strip()!r}"
    return None


def damaged(texts: Iterable[str | None]) -> list[str | None]:
    """`damage_in` of every text; a missing text is not damaged."""
    return [None if text is None else damage_in(text) for text in texts]


def _named(character: str) -> str:
    if character == REPLACEMENT:
        return "a replacement character"
    kind = "half a surrogate pair" if "\ud800" <= character <= "\udfff" else "control character"
    return f"{kind} U+{ord(character):04X}"
