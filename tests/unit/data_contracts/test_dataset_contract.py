"""Contracts: what a YAML file may say, and how its mistakes are shown."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_contracts.dataset import DATASETS, DatasetContract, kept_contract, load_contract
from data_contracts.errors import InputError
from data_contracts.yaml_files import model_of, parse_yaml, read_yaml

CONTRACTS = sorted(DATASETS.glob("*.yaml"))


@pytest.fixture
def content() -> dict[str, Any]:
    return {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": "reviews-1",
        "name": "reviews",
        "version": "1.0.0",
        "schema": [
            {
                "name": "reviews",
                "properties": [
                    {"name": "text", "logicalType": "string", "required": True},
                    {
                        "name": "stars",
                        "logicalType": "number",
                        "logicalTypeOptions": {"minimum": 1, "maximum": 5},
                        "customProperties": [{"property": "role", "value": "label"}],
                    },
                ],
            }
        ],
        "customProperties": [{"property": "quarantineBudget", "value": 0.1}],
    }


def column(content: dict[str, Any], position: int) -> dict[str, Any]:
    found: dict[str, Any] = content["schema"][0]["properties"][position]
    return found


def mistakes_in(content: dict[str, Any]) -> list[str]:
    with pytest.raises(InputError) as error:
        model_of(content, DatasetContract, "reviews.yaml")
    return str(error.value).splitlines()


def test_there_are_contracts() -> None:
    assert [path.stem for path in CONTRACTS] == ["support"]


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.stem)
def test_every_contract_parses_and_is_found_by_its_name(path: Path) -> None:
    assert load_contract(path.stem) == parse_yaml(path, DatasetContract)
    assert load_contract(path.stem).name == path.stem


def test_all_mistakes_are_shown_at_once_with_the_paths_of_their_keys(content: dict[str, Any]) -> None:
    content["apiVersion"] = "v2.2"
    content["ownr"] = "me"
    del content["id"]
    column(content, 0)["logicalType"] = "text"
    column(content, 1)["logicalTypeOptions"] = {"minimum": 5, "maximum": 1}
    lines = mistakes_in(content)
    assert lines[0] == "reviews.yaml: 5 mistake(s)"
    paths = {line.removeprefix("  - ").split(":")[0] for line in lines[1:]}
    assert paths == {
        "apiVersion",
        "id",
        "ownr",
        "schema.0.properties.0.logicalType",
        "schema.0.properties.1.logicalTypeOptions",
    }
    assert "  - id: missing" in lines
    assert "  - ownr: unknown key" in lines


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"property": "labls", "value": ["good"]}, "unknown custom property 'labls'; known: role, labels"),
        ({"property": "labels", "value": [True, False]}, "write yes, no, on, off and numbers in quotes"),
        ({"property": "labels", "value": []}, "labels: a list of text"),
        ({"property": "labels", "value": "good"}, "labels: a list of text"),
        ({"property": "labels", "value": ["good", "good"]}, "labels: holds an entry twice"),
        ({"property": "tagKinds", "value": {"PLACE": 1}}, "tagKinds: a list of text"),
        ({"property": "role", "value": "lable"}, "role: Input should be 'label' or 'text', found 'lable'"),
        ({"property": "tagScheme", "value": "BILOU"}, "tagScheme: Input should be 'BIO'"),
    ],
)
def test_a_custom_property_that_cannot_be_used_is_named_with_its_column(
    content: dict[str, Any], entry: dict[str, Any], complaint: str
) -> None:
    column(content, 0)["customProperties"] = [entry]
    lines = mistakes_in(content)
    assert len(lines) == 2
    assert lines[1].startswith("  - schema.0.properties.0: ")
    assert complaint in lines[1]


@pytest.mark.parametrize(
    ("role", "rule", "complaint"),
    [
        (None, {"duplicates": {"within": "quarantine"}}, "duplicates is for columns with `role: text`"),
        (None, {"conflictingLabels": "fail"}, "conflictingLabels is for columns with `role: text`"),
        (None, {"encodingDamage": "quarantine"}, "encodingDamage is for columns with `role: text`"),
        (None, {"languageMix": {"shares": {"en": [0.5, 1]}}}, "languageMix is for columns with `role: text`"),
        (None, {"labels": ["a", "b"], "minimumSupport": 5}, "minimumSupport is for columns with `role: label`"),
        (None, {"personalData": {"action": "mask"}}, None),
        ("text", {"duplicates": {"within": "fail"}}, "duplicates is given for all texts at 'text'"),
        ("text", {"languageMix": {"shares": {"en": [0.5, 1]}}}, None),
    ],
)
def test_a_rule_that_would_be_checked_on_another_column_is_a_mistake(
    content: dict[str, Any], role: str | None, rule: dict[str, Any], complaint: str | None
) -> None:
    column(content, 0)["customProperties"] = [{"property": "role", "value": "text"}]
    given = {"role": role, **rule} if role else rule
    properties = [{"property": name, "value": value} for name, value in given.items()]
    content["schema"][0]["properties"].append(
        {"name": "subject", "logicalType": "string", "customProperties": properties}
    )
    if complaint is None:
        assert model_of(content, DatasetContract, "").column("subject").custom_properties
    else:
        assert mistakes_in(content)[1:] == [f"  - (top): column 'subject': {complaint}"]


def test_what_is_given_twice_or_misspelt_is_a_mistake(content: dict[str, Any]) -> None:
    content["customProperties"] = [{"property": "quarantineBudget", "value": share} for share in (0.1, 0.2)]
    assert "custom property 'quarantineBudget' is given twice" in mistakes_in(content)[1]
    content["customProperties"] = []
    content["slaProperties"] = [{"property": "freshnes", "value": 1, "unit": "d", "element": "at"}]
    assert "slaProperties: 'freshnes' is nothing that is checked; is it `freshness`?" in mistakes_in(content)[1]
    content["slaProperties"] = []
    rule = {"type": "expect_column_mean_to_be_between", "kwarg": {"min_value": 1}}
    column(content, 1)["quality"] = [{"type": "custom", "engine": "greatExpectations", "implementation": rule}]
    assert "column 'stars': implementation holds 'kwarg'; it holds `type` and `kwargs` alone" in mistakes_in(content)[1]
    # What a version was made by stays what it was.
    assert kept_contract(content).column("stars").quality[0].implementation == rule


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"minLength": 9, "maxLength": 3}, "the lower limit 9 is above the upper limit 3"),
        ({"minimum": 1.5, "maximum": 0.5}, "the lower limit 1.5 is above the upper limit 0.5"),
        ({"pattern": "(open"}, "pattern is no regular expression"),
        ({"minLength": -1}, "greater than or equal to 0"),
        ({"longest": 3}, "unknown key"),
    ],
)
def test_limits_that_no_value_can_meet_are_mistakes(
    content: dict[str, Any], options: dict[str, Any], complaint: str
) -> None:
    column(content, 0)["logicalTypeOptions"] = options
    lines = mistakes_in(content)
    assert len(lines) == 2
    assert lines[1].startswith("  - schema.0.properties.0.logicalTypeOptions")
    assert complaint in lines[1]


@pytest.mark.parametrize(
    ("logical_type", "limit", "fitting"),
    [
        ("integer", {"minLength": 2}, "string"),
        ("array", {"maxLength": 2}, "string"),
        ("timestamp", {"pattern": "2026"}, "string"),
        ("string", {"minimum": 1}, "number or integer"),
        ("timestamp", {"maximum": 1}, "number or integer"),
    ],
)
def test_a_limit_that_a_type_does_not_have_is_a_mistake(
    content: dict[str, Any], logical_type: str, limit: dict[str, Any], fitting: str
) -> None:
    content["schema"][0]["properties"].append({"name": "x", "logicalType": logical_type, "logicalTypeOptions": limit})
    told = f"column 'x': {next(iter(limit))} is for columns of type {fitting}, not of type {logical_type}"
    assert mistakes_in(content)[1:] == [f"  - (top): {told}"]
    # What a version was made by stays what it was.
    assert kept_contract(content).column("x").logical_type == logical_type


def test_a_contract_without_columns_has_one_mistake(content: dict[str, Any]) -> None:
    content["schema"][0]["properties"] = []
    lines = mistakes_in(content)
    assert len(lines) == 2
    assert lines[1].startswith("  - schema.0.properties: Tuple should have at least 1 item")


@pytest.mark.parametrize("budget", [1.5, -0.1, "2%", True])
def test_the_quarantine_budget_is_a_share(content: dict[str, Any], budget: object) -> None:
    content["customProperties"] = [{"property": "quarantineBudget", "value": budget}]
    assert f"quarantineBudget is a share from 0 to 1, not {budget!r}" in mistakes_in(content)[1]


def test_a_misspelt_budget_is_a_mistake_and_not_a_budget_of_zero(content: dict[str, Any]) -> None:
    content["customProperties"] = [{"property": "quarantinebudget", "value": 0.5}]
    assert "unknown custom property 'quarantinebudget'; known: quarantineBudget" in mistakes_in(content)[1]


def test_a_contract_that_names_no_budget_allows_no_broken_row(content: dict[str, Any]) -> None:
    del content["customProperties"]
    assert model_of(content, DatasetContract, "").quarantine_budget == 0


def test_a_column_is_named_once_and_not_as_one_of_grafts_own(content: dict[str, Any]) -> None:
    column(content, 1)["name"] = "text"
    assert "column 'text' is there twice" in mistakes_in(content)[1]
    column(content, 1)["name"] = "_id"
    assert "leading underscore" in mistakes_in(content)[1]


def test_the_digest_follows_what_the_contract_says_and_not_how(tmp_path: Path) -> None:
    text = CONTRACTS[0].read_text(encoding="utf-8")
    original = load_contract("support").digest
    plain, commented, changed = tmp_path / "plain.yaml", tmp_path / "commented.yaml", tmp_path / "changed.yaml"
    plain.write_text(yaml.safe_dump(yaml.safe_load(text)), encoding="utf-8")
    commented.write_text("# a comment\n" + text, encoding="utf-8")
    changed.write_text(text.replace("maxLength: 2000", "maxLength: 1999"), encoding="utf-8")
    assert parse_yaml(plain, DatasetContract).digest == original
    assert parse_yaml(commented, DatasetContract).digest == original
    assert parse_yaml(changed, DatasetContract).digest != original


def test_the_digest_of_the_rules_follows_what_is_asked_of_rows_alone(content: dict[str, Any]) -> None:
    def of_rules() -> str:
        return model_of(content, DatasetContract, "").rules_digest

    original = of_rules()
    content |= {"owner": "desk", "version": "1.0.1", "customProperties": []}
    column(content, 0)["description"] = "what was written"
    assert of_rules() == original
    column(content, 1)["logicalTypeOptions"]["maximum"] = 4
    assert of_rules() != original


def test_a_contract_without_labels_keeps_what_a_production_window_has() -> None:
    contract = load_contract("support")
    assert [column.name for column in contract.without_labels().columns] == ["text", "language", "created_at"]
    assert [column.name for column in contract.columns if column.is_label] == [
        "intent",
        "sentiment",
        "entities",
        "urgency",
    ]


def test_columns_know_their_labels_and_tag_kinds() -> None:
    contract = load_contract("support")
    assert contract.column("sentiment").labels == ("negative", "neutral", "positive")
    assert contract.column("sentiment").tag_kinds is None
    assert contract.column("entities").tag_kinds == ("ORDER_ID", "PRODUCT", "DATE", "PLACE", "PERSON", "MONEY")
    assert contract.column("text").labels is None
    assert contract.quarantine_budget == 0.02


def test_an_unknown_column_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"no column 'mood'; it has text, language, intent, sentiment, .* Correct"):
        load_contract("support").column("mood")


def test_an_unknown_contract_is_answered_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"no contract 'suport' .* known contracts: support, or give a path"):
        load_contract("suport")


def test_a_contract_may_lie_beside_the_pipeline(content: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_contract("mine.yaml", tmp_path).name == "reviews"


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        (b"- a\n- b\n", "holds list, not a mapping"),
        (b"", "holds NoneType, not a mapping"),
        (b"a: [1\n", "is not YAML"),
        (b"name: caf\xe9\n", "cannot be read"),
        (b"heads:\n  a: 1\n  b: 2\n  a: 3\n", "key 'a' is given twice"),
    ],
)
def test_a_file_that_is_no_mapping_is_named_with_the_reason(tmp_path: Path, written: bytes, complaint: str) -> None:
    path = tmp_path / "contract.yaml"
    path.write_bytes(written)
    with pytest.raises(InputError) as error:
        read_yaml(path)
    assert str(error.value).startswith(str(path))
    assert complaint in str(error.value)


def test_a_contract_cannot_be_changed_once_read(content: dict[str, Any]) -> None:
    contract = model_of(deepcopy(content), DatasetContract, "")
    with pytest.raises(ValueError, match="frozen"):
        contract.name = "other"  # type: ignore[misc]
