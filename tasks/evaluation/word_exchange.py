"""Whole words and phrases of a text put in the place of others, in the case that is there."""

import re
from collections.abc import Iterable, Mapping
from functools import cache


def exchanged(text: str, others: Mapping[str, str], *, once: bool = False) -> str:
    """The text with each word or phrase that is a key replaced, all at the same time; only the first one if `once`.

    Where several begin at one place, the longest counts. Keys are found in any case.
    """
    if not others:
        return text
    known = {key.casefold(): (key, other) for key, other in others.items()}
    return _any_of(tuple(others)).sub(lambda m: _in_case(m.group(), *known[m.group().casefold()]), text, int(once))


def found_in(text: str, terms: Iterable[str]) -> list[str]:
    """Those of the terms that the text holds as whole words, each once, in the order of the text."""
    given = {term.casefold(): term for term in terms}
    if not given:
        return []
    found = (match.group().casefold() for match in _any_of(tuple(given.values())).finditer(text))
    return list(dict.fromkeys(given[term] for term in found))


@cache
def _any_of(terms: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(terms, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def _in_case(found: str, key: str, other: str) -> str:
    """`other` as `found` is written, where that is not how its key is."""
    if found == key:
        return other
    if found.isupper() and len(found) > 1:
        return other.upper()
    if found[0].isupper():
        return other[0].upper() + other[1:]
    return other.lower() if found.islower() else other
