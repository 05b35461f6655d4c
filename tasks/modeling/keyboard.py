"""Which keys lie side by side."""

from functools import cache

# QWERTY's rows of letters, and how far each is set in from the first, in widths of a key.
ROWS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75))
REACH = 1.3


@cache
def neighbours_of(letter: str) -> str:
    """Letters on the keys that touch the letter's own, in its case; none for a letter that has no key of its own."""
    places = {key: (inset + at, row) for row, (keys, inset) in enumerate(ROWS) for at, key in enumerate(keys)}
    if letter.lower() not in places:
        return ""
    x, y = places[letter.lower()]
    near = "".join(key for key, (a, b) in places.items() if 0 < (a - x) ** 2 + (b - y) ** 2 < REACH**2)
    return near.upper() if letter.isupper() else near
