"""What changed among the rules of one column, its `customProperties`."""

from collections.abc import Iterator, Mapping
from typing import Any

from data_contracts.effects import (
    BOTH,
    NOTHING,
    OTHER_MEANING,
    TIGHTER,
    WIDER,
    Change,
    Compare,
    Effect,
    entries,
    highest,
    lowest,
    moved,
    severity,
    with_effect,
)
from data_contracts.rules import ColumnRules, LanguageMix, PersonalData, Rule

PathChange = tuple[str, str, Effect]
action = severity("allow", "quarantine", "fail")


def rule_differences(before: ColumnRules, after: ColumnRules) -> Iterator[PathChange]:
    """Path below the column, change in words and effect, for every rule that is not what it was."""
    for name, field in type(before).model_fields.items():
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            for below, words, effect in _of_rule(name, old, new):
                yield f"{field.alias or name}{below}", words, effect


def _of_rule(name: str, before: Any, after: Any) -> Iterator[PathChange]:
    if name == "personal_data":
        yield from _personal_data(before, after)
    elif name in NESTED and before is not None and after is not None:
        yield from _fields(before, after, NESTED[name])
    elif name in NESTED:
        # A rule is told by what it says, not by what it leaves at its default.
        old, new = (None if rule is None else _said(rule) for rule in (before, after))
        yield "", moved(old, new), TIGHTER if before is None else WIDER
    else:
        # What nobody has thought about yet is taken to break everybody.
        for words, effect in RULES.get(name, with_effect(BOTH))(before, after):
            yield "", words, effect


def _fields(before: Rule, after: Rule, compares: Mapping[str, Compare]) -> Iterator[PathChange]:
    for name, field in type(before).model_fields.items():
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            for words, effect in compares.get(name, with_effect(BOTH))(old, new):
                yield f".{field.alias or name}", words, effect


def _personal_data(before: PersonalData | None, after: PersonalData | None) -> Iterator[PathChange]:
    """No rule is one that allows everything; what a mask hides changes what consumers read."""
    old = before or (after and after.model_copy(update={"action": "allow"}))
    new = after or (before and before.model_copy(update={"action": "allow"}))
    if old is None or new is None or old == new:
        yield "", moved(before and _said(before), after and _said(after)), NOTHING
        return
    if old.action != new.action:
        yield ".action", moved(old.action, new.action), _of_treatment(old.action, new.action)
    for name in ("kinds", "regions"):
        earlier, later = set(getattr(old, name)), set(getattr(new, name))
        if later - earlier:
            yield f".{name}", f"also {', '.join(sorted(later - earlier))}", _of_treatment("allow", new.action)
        if earlier - later:
            yield f".{name}", f"no longer {', '.join(sorted(earlier - later))}", _of_treatment(old.action, "allow")
        if earlier == later and getattr(old, name) != getattr(new, name):
            yield f".{name}", "in another order", NOTHING


def _of_treatment(before: str, after: str) -> Effect:
    if before == after == "allow":
        return NOTHING
    if after == "quarantine":
        return TIGHTER
    return WIDER if before == "quarantine" else OTHER_MEANING


def _role(before: str | None, after: str | None) -> Iterator[Change]:
    """A label is what production windows lack; a text is what the rules about texts hold for."""
    producers = before == "label" or after == "text"
    consumers = after == "label" or before == "text"
    effect = BOTH if producers and consumers else TIGHTER if producers else OTHER_MEANING
    yield moved(before, after), effect


def _shares(before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]) -> Iterator[Change]:
    for language in sorted({*before, *after}):
        old, new = before.get(language), after.get(language)
        if old == new:
            continue
        if old is None or new is None:
            # It is then counted among the others, whose limit is another.
            yield f"{language}: {moved(old, new)}", BOTH
            continue
        narrower, wider = new[0] > old[0] or new[1] < old[1], new[0] < old[0] or new[1] > old[1]
        effect = BOTH if narrower and wider else TIGHTER if narrower else WIDER
        yield f"{language}: was {old[0]} to {old[1]}, now {new[0]} to {new[1]}", effect


def _said(rule: Rule) -> str:
    said = rule.model_dump(by_alias=True, exclude_defaults=not isinstance(rule, LanguageMix))
    return ", ".join(f"{name} {value}" for name, value in said.items()) or "given"


RULES: dict[str, Compare] = {
    "role": _role,
    "labels": entries("label"),
    "minimum_support": lowest,
    "tag_kinds": entries("kind"),
    "tag_scheme": with_effect(NOTHING),
    "text_column": with_effect(BOTH),
    "answers_in": with_effect(BOTH),
    "encoding_damage": action,
    "conflicting_labels": action,
}
NESTED: dict[str, dict[str, Compare]] = {
    "label_distribution": {"maximum_distance": highest},
    "token_length": {"minimum": lowest, "maximum": highest, "tokenizer": with_effect(BOTH)},
    "language_mix": {"shares": _shares, "others": highest},
    "duplicates": {
        "within": action,
        "across": action,
        "similarity": highest,
        "near_within": action,
        "near_across": action,
    },
}
