"""Chance that hangs on its occasion alone: a row fares the same in every run, whatever other rows there are."""

import hashlib
from random import Random


def number_of(*occasion: object) -> int:
    """64 even bits."""
    written = "\0".join(map(str, occasion)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(written, digest_size=8).digest(), "big")


def share_of(*occasion: object) -> float:
    """Evenly drawn from 0 to 1, 1 left out."""
    # The upper 53 bits: all 64 would be rounded up to 1 now and then.
    return float((number_of(*occasion) >> 11) / 2**53)


def random_of(*occasion: object) -> Random:
    """A generator of its own."""
    return Random(number_of(*occasion))
