"""Words of a text, and where they stand in it."""

import re
import unicodedata
from collections.abc import Sequence

SHAPES = ("lower", "capital", "upper", "digits", "mixed", "mark")
# Accents written as combining marks of their own (decomposed Vietnamese, say) belong to the letter before them.
WORD = re.compile(r"(?:\w[\u0300-\u036f]*)+|[^\w\s]")
# Marks of punctuation, but not those inside of 3.50, 10:30 or example.com.
MARKS = re.compile(r"[.,;:!?…]+(?=[\s\"'”’)\]]|$)|[。，！？；：、]+")
# The first letter of each run between white spaces, unless a digit comes before it.
CAPITAL = re.compile(r"(?<!\S)[^\w\s]*([^\W\d_])")


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, and single marks: the tokens that tags are given for."""
    return WORD.findall(text)


def spans_of(words: Sequence[str], text: str) -> list[tuple[int, int]]:
    """Start and end (in characters) of each word, found one after the other.

    Raises ValueError where a word does not occur in the rest of the text.
    """
    spans = []
    position = 0
    for number, word in enumerate(words, start=1):
        start = text.find(word, position)
        if start < 0:
            raise ValueError(f"token {number}, {word!r}, does not stand in the text after character {position}")
        position = start + len(word)
        spans.append((start, position))
    return spans


def shape_of(word: str) -> int:
    """Position in SHAPES: what an uncased tokenizer forgets about the word, and names are told by."""
    word = unicodedata.normalize("NFC", word)
    if not any(letter.isalnum() for letter in word):
        return SHAPES.index("mark")
    if word.isdigit():
        return SHAPES.index("digits")
    if not word.isalpha():
        return SHAPES.index("mixed")
    if word.islower():
        return SHAPES.index("lower")
    if word.isupper() and len(word) > 1:
        return SHAPES.index("upper")
    return SHAPES.index("capital" if word[0].isupper() else "mixed")


def shapes_in(texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]) -> list[list[int]]:
    """Shapes of the words at those spans, text by text."""
    return [[shape_of(text[start:end]) for start, end in of] for text, of in zip(texts, spans, strict=True)]
