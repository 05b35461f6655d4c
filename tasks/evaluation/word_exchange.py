"""Whole words and phrases of a text put in the place of others, in the case that is there."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated

from pydantic import StringConstraints

# Space around a phrase is part of no word, and an empty one is found nowhere.
Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
# An expression that ignores case takes all of them for one letter; `casefold` tells the Turkish ones apart.
LETTERS_I = str.maketrans("İı", "ii")


def exchanged(text: str, others: Mapping[str, str], *, once: bool = False) -> str:
    """The text with each word or phrase that is a key replaced, all at the same time; only the first one if `once`.

    Where several begin at one place, the longest counts. Keys are found in any case.
    """
    if not others:
        return text
    known = {_folded(key): (key, other) for key, other in others.items()}
    return _any_of(tuple(others)).sub(lambda m: _in_case(m.group(), *known[_folded(m.group())]), text, int(once))


def found_in(text: str, terms: Iterable[str]) -> list[str]:
    """Those of the terms that the text holds as whole words, each once, in the order of the text."""
    given = {_folded(term): term for term in terms}
    if not given:
        return []
    found = (_folded(match.group()) for match in _any_of(tuple(given.values())).finditer(text))
    return list(dict.fromkeys(given[term] for term in found))


@cache
def _any_of(terms: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(terms, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def _folded(text: str) -> str:
    """The same for texts that differ in case alone."""
    return text.translate(LETTERS_I).casefold()


def _in_case(found: str, key: str, other: str) -> str:
    """`other` as `found` is written, where that is not how its key is."""
    if found == key:
        return other
    if found.isupper() and len(found) > 1:
        return other.upper()
    if found[0].isupper():
        return other[:1].upper() + other[1:]
    return other.lower() if found.islower() else other
