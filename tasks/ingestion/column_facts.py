"""What the values of a column have in common, gathered batch by batch in bounded memory."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from data_contracts.labelling import label_in_words
from tasks.ingestion.answers import is_answer
from tasks.ingestion.rows import RawRows, UnreadableRow

MOST_LABELS = 500
# A set of so many hashes takes about 70 MB; whether a longer column repeats itself is left open.
MOST_IDS = 1_000_000
TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", datetime: "timestamp"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:.*)?")
INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")
# With a comma before decimals, or for thousands; a point is then what parts thousands.
COMMA_NUMBER = re.compile(r"[+-]?([1-9]\d{0,2}(\.\d{3})+|\d+)(,\d+)*")
BIO_TAG = re.compile(r"O|[BI]-.+")


@dataclass
class ColumnFacts:
    """Counts, limits and kinds of one column's values. `counts` is None once there are too many different ones."""

    present: int = 0
    types: Counter[str] = field(default_factory=Counter)
    minimum: float = math.inf
    maximum: float = -math.inf
    shortest: float = math.inf
    longest: int = 0
    characters: int = 0
    spaced: int = 0
    counts: Counter[str] | None = field(default_factory=Counter)
    most: int = MOST_LABELS
    hashes: set[int] | None = field(default_factory=set)
    are_integers: bool = True
    # Texts that stand for a number or a time, and the first that does not.
    numbers: int = 0
    moments: int = 0
    no_number: str | None = None
    no_moment: str | None = None
    # Whether all texts are COMMA_NUMBERs, and the first that holds a comma, or else a point.
    may_hold_commas: bool = True
    with_comma: str | None = None
    with_point: str | None = None
    # The first value that no contract has a type for.
    odd: Any = None
    tag_kinds: set[str] = field(default_factory=set)
    holds_answers: bool = False

    def add(self, values: Sequence[Any]) -> None:
        """Takes note of some more values; None and NaN are missing ones."""
        of_type = _by_type(values)
        for kind, some in of_type.items():
            self.types[kind] += len(some)
            self.present += len(some)
            self._note_repeats(kind, some)
        self.odd = next(iter(of_type.get("other", [])), None) if self.odd is None else self.odd
        self._note_texts(of_type.get("string", []))
        self._note_numbers(of_type.get("integer", []) + of_type.get("number", []))
        self._count(of_type.get("string", []))
        self._count([label_in_words(value) for kind in ("integer", "boolean") for value in of_type.get(kind, [])])
        self._count([entry for value in of_type.get("array", []) for entry in value])
        for value in of_type.get("object", []):
            self.tag_kinds.update(tag[2:] for tag in value.get("tags", ()) if tag[:2] in ("B-", "I-"))
            self.holds_answers = self.holds_answers or is_answer(value)

    def logical_type(self, typed: bool) -> str:
        """The contract's type that fits most values; of texts in an untyped file, what they stand for."""
        if not self.types:
            return "string"
        if set(self.types) == {"integer", "number"}:
            return "number"
        kind = self.types.most_common(1)[0][0]
        if kind != "string" or set(self.types) != {"string"}:
            return kind
        if self.no_moment is None:
            return "timestamp"
        if not typed and self.are_integers:
            return "integer"
        return "number" if not typed and self.no_number is None else "string"

    def misfits(self, logical_type: str, *, of_labels: bool = False) -> int:
        """How many values have another type than the contract's column, which may be one of labels."""
        fit = {logical_type, "integer"} if logical_type == "number" else {logical_type}
        # Labels are read as text where they are not.
        fit |= {"integer", "boolean"} if of_labels and logical_type == "string" else set()
        return sum(count for kind, count in self.types.items() if kind not in fit and set(self.types) != {"string"})

    @property
    def all_differ(self) -> bool:
        """Whether no value stands there twice, as far as that was looked at."""
        return self.hashes is not None and self.present > 1

    @property
    def comma_number(self) -> str | None:
        """The first text with a comma, where all are numbers in which one may stand."""
        return self.with_comma if self.may_hold_commas else None

    @property
    def point_number(self) -> str | None:
        """The first text with a point, where it may part thousands in all that hold any, and none has a comma."""
        return self.with_point if self.may_hold_commas and self.with_comma is None else None

    @property
    def are_bio_tags(self) -> bool:
        """Whether the column lists tags of tokens."""
        return bool(self.counts) and "O" in (self.counts or ()) and all(map(BIO_TAG.fullmatch, self.counts or ()))

    def _note_repeats(self, kind: str, values: Sequence[Any]) -> None:
        if self.hashes is None:
            return
        new = set(map(hash, values)) if kind in ("string", "integer") else set()
        # What could be a repeat counts as one, so that `unique` is never claimed of values that are not.
        if len(new) < len(values) or not self.hashes.isdisjoint(new) or len(self.hashes) + len(new) > MOST_IDS:
            self.hashes = None
        else:
            self.hashes |= new

    def _note_texts(self, texts: Sequence[str]) -> None:
        if not texts:
            return
        lengths = list(map(len, texts))
        self.shortest = min(self.shortest, min(lengths))
        self.longest = max(self.longest, max(lengths))
        self.characters += sum(lengths)
        self.spaced += sum(1 for text in texts if " " in text)
        self.are_integers = self.are_integers and all(map(INTEGER.fullmatch, texts))
        self._note_commas(texts)
        moments, numbers = list(map(_is_moment, texts)), list(map(_is_number, texts))
        self.moments, self.numbers = self.moments + sum(moments), self.numbers + sum(numbers)
        if self.no_moment is None and not all(moments):
            self.no_moment = texts[moments.index(False)]
        if self.no_number is None and not all(numbers):
            self.no_number = texts[numbers.index(False)]
        if self.no_number is None:
            self._note_numbers(list(map(float, texts)))

    def _note_commas(self, texts: Sequence[str]) -> None:
        self.may_hold_commas = self.may_hold_commas and all(map(COMMA_NUMBER.fullmatch, texts))
        if self.may_hold_commas:
            self.with_comma = self.with_comma or next((text for text in texts if "," in text), None)
            self.with_point = self.with_point or next((text for text in texts if "." in text), None)

    def _note_numbers(self, numbers: Sequence[float]) -> None:
        if numbers:
            self.minimum, self.maximum = min(self.minimum, min(numbers)), max(self.maximum, max(numbers))

    def _count(self, entries: Sequence[str]) -> None:
        if self.counts is not None:
            self.counts.update(entries)
            if len(self.counts) > self.most:
                self.counts = None


@dataclass
class Facts:
    """All columns in the order in which they came up, and how many rows could and could not be read."""

    columns: dict[str, ColumnFacts] = field(default_factory=dict)
    rows: int = 0
    unreadable: int = 0
    first_unreadable: UnreadableRow | None = None


def gather_facts(batches: Iterable[RawRows]) -> Facts:
    """What the rows of some batches have in common."""
    facts = Facts()
    for batch in batches:
        facts.rows += len(batch.numbers)
        facts.unreadable += len(batch.unreadable)
        facts.first_unreadable = facts.first_unreadable or next(iter(batch.unreadable), None)
        for name, values in batch.columns.items():
            of_column = facts.columns.setdefault(name, ColumnFacts())
            of_column.add(values.to_pylist() if hasattr(values, "to_pylist") else values)
    return facts


def _by_type(values: Sequence[Any]) -> dict[str, list[Any]]:
    """The values that are not missing, by the contract's type that fits them, or `other`."""
    found: dict[str, list[Any]] = {}
    classes = set(map(type, values))
    for of_class in classes - {type(None)}:
        some = list(values) if len(classes) == 1 else [value for value in values if type(value) is of_class]
        if of_class is float:
            some = [value for value in some if value == value]
        if of_class in (float, list, dict):
            for value in some:
                found.setdefault(_type_of(value), []).append(value)
        else:
            found.setdefault(TYPES.get(of_class, "other"), []).extend(some)
    return found


def _type_of(value: Any) -> str:
    if isinstance(value, list):
        return "array" if all(type(entry) is str for entry in value) else "other"
    if isinstance(value, dict):
        lists = (value.get("tokens"), value.get("tags"))
        is_tagged = all(isinstance(entry, list) and _type_of(entry) == "array" for entry in lists)
        return "object" if is_tagged or is_answer(value) else "other"
    return "number" if math.isfinite(value) else "other"


def _is_moment(text: str) -> bool:
    if not MOMENT.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and not re.match(r"-?0\d|.*_", text)
    except ValueError:
        return False
