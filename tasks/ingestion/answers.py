"""Answers that are parts of a text: from the forms that files give them in, and along with a text that is cleaned.

An answer is {text: [...], start: [...]}, as SQuAD has it: the same said in several places or ways, with the character
that each begins at; without any, the text holds no answer.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from data_contracts.cleaning import Cleaning, clean_texts

ANSWERS = pa.struct([("text", pa.list_(pa.string())), ("start", pa.list_(pa.int64()))])
EXPECTED = "expected an object with `text` and `start`, or `start` and `end` in the text"
NOTHING: tuple[Any, ...] = (None, "", [])


def is_answer(value: dict[str, Any]) -> bool:
    """Whether a value has the keys of an answer."""
    has_text = "text" in value and ("start" in value or "answer_start" in value)
    return has_text or {"start", "end"} <= value.keys()


def answer_of(value: Any) -> dict[str, list[Any]]:
    """The answer that a value of a file stands for. Raises ValueError, saying what was expected."""
    if not isinstance(value, dict):
        raise ValueError(EXPECTED)
    texts, starts = value.get("text"), value.get("start", value.get("answer_start"))
    if texts in NOTHING and value.get("end") is None and starts in (*NOTHING, -1):
        return {"text": [], "start": []}
    texts, starts = (of if isinstance(of, list) else [of] for of in (texts, starts))
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError(EXPECTED)
    if not all(isinstance(start, int) and not isinstance(start, bool) and start >= 0 for start in starts):
        raise ValueError("expected a `start` that counts characters from 0")
    if len(texts) != len(starts):
        raise ValueError(f"found {len(texts)} texts but {len(starts)} starts")
    return {"text": texts, "start": starts}


def with_texts(values: Sequence[Any], texts: Sequence[Any]) -> list[Any]:
    """The values, where they say `start` and `end` alone with the `text` that stands there, if any does."""
    return [_with_text(_parsed(value), text) for value, text in zip(values, texts, strict=True)]


def carried(answer: dict[str, list[Any]], text: str, cleaned: str, cleaning: Cleaning) -> dict[str, list[Any]]:
    """The answer in the cleaned text; one that is not found again stays as it is, and the contract refuses the row.

    That is where it did not stand in the text, or began or ended inside of something that cleaning takes away.
    """
    if text == cleaned:
        return answer
    found: dict[str, list[Any]] = {"text": [], "start": []}
    for part, start in zip(answer["text"], answer["start"], strict=True):
        before, wanted = clean_texts([text[:start], part], cleaning)
        places = [match.start() for match in re.finditer(f"(?={re.escape(wanted)})", cleaned)] if wanted else []
        # White space at the end of what stands before is gone when that is cleaned alone, or is no longer doubled.
        near = [place for place in places if abs(place - len(before)) <= 1]
        if not near or text[start : start + len(part)] != part:
            return answer
        found["text"].append(wanted)
        found["start"].append(min(near, key=lambda place: abs(place - len(before))))
    return found


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _with_text(value: Any, text: Any) -> Any:
    if not isinstance(value, dict) or value.get("text") is not None or not isinstance(text, str):
        return value
    start, end = value.get("start"), value.get("end")
    within = isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)
    return {"text": text[start:end], "start": start} if within else value
