"""The lines of a drafted contract: what a column's facts say in YAML, and in comments to its owner."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from tasks.ingestion.column_facts import MOST_LABELS, ColumnFacts, Facts

LEAST_BUDGET = 0.02
MOST_SUPPORT = 50
FEWEST_IDS = 20
NEARLY_ALL = 0.9
LONGEST_LINE = 110
ROUND_LENGTHS: list[int] = [digit * 10**power for power in range(12) for digit in (1, 2, 5)]
NUMBERS = ("integer", "number")
MOST_CLASSES = 20


@dataclass(frozen=True)
class DraftColumn:
    """A column with its facts and what was made of them."""

    name: str
    facts: ColumnFacts
    logical_type: str
    role: Literal["text", "label"] | None
    answers_in: str | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each value of a column of text, or each entry of its lists, is there; empty if there are many."""
        return self.facts.counts or {} if self.logical_type in ("string", "array") else {}

    @property
    def misfits(self) -> int:
        """How many values the contract's column does not take."""
        return self.facts.misfits(self.logical_type, of_labels=self.role == "label")

    @property
    def is_id(self) -> bool:
        """Whether no value repeats and none has several words; of whole numbers, only those that are called ids."""
        if self.role or not self.facts.all_differ or self.facts.present < FEWEST_IDS:
            return False
        if self.logical_type == "integer":
            return self.name.lower() == "id" or self.name.lower().endswith(("_id", "key", "number"))
        return self.logical_type == "string" and self.facts.spaced == 0


def draft_lines(name: str, facts: Facts, columns: Sequence[DraftColumn]) -> Iterator[str]:
    """The YAML, line by line."""
    yield from _head(name, facts, any(column.role == "text" for column in columns))
    for column in columns:
        yield from _lines_of(column, facts.rows)
    lost = facts.unreadable + sum(_lost(column, facts.rows) for column in columns)
    share = math.ceil(100 * lost / (facts.rows + facts.unreadable)) / 100
    yield "customProperties:"
    yield "  # The share of a split's rows that may be quarantined before a run stops."
    yield f"  - {{property: quarantineBudget, value: {min(max(share, LEAST_BUDGET), 1):g}}}"


def _head(name: str, facts: Facts, has_text: bool) -> Iterator[str]:
    yield f"# Drafted from {facts.rows:,} rows. Settle what the comments leave open, then set the status to active."
    if facts.unreadable:
        yield f"# {facts.unreadable:,} more could not be read as rows; the quarantine budget lets them pass for now."
    if not has_text:
        yield "# No column holds free text of several words. Name one with --text, or join tokens to a text by the"
        yield "# source's setting columns: {text: {join: COLUMN}}."
    yield "apiVersion: v3.0.2"
    yield "kind: DataContract"
    yield f"id: {in_yaml(name)}"
    yield f"name: {in_yaml(name)}"
    yield "version: 0.1.0"
    yield "status: draft"
    yield 'owner: ""  # who answers for the data'
    yield "description:"
    yield '  purpose: ""  # what it is for'
    yield "schema:"
    yield "  - name: rows"
    yield "    logicalType: object"
    yield "    properties:"


def _lines_of(column: DraftColumn, rows: int) -> Iterator[str]:
    missing, misfits = rows - column.facts.present, column.misfits
    is_text = column.role == "text"
    yield f"      - name: {in_yaml(column.name)}"
    yield from (f"        # {seen}" for seen in _seen(column))
    if missing:
        of_them = "; without it they are quarantined" if is_text else ""
        yield f"        # Missing in {missing:,} of {rows:,} rows ({missing / rows:.1%}){of_them}."
    if misfits:
        yield f"        # {misfits:,} values are of another type; their rows are quarantined."
    yield f"        logicalType: {column.logical_type}"
    # Nothing can be learnt or asked of a row without a text.
    if is_text or not missing:
        yield "        required: true"
    if column.is_id:
        yield "        unique: true"
    elif limits := _limits(column):
        yield f"        logicalTypeOptions: {in_yaml(limits)}"
    if rules := list(_rules(column)):
        yield "        customProperties:"
        yield from (f"          {line}" for line in rules)


def _lost(column: DraftColumn, rows: int) -> int:
    """Rows that the drafted column quarantines."""
    without = rows - column.facts.present if column.role == "text" else 0
    return without + column.misfits


def _seen(column: DraftColumn) -> Iterator[str]:
    """What the owner should know of the values."""
    facts = column.facts
    if not facts.present:
        yield "It has no values, so its type is a guess."
    elif column.role == "text":
        yield f"The text that is learned from: {facts.shortest:,} to {facts.longest:,} characters."
    elif column.answers_in:
        yield f"Answers that are parts of {in_yaml(column.answers_in)}? If they are of another text, name that one."
        yield "It, and a text of questions beside it, need the role text."
    elif column.logical_type == "array" and facts.are_bio_tags:
        yield "BIO tags of tokens. A head for tags needs both in one column, which the source makes by its setting"
        yield "columns: {entities: {tokens: COLUMN, tags: COLUMN}}."
    elif facts.comma_number:
        yield f"Numbers with commas, as {in_yaml(facts.comma_number)}. To have them as numbers, draft it of a source"
        yield f"with the setting {_read_as_number(column)}, which takes the comma for the decimal mark;"
        yield 'with `decimal: "."` beside `number`, for that of thousands.'
    elif column.counts:
        yield from _seen_of_counts(column)
    elif column.logical_type == "string":
        yield f"More than {MOST_LABELS} different texts of {facts.shortest:,} to {facts.longest:,} characters."
    elif column.logical_type == "boolean":
        yield "An answer to learn? Then draft it with --label."
    elif column.logical_type in NUMBERS:
        yield f"{_number(facts.minimum)} to {_number(facts.maximum)}."
        if facts.point_number:
            yield f"If the point parts thousands, {facts.point_number} is read wrongly: then draft it of a source with"
            yield f"the setting {_read_as_number(column)}."
        if not column.role and not column.is_id:
            limits = in_yaml(_range(facts))
            yield f"Later rows may well go beyond. A limit would be said so: logicalTypeOptions: {limits}"
            yield "An answer to learn? Then add customProperties: [{property: role, value: label}]"
        if column.role == "label" and (classes := _classes(column)):
            yield "Learnt as a number. If these are classes, say logicalType: string, without the limits, and add"
            yield f"{{property: labels, value: {in_yaml(classes)}}}; numbers in files are then read as text."
    if column.logical_type == "string" and column.role != "text":
        yield from _nearly_another_type(facts)


def _read_as_number(column: DraftColumn) -> str:
    return f"columns: {in_yaml({column.name: {'number': column.name}})}"


def _classes(column: DraftColumn) -> list[str]:
    """Whole numbers that are so few that each may stand for a class, as the text that labels are."""
    counts = column.facts.counts
    if column.logical_type != "integer" or not counts or len(counts) > MOST_CLASSES or column.misfits:
        return []
    return sorted(counts, key=int)


def _nearly_another_type(facts: ColumnFacts) -> Iterator[str]:
    """Says of texts that nearly all are numbers, or times, which one is not."""
    for logical_type, fits, other in (
        ("number", facts.numbers, facts.no_number),
        ("timestamp", facts.moments, facts.no_moment),
    ):
        if other is not None and fits >= NEARLY_ALL * facts.present:
            yield f"{fits:,} of {facts.present:,} values are each a {logical_type}, but not {in_yaml(other)[:40]}."
            yield f"Is it meant to be one? Then say logicalType: {logical_type}, and rows of others are quarantined."


def _seen_of_counts(column: DraftColumn) -> Iterator[str]:
    counts = column.counts
    rarest = min(counts, key=lambda value: (counts[value], value))
    if column.role == "label":
        times = "once" if counts[rarest] == 1 else f"{counts[rarest]:,} times"
        yield f"{len(counts)} different values; the rarest, {in_yaml(rarest)}, is there {times}."
        yield "An answer to learn? Where it is known beforehand, as a language is, take the role out."
    elif len(counts) == 1 and column.facts.present > 1:
        yield f"The same wherever it is given: {in_yaml(rarest)[:LONGEST_LINE]}"
    else:
        yield f"{len(counts)} different values, too few of each for a label."


def _limits(column: DraftColumn) -> dict[str, float]:
    """Limits rounded outwards, of the text and of numbers to learn: what others may grow to, as the numbers of
    customers do, one delivery cannot tell."""
    facts = column.facts
    if column.role == "text":
        shortest = {"minLength": round_down(int(facts.shortest))} if facts.shortest else {}
        return {**shortest, "maxLength": round_up(max(facts.longest, 1))}
    if column.role != "label" or column.logical_type not in NUMBERS or not facts.present:
        return {}
    return _range(facts)


def _range(facts: ColumnFacts) -> dict[str, float]:
    low, high = outwards(facts.minimum, facts.maximum)
    return {"minimum": low, "maximum": high}


def round_up(length: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, ... that is not below a length."""
    return next(step for step in ROUND_LENGTHS if step >= length)


def round_down(length: int) -> int:
    """The last of 1, 2, 5, 10, 20, 50, ... that is not above a length of at least 1."""
    return next(step for step in reversed(ROUND_LENGTHS) if step <= length)


def outwards(low: float, high: float) -> tuple[float, float]:
    """Limits around both, in whole steps of the greatest power of ten that is not above their distance."""
    if low == high:
        return low, high
    power = math.floor(math.log10(high - low))
    # Dividing by what cannot be written exactly leaves a rest, which would move a limit by a step.
    steps = (math.floor(round(low / 10.0**power, 9)), math.ceil(round(high / 10.0**power, 9)))
    rounded = [float(f"{step}e{power}") for step in steps]
    low, high = (int(limit) if limit.is_integer() else limit for limit in (min(rounded[0], low), max(rounded[1], high)))
    return low, high


def _rules(column: DraftColumn) -> Iterator[str]:
    if column.role == "text":
        yield "- {property: role, value: text}"
        yield "- {property: duplicates, value: {across: fail, similarity: 0.9}}"
        yield "# Nothing is said of personal data and languages yet; it would be said so:"
        yield "# - {property: personalData, value: {action: mask, kinds: [email, phone, card], regions: [US]}}"
        yield "# - {property: languageMix, value: {shares: {en: [0.9, 1.0]}}}"
    elif column.role or column.facts.tag_kinds or column.answers_in:
        yield "- {property: role, value: label}"
    if column.answers_in:
        yield f"- {{property: answersIn, value: {in_yaml(column.answers_in)}}}"
    if column.role == "label" and column.counts:
        yield from _listed("labels", sorted(column.counts))
        support = min(min(column.counts.values()) // 2, MOST_SUPPORT)
        if support > 1:
            yield f"- {{property: minimumSupport, value: {support}}}  # half of what the rarest has, at most 50"
    if column.facts.tag_kinds:
        yield "- {property: tagScheme, value: BIO}"
        yield from _listed("tagKinds", sorted(column.facts.tag_kinds))


def _listed(name: str, values: Sequence[str]) -> Iterator[str]:
    """A list in one line, or an entry a line where one would be too long."""
    line = f"- {{property: {name}, value: {in_yaml(values)}}}"
    if len(line) <= LONGEST_LINE:
        yield line
        return
    yield f"- property: {name}"
    yield "  value:"
    yield from (f"    - {in_yaml(value)}" for value in values)


def in_yaml(value: Any) -> str:
    """A value in one line of YAML, quoted where it has to be."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{in_yaml(key)}: {in_yaml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(in_yaml, value))}]"
    if isinstance(value, str) and len(value.splitlines()) > 1:
        # YAML would spread it over several lines; JSON's quotes are YAML's double quotes.
        return json.dumps(value)
    # Within brackets, commas are quoted too.
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.strip()[1:-1]


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"
