"""Slips of the fingers on a keyboard, as edits of single characters."""

from collections.abc import Iterable
from random import Random

from tasks.modeling.keyboard import neighbours_of

Edits = dict[int, str]
FEWEST_LETTERS = 3


def slips_in(text: str, words: Iterable[tuple[int, int]], rate: float, random: Random) -> Edits:
    """What some letters of those words become, by position; `rate` is of slips a letter, and there is one at least.

    Over 80% of misspellings are one of such slips (Damerau 1964, Communications of the ACM 7, 171-176). The first
    letter of a word stays, for few slips are made there (Yannakoudakis and Fawthrop 1983, Information Processing &
    Management 19, 87-99) and readers lean on it; so do numbers, which would mean something else, and short words.
    """
    spelt = [(a, b) for a, b in words if b - a >= FEWEST_LETTERS and text[a:b].isalpha()]
    letters = [(at, end) for start, end in spelt for at in range(start + 1, end)]
    chosen = [place for place in letters if random.random() < rate]
    edits: Edits = {}
    for at, end in chosen or [random.choice(letters)] if letters else []:
        slip = _slip(text, at, end, random)
        edits |= {} if slip.keys() & edits.keys() else slip
    return edits


def _slip(text: str, at: int, end: int, random: Random) -> Edits:
    """One of the slips that the letter allows."""
    letter = text[at]
    slips: list[Edits] = [{at: ""}, {at: letter * 2}]
    if near := neighbours_of(letter):
        slips.append({at: random.choice(near)})
    if at + 1 < end and text[at + 1] != letter:
        slips.append({at: text[at + 1], at + 1: letter})
    return random.choice(slips)
