"""Words of a text, and where they stand in it."""

import re
import unicodedata
from collections.abc import Sequence

SHAPES = ("lower", "capital", "upper", "digits", "mixed", "mark")
# Where combining marks stand: far from Chinese and Korean, whose many characters would be looked through for nothing.
MARKED = (range(0x300, 0x3100), range(0xA600, 0xAC00), range(0xFB00, 0xFE30), range(0x10000, 0x1F000))
VARIANTS = "\U000e0100-\U000e01ef"
JOINERS = "\u200c\u200d"


def _marks() -> str:
    """All combining marks of Unicode as what stands between the brackets of an expression."""
    marks = [at for block in MARKED for at in block if unicodedata.category(chr(at))[0] == "M"]
    firsts = [at for at, before in zip(marks, [-1, *marks[:-1]], strict=True) if at != before + 1]
    lasts = [at for at, behind in zip(marks, [*marks[1:], -1], strict=True) if at != behind - 1]
    return VARIANTS + "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(firsts, lasts, strict=True))


# Scripts that set no space between words, so that only a dictionary tells where one ends: Thai and Lao, Burmese, Khmer,
# kana and Chinese characters. Of these, each character is a word.
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
# Vowel signs of Hindi, Thai or Arabic, and accents by themselves, as in decomposed Vietnamese, belong to the letter
# before them, and so do the invisible characters that join letters or keep them apart. That most characters are none of
# those is told by their number alone, which is twice as fast.
LETTERS, SIGNS = rf"[^\W{UNSPACED}]", rf"(?![\0-\u02ff])[{_marks()}{JOINERS}]+"
WORD = re.compile(rf"{LETTERS}+(?:{SIGNS}{LETTERS}*)*|[{UNSPACED}](?:{SIGNS})?|[^\w\s]")
# Marks of punctuation, but not those inside of 3.50, 10:30 or example.com; those of Chinese, Arabic, Urdu and Hindi are
# inside of nothing.
MARKS = re.compile(r"[.,;:!?…]+(?=[\s\"'”’)\]]|$)|[。，！？；：、،؛؟۔।॥]+")
# The first letter of each run between white spaces, unless a digit comes before it.
CAPITAL = re.compile(r"(?<!\S)[^\w\s]*([^\W\d_])")


def words_of(text: str) -> list[str]:
    """Runs of letters and digits, single characters of scripts without spaces, and single marks: what is tagged."""
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
