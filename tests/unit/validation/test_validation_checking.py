"""The gate: the contract as a real Great Expectations suite, its quarantine, and the budget."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_contracts.dataset import DatasetContract, load_contract
from data_contracts.errors import InputError
from tasks.validation.checks import complaint
from tasks.validation.suite import columns_of, compile_suite

Row = dict[str, Any]
Check = Callable[..., Any]
Make = Callable[..., DatasetContract]


def rule(kind: str, **arguments: Any) -> Row:
    implementation = {"type": kind, "kwargs": arguments}
    return {"type": "custom", "engine": "greatExpectations", "implementation": implementation}


def test_every_rule_of_the_contract_becomes_an_expectation() -> None:
    suite = compile_suite(load_contract("support"))
    found: dict[str, list[str]] = {}
    for expectation in suite.expectations:
        found.setdefault(columns_of(expectation.configuration)[0], []).append(expectation.meta["rule"])
    assert found["text"] == [
        "required",
        "3 to 2000 characters",
        "undamaged text",
        "A text holds at least one word.",
    ]
    assert found["language"] == ["required", "one of en, vi"]
    assert found["sentiment"] == ["required", "one of negative, neutral, positive"]
    assert found["entities"] == ["required", "legal BIO tags", "tokens stand in text"]
    assert found["urgency"] == ["required", "between 0.0 and 1.0"]
    assert found["created_at"] == ["required"]
    assert len(found["intent"]) == 1
    assert len(found) == 7


def test_rows_that_break_a_rule_go_to_quarantine_and_the_others_pass(ticket: Row, check: Check) -> None:
    rows = [
        ticket,
        {**ticket, "intent": None, "text": f"{ticket['text']} Soon."},
        {**ticket, "intent": "complaint"},
        {**ticket, "entities": {"tokens": ["Where", "is"], "tags": ["O"]}},
        {**ticket, "entities": {"tokens": ["Ana"], "tags": ["I-PERSON"]}},
        {**ticket, "text": "TrÃ¡ÂºÂ£ lÃ¡ÂºÂ¡i tiÃ¡Â»Ân"},
        {**ticket, "text": "My k\ufffdttle leaks"},
        {**ticket, "text": ""},
        {**ticket, "urgency": float("nan")},
        {**ticket, "sentiment": None},
        {**ticket, "urgency": 1.01},
        {**ticket, "urgency": "high"},
        {**ticket, "urgency": -1, "language": "fr"},
        {**ticket, "text": f"{ticket['text']} Now."},
    ]
    other = {
        **ticket,
        "text": "Refund me! Ana, Hue",
        "entities": {"tokens": ["Refund", "Ana"], "tags": ["O", "B-PERSON"]},
    }
    checked = check(load_contract("support"), train=rows, test=[other])
    assert checked.accepted == {"train": 3, "test": 1}
    assert checked.quarantined == {"train": 11, "test": 0}
    kept = pq.read_table(checked.folder / "train.parquet").to_pylist()
    assert [row["_row"] for row in kept] == [1, 2, 14]
    assert {Path(finding["address"]).name for finding in checked.findings} == {"train.jsonl"}
    expected = {
        3: [("intent", "one of order_status", "complaint")],
        4: [("entities", "legal BIO tags: 2 tokens but 1 tags", "{'tokens': ['Where', 'is']")],
        5: [("entities", "legal BIO tags: I-PERSON at token 1 continues nothing", "{")],
        6: [("entities", "tokens stand in text: token 1", "{"), ("text", "undamaged text: UTF-8 read as", "TrÃ¡")],
        7: [("entities", "tokens stand in text", "{"), ("text", "undamaged text: ", "My k\ufffdttle leaks")],
        8: [
            ("entities", "tokens stand in text", "{"),
            ("text", "3 to 2000 characters", ""),
            ("text", "A text holds at least one word", ""),
        ],
        9: [("urgency", "required", "None")],
        10: [("sentiment", "required", "None")],
        11: [("urgency", "between 0.0 and 1.0", "1.01")],
        12: [("urgency", "type: expected a number", "high")],
        13: [("language", "one of en, vi", "fr"), ("urgency", "between 0.0 and 1.0", "-1.0")],
    }
    for number, wanted in expected.items():
        found = sorted(checked.of_row(number), key=lambda finding: (finding["column"], finding["rule"]))
        assert [finding["column"] for finding in found] == [column for column, _, _ in wanted]
        for finding, (_, words, value) in zip(found, wanted, strict=True):
            assert finding["split"] == "train"
            assert finding["rule"].startswith(words)
            assert finding["value"].startswith(value)
            assert bool(finding["value"]) == bool(value)
    assert {finding["row"] for finding in checked.findings} == set(expected)


def test_a_window_is_checked_without_its_labels(ticket: Row, check: Check) -> None:
    contract = load_contract("support").without_labels()
    plain = {name: ticket[name] for name in ("text", "language", "created_at")}
    checked = check(contract, window=[plain, {**plain, "text": " "}])
    assert checked.accepted == {"window": 1}
    assert checked.quarantined == {"window": 1}


def test_people_may_say_the_same_in_production(ticket: Row, check: Check) -> None:
    contract = load_contract("support")
    plain = {name: ticket[name] for name in ("text", "language", "created_at")}
    assert contract.column("text").rules.duplicates.within == "quarantine"
    checked = check(contract.without_labels(), window=[plain, {**plain, "text": plain["text"].upper()}, plain])
    assert checked.accepted == {"window": 3}


def test_a_column_that_is_empty_throughout_breaks_no_rule_but_required(check: Check, contract_of: Make) -> None:
    labels = {"customProperties": [{"property": "labels", "value": ["good", "bad"]}]}
    rows = [{"text": "a", "label": None}, {"text": "b", "label": None}]
    checked = check(
        contract_of({"name": "text", "logicalType": "string"}, {"name": "label", "logicalType": "string", **labels}),
        train=rows,
    )
    assert checked.accepted == {"train": 2}


def test_patterns_and_uniqueness_are_rules_too(check: Check, contract_of: Make) -> None:
    code = {"name": "code", "logicalType": "string", "unique": True, "logicalTypeOptions": {"pattern": r"^\d+$"}}
    checked = check(contract_of(code), train=[{"code": "1"}, {"code": "x2"}, {"code": "3"}, {"code": "1"}])
    assert {(finding["row"], finding["rule"]) for finding in checked.findings} == {
        (1, "unique"),
        (4, "unique"),
        (2, r"matches ^\d+$"),
    }


def test_a_rule_over_the_whole_column_passes_or_ends_the_run(check: Check, contract_of: Make) -> None:
    rows = [{"stars": 1.0}, {"stars": 3.0}]
    stars = {"name": "stars", "logicalType": "number"}

    def with_mean(low: float) -> DatasetContract:
        return contract_of({**stars, "quality": [rule("expect_column_mean_to_be_between", min_value=low, max_value=5)]})

    contract = with_mean(2)
    assert check(contract, train=rows).checks.verdict(contract) == "PASS"
    contract = with_mean(2.5)
    checks = check(contract, train=rows).checks
    assert checks.verdict(contract) == "FAIL"
    assert checks.failures == ("train, stars: expect_column_mean_to_be_between (observed: 2.0)",)
    assert checks.rows == {"train": 2}


@pytest.mark.parametrize(
    ("kind", "arguments", "verdict"),
    [
        ("expect_column_values_to_be_of_type", {"type_": "float64"}, "FAIL"),
        ("expect_column_values_to_be_of_type", {"type_": "int64"}, "PASS"),
        ("expect_column_values_to_be_in_type_list", {"type_list": ["float64", "str"]}, "FAIL"),
        ("expect_column_values_to_be_in_type_list", {"type_list": ["int64", "str"]}, "PASS"),
        ("expect_table_column_count_to_equal", {"value": 1}, "PASS"),
        ("expect_table_columns_to_match_ordered_list", {"column_list": ["stars"]}, "PASS"),
        ("expect_table_columns_to_match_ordered_list", {"column_list": ["stars", "mood"]}, "FAIL"),
        ("expect_table_columns_to_match_set", {"column_set": ["stars", "_position"]}, "FAIL"),
    ],
)
def test_a_rule_on_types_or_on_the_table_sees_the_columns_of_the_contract(
    check: Check, contract_of: Make, kind: str, arguments: Row, verdict: str
) -> None:
    contract = contract_of({"name": "stars", "logicalType": "integer", "quality": [rule(kind, **arguments)]})
    checks = check(contract, train=[{"stars": 1}, {"stars": 3}]).checks
    assert checks.verdict(contract) == verdict
    assert [failure[:14] for failure in checks.failures] == [
        "train, stars: " if "values" in kind else "train, the tab"
    ] * (verdict == "FAIL")


def test_large_numbers_beside_a_missing_one_are_told_apart(check: Check, contract_of: Make) -> None:
    number = {"name": "id", "logicalType": "integer", "unique": True}
    large = 1234567890123456789
    checked = check(contract_of(number), train=[{"id": large}, {"id": large + 1}, {"id": None}])
    assert checked.accepted == {"train": 3}
    above = rule("expect_column_pair_values_a_to_be_greater_than_b", column_A="most", column_B="least")
    least, most = {**number, "name": "least", "unique": False}, {**number, "name": "most", "quality": [above]}
    given = [{"least": 1, "most": 2}, {"least": 3, "most": 2}, {"least": None, "most": 7}]
    assert {finding["row"] for finding in check(contract_of(least, most), train=given).findings} >= {2}


@pytest.mark.parametrize(
    "wrong",
    [rule("expect_column_values_to_be_nice"), rule("expect_column_values_to_match_regex", regx="a")],
    ids=["no such expectation", "no such argument"],
)
def test_a_rule_that_great_expectations_does_not_have_names_its_column(wrong: Row, contract_of: Make) -> None:
    contract = contract_of({"name": "stars", "logicalType": "number", "quality": [wrong]})
    kind = wrong["implementation"]["type"]
    with pytest.raises(InputError, match=rf"contract column stars: Great Expectations makes no '{kind}'"):
        compile_suite(contract)


LABELLED = {
    "name": "label",
    "logicalType": "string",
    "customProperties": [{"property": "labels", "value": ["good", "bad"]}],
}


@pytest.mark.parametrize(("budget", "shown"), [(0.0, "0%"), (0.005, "0.5%"), (0.07, "7%")])
def test_a_budget_is_told_to_the_last_digit(check: Check, contract_of: Make, budget: float, shown: str) -> None:
    contract = contract_of(LABELLED, budget=budget)
    checked = check(contract, train=[{"label": label} for label in ("good", "bad", "ugly")])
    assert checked.checks.reasons(contract)[0].startswith(f"it lets {shown} of a split's rows be quarantined: train:")


def test_more_broken_rows_than_the_budget_end_the_run_with_file_row_and_value(check: Check, contract_of: Make) -> None:
    contract = contract_of(LABELLED, budget=0.25)
    # `slang` is within the budget, so the examples have to come from `train`.
    train = [{"label": label} for label in ("good", "ugly", "bad", "ugly")]
    slang = [{"label": label} for label in ("good", "good", "good", "meh")]
    checked = check(contract, slang=slang, train=train)
    assert checked.checks.verdict(contract) == "FAIL"
    message = complaint(contract, checked.checks, checked.folder, "Mend them.")
    assert "contract t 2.0.0 is broken:" in message
    assert "it lets 25% of a split's rows be quarantined: train: 2 of 4 rows (50.0%)" in message
    assert "slang:" not in message
    assert message.endswith("Mend them.")
    assert re.search(r"train\.jsonl, row 2, label: one of good, bad, found ugly\n", message)
    assert "slang.jsonl" not in message
    assert str(checked.folder / "quarantine.jsonl") in message


def test_unreadable_rows_of_files_with_the_same_bytes_count_as_often_as_they_stand(
    check: Check, contract_of: Make
) -> None:
    text, number = {"name": "text", "logicalType": "string"}, {"name": "n", "logicalType": "number"}
    contract = contract_of(
        {**text, "customProperties": [{"property": "duplicates", "value": {"across": "allow"}}]}, number
    )
    rows = [{"text": "hello you", "n": 1}, {"text": 5, "n": "five"}, {"text": 6, "n": 6}]
    checked = check(contract, train=rows, train_since=rows, validation=rows)
    assert checked.accepted == {"train": 2, "validation": 1}
    assert checked.quarantined == {"train": 4, "validation": 2}
    assert [finding["split"] for finding in checked.findings] == ["train"] * 6 + ["validation"] * 3
    kept = [json.loads(line) for line in (checked.folder / "quarantined.jsonl").open(encoding="utf-8")]
    assert [(row["split"], row["row"]) for row in kept] == [
        *[("train", 2), ("train", 3)] * 2,
        *[("validation", 2), ("validation", 3)],
    ]


def test_broken_rows_within_the_budget_are_left_behind_quietly(check: Check, contract_of: Make) -> None:
    contract = contract_of(LABELLED, budget=0.25)
    rows = [{"label": label} for label in ("good", "bad", "bad", "ugly")]
    checks = check(contract, train=rows).checks
    assert (checks.rows, checks.quarantined) == ({"train": 3}, {"train": 1})
    assert checks.verdict(contract) == "PASS_WITH_QUARANTINE"
    assert checks.reasons(contract) == ["quarantined: 1 of 4 rows of train"]


def test_a_split_that_lost_every_row_ends_the_run_whatever_the_budget(check: Check, contract_of: Make) -> None:
    contract = contract_of({"name": "stars", "logicalType": "number"}, budget=1.0)
    checks = check(contract, train=[{"stars": 1}], test=[{"stars": "many"}]).checks
    assert (checks.rows, checks.quarantined) == ({"train": 1}, {"train": 0, "test": 1})
    assert checks.verdict(contract) == "FAIL"
    assert checks.over_budget(contract) == ["test: 1 of 1 rows (100.0%)"]
