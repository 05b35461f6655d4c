"""What is wrong with a contract, all of it in words: for one error that shows everything."""

from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic import ValidationError

from data_contracts.rules import KNOWN_RULES, LABEL_RULES, RULES_OF_FIRST_TEXT, RULES_OF_ROLE_TEXT, TEXT_RULES
from data_contracts.yaml_files import in_words

if TYPE_CHECKING:
    from data_contracts.dataset import CustomProperty, DatasetContract, Property

FRESHNESS = "freshness"
LENGTHS = ("minLength", "maxLength", "pattern")
TYPES_WITH_LENGTHS, TYPES_WITH_VALUES = ("string",), ("number", "integer")
UNITS = {
    **dict.fromkeys(("m", "min", "minute", "minutes"), timedelta(minutes=1)),
    **dict.fromkeys(("h", "hr", "hour", "hours"), timedelta(hours=1)),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
    **dict.fromkeys(("w", "week", "weeks"), timedelta(weeks=1)),
}


def mistakes_of(contract: "DatasetContract") -> Iterator[str]:
    """What is wrong between columns, and with the contract as a whole, in words."""
    names = [column.name for column in contract.columns]
    yield from (f"column {name!r} is there twice" for name in sorted({n for n in names if names.count(n) > 1}))
    yield from _unknown(contract.custom_properties, ("quarantineBudget",))
    yield from _given_twice(contract.custom_properties)
    for entry in contract.custom_properties:
        if entry.property == "quarantineBudget" and not (type(entry.value) in (int, float) and 0 <= entry.value <= 1):
            yield f"quarantineBudget is a share from 0 to 1, not {entry.value!r}"
    yield from _unknown_columns(contract)
    yield from _limits_of_other_types(contract)
    yield from _rules_of_other_columns(contract)
    yield from _unknown_implementations(contract)
    yield from _unusable_freshness(contract)


def mistakes_of_column(column: "Property") -> Iterator[str]:
    """What is wrong with a column by itself, in words."""
    if column.name.startswith("_"):
        yield f"column {column.name!r}: names with a leading underscore are those of graft's own columns"
    unknown = _unknown(column.custom_properties, KNOWN_RULES)
    yield from unknown
    given = [entry.property for entry in column.custom_properties]
    yield from _given_twice(column.custom_properties)
    if unknown:
        return
    try:
        rules = column.rules
    except ValidationError as error:
        for problem in error.errors():
            yield in_words(problem)
        return
    if rules.labels is not None and column.logical_type not in ("string", "array"):
        yield f"labels are those of a string or an array of strings, not of a column of type {column.logical_type}"
    if rules.tag_kinds is not None and column.logical_type != "object":
        yield f"tagKinds are those of an object of tokens and tags, not of a column of type {column.logical_type}"
    if rules.answers_in is not None and column.logical_type != "object":
        yield f"answersIn is for an object of answers, not for a column of type {column.logical_type}"
    if rules.answers_in is not None and rules.tag_kinds is not None:
        yield "answersIn and tagKinds are for two kinds of columns; a column holds answers or tokens with tags"
    misplaced = [name for name in TEXT_RULES if name in given] if column.logical_type != "string" else []
    misplaced += [name for name in LABEL_RULES[1:] if name in given] if rules.labels is None else []
    yield from (f"{name} says nothing about a column of this kind" for name in misplaced)


def column_of(element: str) -> str:
    """The column that an element names, by itself or behind its table (`tickets.created_at`)."""
    return element.rpartition(".")[2]


def _unknown_columns(contract: "DatasetContract") -> Iterator[str]:
    texts = [column.name for column in contract.columns if column.logical_type == "string"]
    for column in contract.columns:
        for rule, named in (("textColumn", column.rules.text_column), ("answersIn", column.rules.answers_in)):
            if named is not None and named not in texts:
                yield f"column {column.name!r}: {rule} {named!r} is none of the columns of text: {', '.join(texts)}"


def _limits_of_other_types(contract: "DatasetContract") -> Iterator[str]:
    for column in contract.columns:
        given = column.logical_type_options.model_dump(by_alias=True, exclude_none=True)
        for limit in given:
            types = TYPES_WITH_LENGTHS if limit in LENGTHS else TYPES_WITH_VALUES
            if column.logical_type not in types:
                yield (
                    f"column {column.name!r}: {limit} is for columns of type {' or '.join(types)}, not of type "
                    f"{column.logical_type}"
                )


def _rules_of_other_columns(contract: "DatasetContract") -> Iterator[str]:
    """Rules that are checked on other columns than those they are given for."""
    texts = [column.name for column in contract.text_columns]
    for column in contract.columns:
        given = {entry.property for entry in column.custom_properties}
        if column.name not in texts:
            of_texts = [rule for rule in RULES_OF_ROLE_TEXT if rule in given]
            yield from (f"column {column.name!r}: {rule} is for columns with `role: text`" for rule in of_texts)
        elif column.name != texts[0]:
            of_rows = [rule for rule in RULES_OF_FIRST_TEXT if rule in given]
            yield from (f"column {column.name!r}: {rule} is given for all texts at {texts[0]!r}" for rule in of_rows)
        if not column.is_label:
            of_labels = [rule for rule in LABEL_RULES[1:] if rule in given]
            yield from (f"column {column.name!r}: {rule} is for columns with `role: label`" for rule in of_labels)


def _unknown_implementations(contract: "DatasetContract") -> Iterator[str]:
    for column in contract.columns:
        for rule in column.quality:
            unknown = ", ".join(map(repr, sorted(set(rule.implementation) - {"type", "kwargs"})))
            if unknown:
                yield f"column {column.name!r}: implementation holds {unknown}; it holds `type` and `kwargs` alone"


def _unusable_freshness(contract: "DatasetContract") -> Iterator[str]:
    moments = [column.name for column in contract.columns if column.logical_type == "timestamp"]
    if sum(level.property == FRESHNESS for level in contract.sla_properties) > 1:
        yield "slaProperties: freshness is given twice"
    for level in contract.sla_properties:
        if level.property != FRESHNESS:
            if get_close_matches(level.property.lower(), [FRESHNESS], cutoff=0.8):
                yield f"slaProperties: {level.property!r} is nothing that is checked; is it `{FRESHNESS}`?"
            continue
        if column_of(level.element) not in moments:
            known = ", ".join(moments) or "none"
            yield f"slaProperties: freshness names element {level.element!r}; columns of type timestamp: {known}"
        if level.unit not in UNITS:
            yield f"slaProperties: freshness has unit {level.unit!r}; units are {', '.join(UNITS)}"
        if not (type(level.value) in (int, float) and level.value > 0):
            yield f"slaProperties: freshness is a number above 0, not {level.value!r}"


def _unknown(entries: "tuple[CustomProperty, ...]", known: tuple[str, ...]) -> list[str]:
    return [
        f"unknown custom property {entry.property!r}; known: {', '.join(known)}"
        for entry in entries
        if entry.property not in known
    ]


def _given_twice(entries: "tuple[CustomProperty, ...]") -> list[str]:
    given = [entry.property for entry in entries]
    return [f"custom property {name!r} is given twice" for name in sorted({n for n in given if given.count(n) > 1})]
