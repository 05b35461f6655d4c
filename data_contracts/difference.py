"""What changed between two contracts, whom it breaks, and which version that asks for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from data_contracts.dataset import DatasetContract, Property, Quality
from data_contracts.effects import (
    BOTH,
    NOTHING,
    OTHER_MEANING,
    TIGHTER,
    WIDER,
    Change,
    Compare,
    Effect,
    Level,
    Party,
    given_or_not,
    highest,
    lowest,
    moved,
    severity,
    with_effect,
)
from data_contracts.mistakes import FRESHNESS
from data_contracts.rule_difference import rule_differences


@dataclass(frozen=True)
class Difference:
    """One change: where, in words, and who has to do something about it; `column` is the one it is about, or empty."""

    path: str
    change: str
    breaks: tuple[Party, ...]
    level: Level
    column: str = ""


def differences(before: DatasetContract, after: DatasetContract) -> list[Difference]:
    """Every change of what the contract says; columns by name, as they stand in `after`."""
    found = list(_of_columns(before, after))
    found += [Difference(*change) for change in _of_fields(before, after, CONTRACT)]
    found += [Difference(*change) for change in _of_fields(before.schema_[0], after.schema_[0], TABLE, "schema.")]
    found += [Difference(*change) for change in _of_budget(before, after)]
    return found + [Difference(*change) for change in _of_service_levels(before, after)]


def level_of(found: Sequence[Difference]) -> Level | None:
    """Which part of the version the changes raise together; None where nothing changed but the version."""
    levels = {difference.level for difference in found if difference.path != "version"}
    ranked: tuple[Level, ...] = ("major", "minor", "patch")
    return next((level for level in ranked if level in levels), None)


def version_advice(before: str, after: str, level: Level | None) -> str:
    """What the changes ask of the version, and whether it was raised so."""
    if level is None:
        return "nothing changed, so the version may stay"
    old, new = _numbers(before), _numbers(after)
    if old is None or new is None:
        return f"a {level} change; {before} and {after} are not both versions such as 1.2.3, so compare them yourself"
    parts = ("major", "minor", "patch").index(level) + 1
    needed = ".".join(map(str, (*old[: parts - 1], old[parts - 1] + 1, *(0,) * (3 - parts))))
    if new[:parts] > old[:parts]:
        return f"a {level} change; version {before} was raised to {after}, as it should be"
    return f"a {level} change: the version has to be raised from {before} to {needed}; it is {after}"


PathChange = tuple[str, str, tuple[Party, ...], Level]


def _of_columns(before: DatasetContract, after: DatasetContract) -> Iterator[Difference]:
    old, new = ({column.name: column for column in contract.columns} for contract in (before, after))
    renamed = _renamed(old, new)
    for name, column in new.items():
        if name in old:
            for path, words, breaks, level in _of_column(old[name], column):
                yield Difference(f"{name}.{path}", words, breaks, level, name)
        elif name not in renamed.values():
            # A file without the column is refused even where its values may be empty.
            words = "a required column more" if column.required else "a column more, which may be empty"
            yield _told(name, words, TIGHTER)
    for name in old:
        if name in renamed:
            yield _told(name, f"renamed to {renamed[name]}", BOTH)
        elif name not in new:
            yield _told(name, "the column is gone", BOTH)
    kept = [[name for name in columns if name in old and name in new] for columns in (old, new)]
    if kept[0] != kept[1]:
        yield Difference("schema.properties", "the columns stand in another order", NOTHING.breaks, NOTHING.level)


def _told(column: str, words: str, effect: Effect) -> Difference:
    return Difference(column, words, effect.breaks, effect.level, column)


def _renamed(old: Mapping[str, Property], new: Mapping[str, Property]) -> dict[str, str]:
    """Columns that are gone while one that says the same came: {old name: new name}."""
    came = [column for name, column in new.items() if name not in old]
    renamed: dict[str, str] = {}
    for name, column in old.items():
        same = [
            c.name for c in came if c.model_copy(update={"name": name}) == column and c.name not in renamed.values()
        ]
        if name not in new and same:
            renamed[name] = same[0]
    return renamed


def _of_column(before: Property, after: Property) -> Iterator[PathChange]:
    yield from _of_fields(before, after, COLUMN)
    yield from _of_fields(before.logical_type_options, after.logical_type_options, OPTIONS, "logicalTypeOptions.")
    for path, words, effect in rule_differences(before.rules, after.rules):
        yield path, words, effect.breaks, effect.level
    if before.rules == after.rules and before.custom_properties != after.custom_properties:
        yield "customProperties", "the same rules in other words", NOTHING.breaks, NOTHING.level


def _of_fields(
    before: BaseModel, after: BaseModel, compares: Mapping[str, Compare | None], prefix: str = ""
) -> Iterator[PathChange]:
    """Changes of a model's fields. One that `compares` does not name breaks everybody; None: told elsewhere."""
    for name, field in type(before).model_fields.items():
        compare = compares.get(name, with_effect(BOTH))
        old, new = getattr(before, name), getattr(after, name)
        if compare is not None and old != new:
            for words, effect in compare(old, new):
                yield f"{prefix}{field.alias or name}", words, effect.breaks, effect.level


def _logical_type(before: str, after: str) -> Iterator[Change]:
    # Every integer is a number, but who counted with integers now meets fractions.
    yield moved(before, after), WIDER if (before, after) == ("integer", "number") else BOTH


def _quality(before: Sequence[Quality], after: Sequence[Quality]) -> Iterator[Change]:
    old, new = ([rule.implementation for rule in rules] for rules in (before, after))
    for rule in (rule for rule in after if rule.implementation not in old):
        yield f"a rule more: {_rule_name(rule)}", TIGHTER
    for rule in (rule for rule in before if rule.implementation not in new):
        yield f"a rule fewer: {_rule_name(rule)}", WIDER
    if sorted(map(str, old)) == sorted(map(str, new)):
        yield "the rules are told in other words or another order", NOTHING


def _rule_name(rule: Quality) -> str:
    return rule.description or rule.expectation


def _description(before: Any, after: Any) -> Iterator[Change]:
    yield "says something else to people", NOTHING


def _of_budget(before: DatasetContract, after: DatasetContract) -> Iterator[PathChange]:
    old, new = before.quarantine_budget, after.quarantine_budget
    if before.custom_properties != after.custom_properties:
        effect = TIGHTER if new < old else WIDER if new > old else NOTHING
        words = moved(f"{old:g}", f"{new:g}") if old != new else "the same in other words"
        yield "quarantineBudget", words, effect.breaks, effect.level


def _of_service_levels(before: DatasetContract, after: DatasetContract) -> Iterator[PathChange]:
    old, new = before.freshness, after.freshness
    path = f"slaProperties.{FRESHNESS}"
    if old != new:
        words, effect = _of_freshness(old, new)
        yield path, words, effect.breaks, effect.level
    rest = [[level for level in c.sla_properties if level.property != FRESHNESS] for c in (before, after)]
    if rest[0] != rest[1] or (old == new and before.sla_properties != after.sla_properties):
        yield "slaProperties", "says something else that graft does not check", NOTHING.breaks, NOTHING.level


def _of_freshness(before: tuple[str, timedelta] | None, after: tuple[str, timedelta] | None) -> Change:
    old, new = (level and f"{level[0]} within {level[1] / timedelta(hours=1):g} hours" for level in (before, after))
    if before is None or after is None:
        return moved(old, new), TIGHTER if before is None else WIDER
    if before[0] != after[0]:
        return moved(old, new), BOTH
    return moved(old, new), TIGHTER if after[1] < before[1] else WIDER


def _numbers(version: str) -> tuple[int, int, int] | None:
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _all(effect: Effect, *names: str) -> dict[str, Compare | None]:
    return dict.fromkeys(names, with_effect(effect))


CONTRACT: dict[str, Compare | None] = {
    **_all(NOTHING, "api_version", "kind", "version", "status", "owner", "tenant", "domain", "data_product", "tags"),
    **_all(NOTHING, "team", "roles", "support", "servers", "price", "authoritative_definitions", "contract_created_ts"),
    # Catalogues and pipelines find the contract by these.
    **_all(OTHER_MEANING, "id", "name"),
    "description": _description,
    **dict.fromkeys(("schema_", "sla_properties", "custom_properties")),
}
TABLE: dict[str, Compare | None] = {**_all(NOTHING, "name", "logical_type", "description"), "properties": None}
COLUMN: dict[str, Compare | None] = {
    **_all(NOTHING, "description", "business_name", "physical_type", "classification", "tags", "examples"),
    "logical_type": _logical_type,
    "required": severity(False, True),
    "unique": severity(False, True),
    "quality": _quality,
    **dict.fromkeys(("name", "logical_type_options", "custom_properties")),
}
OPTIONS: dict[str, Compare | None] = {
    "min_length": lowest,
    "max_length": highest,
    "pattern": given_or_not(BOTH),
    "minimum": lowest,
    "maximum": highest,
}
