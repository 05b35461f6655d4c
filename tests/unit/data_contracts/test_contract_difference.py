"""What changed between two contracts: every key is seen, and whom a change breaks follows from what it does."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
from pydantic import BaseModel

from data_contracts.dataset import (
    CustomProperty,
    DatasetContract,
    Description,
    LogicalTypeOptions,
    Property,
    Quality,
    SchemaObject,
    ServiceLevel,
    load_contract,
)
from data_contracts.difference import Difference, differences, level_of, version_advice
from data_contracts.rules import ColumnRules, Duplicates, LabelDistribution, LanguageMix, PersonalData, TokenLength
from data_contracts.yaml_files import model_of

PRODUCERS, CONSUMERS, BOTH, NOBODY = ("producers",), ("consumers",), ("producers", "consumers"), ()
WITHIN = "expect_column_values_to_be_in_set"


def custom(**rules: Any) -> list[dict[str, Any]]:
    return [{"property": name, "value": value} for name, value in rules.items()]


def quality(kind: str, description: str = "") -> dict[str, Any]:
    implementation = {"type": kind, "kwargs": {}}
    return {
        "type": "custom",
        "engine": "greatExpectations",
        "description": description,
        "implementation": implementation,
    }


RICH: dict[str, Any] = {
    "apiVersion": "v3.0.2",
    "kind": "DataContract",
    "id": "reviews-1",
    "name": "reviews",
    "version": "1.0.0",
    "status": "active",
    "owner": "desk",
    "description": {"purpose": "a", "usage": "b", "limitations": "c"},
    "tenant": "shop",
    "domain": "support",
    "dataProduct": "tickets",
    "tags": ["a"],
    "team": [{"username": "ana"}],
    "roles": [{"role": "reader"}],
    "support": [{"channel": "desk"}],
    "servers": [{"server": "files"}],
    "price": {"priceAmount": 1},
    "authoritativeDefinitions": [{"url": "page", "type": "terms"}],
    "contractCreatedTs": "2026-01-01T00:00:00Z",
    "slaProperties": [
        {"property": "freshness", "value": 2, "unit": "d", "element": "reviews.at"},
        {"property": "retention", "value": 3, "unit": "y"},
    ],
    "customProperties": custom(quarantineBudget=0.1),
    "schema": [
        {
            "name": "reviews",
            "description": "one a row",
            "properties": [
                {
                    "name": "text",
                    "logicalType": "string",
                    "description": "what was written",
                    "required": True,
                    "unique": True,
                    "logicalTypeOptions": {"minLength": 3, "maxLength": 90, "pattern": "a"},
                    "quality": [quality(WITHIN, "in the set")],
                    "businessName": "review",
                    "physicalType": "text",
                    "classification": "public",
                    "tags": ["a"],
                    "examples": ["b"],
                    "customProperties": custom(
                        role="text",
                        encodingDamage="quarantine",
                        conflictingLabels="quarantine",
                        personalData={"action": "quarantine", "kinds": ["email"], "regions": ["US"]},
                        tokenLength={"minimum": 2, "maximum": 90, "tokenizer": "package:one"},
                        languageMix={"shares": {"en": [0.5, 0.9]}, "others": 0.2},
                        duplicates={
                            "within": "quarantine",
                            "across": "quarantine",
                            "similarity": 0.9,
                            "nearWithin": "quarantine",
                            "nearAcross": "quarantine",
                        },
                    ),
                },
                {
                    "name": "mood",
                    "logicalType": "string",
                    "customProperties": custom(
                        role="label",
                        labels=["good", "bad", "mixed"],
                        minimumSupport=5,
                        labelDistribution={"maximumDistance": 0.2},
                    ),
                },
                {
                    "name": "entities",
                    "logicalType": "object",
                    "customProperties": custom(
                        role="label", tagScheme="BIO", tagKinds=["PLACE", "DATE"], textColumn="text"
                    ),
                },
                {
                    "name": "stars",
                    "logicalType": "integer",
                    "logicalTypeOptions": {"minimum": 1, "maximum": 5},
                    "customProperties": custom(role="label"),
                },
                {"name": "at", "logicalType": "timestamp"},
                {"name": "title", "logicalType": "string"},
                {"name": "quote", "logicalType": "object", "customProperties": custom(answersIn="text")},
            ],
        }
    ],
}
TEXT, MOOD, ENTITIES, STARS, AT, TITLE, QUOTE = (("schema", 0, "properties", column) for column in range(7))
Path = tuple[str | int, ...]
Case = tuple[Path, Any, str, tuple[str, ...], str]


def rule(column: Path, name: str, *below: str) -> Path:
    """The path of a rule's value among the custom properties of a column."""
    content: Any = RICH
    for key in column:
        content = content[key]
    position = [entry["property"] for entry in content["customProperties"]].index(name)
    return (*column, "customProperties", position, "value", *below)


def changed(path: Path, value: Any) -> DatasetContract:
    """The rich contract with one key of another value; None takes the key out."""
    content: Any = deepcopy(RICH)
    target = content
    for key in path[:-1]:
        target = target[key]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return model_of(content, DatasetContract, "changed.yaml")


def found(path: Path, value: Any) -> list[Difference]:
    return differences(model_of(RICH, DatasetContract, "rich.yaml"), changed(path, value))


FOR_PEOPLE: list[Case] = [
    (("apiVersion",), "v3.0.1", "apiVersion", NOBODY, "patch"),
    (("version",), "1.0.1", "version", NOBODY, "patch"),
    (("status",), "deprecated", "status", NOBODY, "patch"),
    (("owner",), "sales", "owner", NOBODY, "patch"),
    (("description", "purpose"), "z", "description", NOBODY, "patch"),
    (("description", "usage"), "z", "description", NOBODY, "patch"),
    (("description", "limitations"), "z", "description", NOBODY, "patch"),
    (("tenant",), "z", "tenant", NOBODY, "patch"),
    (("domain",), "z", "domain", NOBODY, "patch"),
    (("dataProduct",), "z", "dataProduct", NOBODY, "patch"),
    (("tags",), ["z"], "tags", NOBODY, "patch"),
    (("team",), [], "team", NOBODY, "patch"),
    (("roles",), [], "roles", NOBODY, "patch"),
    (("support",), [], "support", NOBODY, "patch"),
    (("servers",), [], "servers", NOBODY, "patch"),
    (("price",), {}, "price", NOBODY, "patch"),
    (("authoritativeDefinitions",), [], "authoritativeDefinitions", NOBODY, "patch"),
    (("contractCreatedTs",), "2026-01-02T00:00:00Z", "contractCreatedTs", NOBODY, "patch"),
    (("slaProperties", 1, "value"), 4, "slaProperties", NOBODY, "patch"),
    (("schema", 0, "name"), "z", "schema.name", NOBODY, "patch"),
    (("schema", 0, "description"), "z", "schema.description", NOBODY, "patch"),
    ((*TEXT, "description"), "z", "text.description", NOBODY, "patch"),
    ((*TEXT, "quality", 0, "description"), "z", "text.quality", NOBODY, "patch"),
    ((*TEXT, "businessName"), "z", "text.businessName", NOBODY, "patch"),
    ((*TEXT, "physicalType"), "z", "text.physicalType", NOBODY, "patch"),
    ((*TEXT, "classification"), "z", "text.classification", NOBODY, "patch"),
    ((*TEXT, "tags"), ["z"], "text.tags", NOBODY, "patch"),
    ((*TEXT, "examples"), ["z"], "text.examples", NOBODY, "patch"),
    (rule(ENTITIES, "tagScheme")[:-1], None, "entities.tagScheme", NOBODY, "patch"),
]
OF_THE_CONTRACT: list[Case] = [
    (("id",), "reviews-2", "id", CONSUMERS, "major"),
    (("name",), "opinions", "name", CONSUMERS, "major"),
    (("customProperties", 0, "value"), 0.05, "quarantineBudget", PRODUCERS, "major"),
    (("customProperties", 0, "value"), 0.2, "quarantineBudget", CONSUMERS, "minor"),
    (("customProperties",), None, "quarantineBudget", PRODUCERS, "major"),
    (("slaProperties", 0, "value"), 1, "slaProperties.freshness", PRODUCERS, "major"),
    (("slaProperties", 0, "value"), 3, "slaProperties.freshness", CONSUMERS, "minor"),
    (("slaProperties", 0, "unit"), "h", "slaProperties.freshness", PRODUCERS, "major"),
    (("slaProperties", 0), None, "slaProperties.freshness", CONSUMERS, "minor"),
]
OF_COLUMNS: list[Case] = [
    (TITLE, None, "title", BOTH, "major"),
    ((*TITLE, "name"), "headline", "title", BOTH, "major"),
    ((*TITLE, "logicalType"), "number", "title.logicalType", BOTH, "major"),
    ((*STARS, "logicalType"), "number", "stars.logicalType", CONSUMERS, "minor"),
    ((*TITLE, "required"), True, "title.required", PRODUCERS, "major"),
    ((*TEXT, "required"), False, "text.required", CONSUMERS, "minor"),
    ((*TITLE, "unique"), True, "title.unique", PRODUCERS, "major"),
    ((*TEXT, "unique"), False, "text.unique", CONSUMERS, "minor"),
    ((*TEXT, "logicalTypeOptions", "minLength"), 4, "text.logicalTypeOptions.minLength", PRODUCERS, "major"),
    ((*TEXT, "logicalTypeOptions", "minLength"), None, "text.logicalTypeOptions.minLength", CONSUMERS, "minor"),
    ((*TEXT, "logicalTypeOptions", "maxLength"), 80, "text.logicalTypeOptions.maxLength", PRODUCERS, "major"),
    ((*TEXT, "logicalTypeOptions", "maxLength"), 100, "text.logicalTypeOptions.maxLength", CONSUMERS, "minor"),
    ((*TEXT, "logicalTypeOptions", "pattern"), "b", "text.logicalTypeOptions.pattern", BOTH, "major"),
    ((*TEXT, "logicalTypeOptions", "pattern"), None, "text.logicalTypeOptions.pattern", CONSUMERS, "minor"),
    ((*TITLE, "logicalTypeOptions"), {"pattern": "b"}, "title.logicalTypeOptions.pattern", PRODUCERS, "major"),
    ((*STARS, "logicalTypeOptions", "minimum"), 2, "stars.logicalTypeOptions.minimum", PRODUCERS, "major"),
    ((*STARS, "logicalTypeOptions", "minimum"), 0, "stars.logicalTypeOptions.minimum", CONSUMERS, "minor"),
    ((*STARS, "logicalTypeOptions", "maximum"), 4, "stars.logicalTypeOptions.maximum", PRODUCERS, "major"),
    ((*STARS, "logicalTypeOptions", "maximum"), None, "stars.logicalTypeOptions.maximum", CONSUMERS, "minor"),
    ((*TITLE, "logicalTypeOptions"), {"minLength": 1}, "title.logicalTypeOptions.minLength", PRODUCERS, "major"),
    ((*TEXT, "quality"), [], "text.quality", CONSUMERS, "minor"),
    ((*TITLE, "quality"), [quality(WITHIN)], "title.quality", PRODUCERS, "major"),
]
OF_RULES: list[Case] = [
    (rule(TEXT, "role")[:-1], None, "text.role", CONSUMERS, "major"),
    ((*TITLE, "customProperties"), custom(role="text"), "title.role", PRODUCERS, "major"),
    ((*TITLE, "customProperties"), custom(role="label"), "title.role", CONSUMERS, "major"),
    ((*STARS, "customProperties"), [], "stars.role", PRODUCERS, "major"),
    (rule(MOOD, "labels"), ["good", "bad", "mixed", "none"], "mood.labels", CONSUMERS, "minor"),
    (rule(MOOD, "labels"), ["good", "bad"], "mood.labels", BOTH, "major"),
    (rule(MOOD, "labels"), ["bad", "good", "mixed"], "mood.labels", CONSUMERS, "major"),
    ((*TITLE, "customProperties"), custom(labels=["a"]), "title.labels", PRODUCERS, "major"),
    (rule(MOOD, "minimumSupport"), 6, "mood.minimumSupport", PRODUCERS, "major"),
    (rule(MOOD, "minimumSupport"), 4, "mood.minimumSupport", CONSUMERS, "minor"),
    (
        rule(MOOD, "labelDistribution", "maximumDistance"),
        0.1,
        "mood.labelDistribution.maximumDistance",
        PRODUCERS,
        "major",
    ),
    (rule(MOOD, "labelDistribution")[:-1], None, "mood.labelDistribution", CONSUMERS, "minor"),
    (rule(ENTITIES, "tagKinds"), ["PLACE", "DATE", "MONEY"], "entities.tagKinds", CONSUMERS, "minor"),
    (rule(ENTITIES, "tagKinds"), ["PLACE"], "entities.tagKinds", BOTH, "major"),
    (rule(ENTITIES, "textColumn"), "title", "entities.textColumn", BOTH, "major"),
    (rule(QUOTE, "answersIn"), "title", "quote.answersIn", BOTH, "major"),
    (rule(TEXT, "encodingDamage"), "allow", "text.encodingDamage", CONSUMERS, "minor"),
    (rule(TEXT, "conflictingLabels"), "fail", "text.conflictingLabels", PRODUCERS, "major"),
    (rule(TEXT, "conflictingLabels"), "allow", "text.conflictingLabels", CONSUMERS, "minor"),
    (rule(TEXT, "personalData", "action"), "mask", "text.personalData.action", CONSUMERS, "minor"),
    (rule(TEXT, "personalData", "kinds"), ["email", "card"], "text.personalData.kinds", PRODUCERS, "major"),
    (rule(TEXT, "personalData", "regions"), ["US", "VN"], "text.personalData.regions", PRODUCERS, "major"),
    (rule(TEXT, "personalData")[:-1], None, "text.personalData.action", CONSUMERS, "minor"),
    (rule(TEXT, "tokenLength", "minimum"), 3, "text.tokenLength.minimum", PRODUCERS, "major"),
    (rule(TEXT, "tokenLength", "maximum"), 99, "text.tokenLength.maximum", CONSUMERS, "minor"),
    (rule(TEXT, "tokenLength", "tokenizer"), "package:two", "text.tokenLength.tokenizer", BOTH, "major"),
    (rule(TEXT, "tokenLength")[:-1], None, "text.tokenLength", CONSUMERS, "minor"),
    (rule(TEXT, "languageMix", "shares"), {"en": [0.6, 0.9]}, "text.languageMix.shares", PRODUCERS, "major"),
    (rule(TEXT, "languageMix", "shares"), {"en": [0.4, 0.9]}, "text.languageMix.shares", CONSUMERS, "minor"),
    (rule(TEXT, "languageMix", "shares"), {"en": [0.4, 0.8]}, "text.languageMix.shares", BOTH, "major"),
    (
        rule(TEXT, "languageMix", "shares"),
        {"en": [0.5, 0.9], "vi": [0, 0.1]},
        "text.languageMix.shares",
        BOTH,
        "major",
    ),
    (rule(TEXT, "languageMix", "others"), 0.3, "text.languageMix.others", CONSUMERS, "minor"),
    (rule(TEXT, "duplicates", "within"), "allow", "text.duplicates.within", CONSUMERS, "minor"),
    (rule(TEXT, "duplicates", "across"), "fail", "text.duplicates.across", PRODUCERS, "major"),
    (rule(TEXT, "duplicates", "similarity"), 0.8, "text.duplicates.similarity", PRODUCERS, "major"),
    (rule(TEXT, "duplicates", "similarity"), None, "text.duplicates.similarity", CONSUMERS, "minor"),
    (rule(TEXT, "duplicates", "nearWithin"), "fail", "text.duplicates.nearWithin", PRODUCERS, "major"),
    (rule(TEXT, "duplicates", "nearAcross"), "allow", "text.duplicates.nearAcross", CONSUMERS, "minor"),
]
CASES = [*FOR_PEOPLE, *OF_THE_CONTRACT, *OF_COLUMNS, *OF_RULES]


@pytest.mark.parametrize(("path", "value", "where", "breaks", "level"), CASES, ids=lambda part: str(part)[:60])
def test_a_change_of_one_key_is_one_difference_that_says_whom_it_breaks(
    path: Path, value: Any, where: str, breaks: tuple[str, ...], level: str
) -> None:
    (only,) = found(path, value)
    assert (only.path, only.breaks, only.level) == (where, breaks, level)
    assert only.change


def test_every_key_that_a_contract_may_hold_is_changed_above() -> None:
    keys = {part for path, value, *_ in CASES for part in (*path, *_keys_of(value)) if isinstance(part, str)}
    models: list[type[BaseModel]] = [DatasetContract, Description, SchemaObject, Property, LogicalTypeOptions]
    rules: list[type[BaseModel]] = [Duplicates, PersonalData, TokenLength, LanguageMix, LabelDistribution]
    wanted = {field.alias or name for model in models + rules for name, field in model.model_fields.items()}
    # They have one value, or stand for what is in them.
    assert wanted - keys == {"kind"}
    changed_rules = {where.split(".")[1] for _, _, where, *_ in OF_RULES} | {"tagScheme"}
    assert changed_rules == {field.alias or name for name, field in ColumnRules.model_fields.items()}
    assert {"value", "unit"} <= keys & set(ServiceLevel.model_fields)
    assert "description" in keys & set(Quality.model_fields)
    assert {"property", "value"} == set(CustomProperty.model_fields)


def _keys_of(value: Any) -> Sequence[str]:
    if isinstance(value, list):
        return [key for entry in value for key in _keys_of(entry)]
    return list(value) if isinstance(value, dict) else []


def test_a_contract_does_not_differ_from_itself() -> None:
    rich = model_of(RICH, DatasetContract, "rich.yaml")
    assert differences(rich, model_of(deepcopy(RICH), DatasetContract, "again.yaml")) == []
    assert differences(load_contract("support"), load_contract("support")) == []


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (rule(MOOD, "labels"), ["good", "bad", "mixed", "none", "any"], "2 labels more: none, any"),
        (rule(MOOD, "labels"), ["good", "bad"], "a label fewer: mixed"),
        (rule(MOOD, "labels"), ["bad", "good", "mixed"], "the labels stand in another order"),
        ((*TEXT, "logicalTypeOptions", "maxLength"), 80, "was 90, now 80"),
        ((*TEXT, "logicalTypeOptions", "maxLength"), None, "no longer given; was 90"),
        ((*TITLE, "name"), "headline", "renamed to headline"),
        (TITLE, None, "the column is gone"),
        ((*TEXT, "required"), False, "was true, now false"),
        (("slaProperties", 0, "unit"), "h", "was at within 48 hours, now at within 2 hours"),
        (rule(TEXT, "languageMix", "shares"), {"en": [0.6, 0.9]}, "en: was 0.5 to 0.9, now 0.6 to 0.9"),
        (rule(TEXT, "personalData", "kinds"), ["card"], "also card"),
        (rule(TEXT, "tokenLength")[:-1], None, "no longer given; was minimum 2, maximum 90, tokenizer package:one"),
    ],
)
def test_a_change_is_told_in_words(path: Path, value: Any, words: str) -> None:
    assert found(path, value)[0].change == words


def test_a_column_that_is_added_breaks_producers_because_files_lack_it() -> None:
    properties = [*RICH["schema"][0]["properties"], {"name": "shop", "logicalType": "string"}]
    (only,) = found(("schema", 0, "properties"), properties)
    assert (only.path, only.change) == ("shop", "a column more, which may be empty")
    assert only.breaks == PRODUCERS
    properties[-1] = {"name": "shop", "logicalType": "string", "required": True}
    assert found(("schema", 0, "properties"), properties)[0].change == "a required column more"


def test_columns_in_another_order_break_nobody() -> None:
    (only,) = found(("schema", 0, "properties"), RICH["schema"][0]["properties"][::-1])
    assert (only.path, only.breaks) == ("schema.properties", NOBODY)


def test_a_list_may_lose_gain_and_reorder_at_once() -> None:
    told = found(rule(MOOD, "labels"), ["bad", "good", "none"])
    assert [difference.change for difference in told] == [
        "a label more: none",
        "a label fewer: mixed",
        "the labels stand in another order",
    ]
    assert {difference.column for difference in told} == {"mood"}


def test_what_no_longer_hides_personal_data_breaks_consumers() -> None:
    masked = changed(rule(TEXT, "personalData", "action"), "mask")
    open_to_all = changed(rule(TEXT, "personalData", "action"), "allow")
    (only,) = differences(masked, open_to_all)
    assert (only.change, only.breaks, only.level) == ("was mask, now allow", CONSUMERS, "major")


def test_a_rule_that_says_what_holds_anyway_changes_the_digest_and_breaks_nobody() -> None:
    rules = custom(role="label", labels=["good", "bad", "mixed"])
    before, after = (changed((*MOOD, "customProperties"), given) for given in (rules, rules + custom(minimumSupport=0)))
    assert before.digest != after.digest
    (only,) = differences(before, after)
    assert (only.path, only.breaks) == ("mood.customProperties", NOBODY)


@pytest.mark.parametrize(
    ("path", "value", "before", "after", "advice"),
    [
        (TITLE, None, "1.2.3", "2.0.0", "a major change; version 1.2.3 was raised to 2.0.0, as it should be"),
        (
            TITLE,
            None,
            "1.2.3",
            "1.3.0",
            "a major change: the version has to be raised from 1.2.3 to 2.0.0; it is 1.3.0",
        ),
        ((*TEXT, "required"), False, "1.2.3", "1.3.0", "a minor change; version 1.2.3 was raised to 1.3.0"),
        ((*TEXT, "required"), False, "1.2.3", "1.2.4", "has to be raised from 1.2.3 to 1.3.0; it is 1.2.4"),
        (("owner",), "z", "1.2.3", "1.2.4", "a patch change; version 1.2.3 was raised to 1.2.4"),
        (("owner",), "z", "1.2.3", "1.2.3", "has to be raised from 1.2.3 to 1.2.4; it is 1.2.3"),
        (("owner",), "z", "1.2.3", "0.9.9", "has to be raised from 1.2.3 to 1.2.4; it is 0.9.9"),
        (("owner",), "z", "2026", "2027", "2026 and 2027 are not both versions such as 1.2.3"),
        (("version",), "1.0.1", "1.0.0", "1.0.1", "nothing changed, so the version may stay"),
    ],
)
def test_the_version_follows_the_greatest_change(path: Path, value: Any, before: str, after: str, advice: str) -> None:
    assert advice in version_advice(before, after, level_of(found(path, value)))
