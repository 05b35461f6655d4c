"""Entities of a text, which the BIO tags of its words stand for."""

from collections.abc import Sequence
from typing import Any


def entities_of(tags: Sequence[str], spans: Sequence[tuple[int, int]], text: str) -> list[dict[str, Any]]:
    """Entities that BIO tags stand for: kind, text, and start and end in characters."""
    found: list[dict[str, Any]] = []
    for tag, (start, end) in zip(tags, spans, strict=True):
        if tag.startswith("B-"):
            found.append({"kind": tag[2:], "text": text[start:end], "start": start, "end": end})
        elif tag.startswith("I-"):
            found[-1] |= {"text": text[found[-1]["start"] : end], "end": end}
    return found
