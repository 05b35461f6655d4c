"""Templates: texts with places, as in `I want my {thing} back`, and lists of what to put there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

PLACE = re.compile(r"\{([^{}]*)\}")


def places_in(texts: Sequence[str]) -> list[str]:
    """Names of the places, each once."""
    return list(dict.fromkeys(name for text in texts for name in PLACE.findall(text)))


def check_places(texts: Sequence[str], lists: Mapping[str, Sequence[str]]) -> None:
    """Raises ValueError where a place has no list, or a list no place, naming all of them."""
    places = places_in(texts)
    known = ", ".join(lists) or "none"
    problems = [f"{{{name}}} has no list; lists are {known}" for name in places if name not in lists]
    problems += [f"{{{name}}} stands in none of {list(texts)}" for name in lists if name not in places]
    if problems:
        raise ValueError("; ".join(problems))


def fillings(texts: Sequence[str], lists: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Every way to fill the places of these texts."""
    names = places_in(texts)
    for values in product(*(lists[name] for name in names)):
        yield dict(zip(names, values, strict=True))


def fill(text: str, filling: Mapping[str, str]) -> str:
    """The text with its places filled."""
    return PLACE.sub(lambda match: filling[match.group(1)], text)
