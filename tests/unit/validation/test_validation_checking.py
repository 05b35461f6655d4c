"""The gate: the contract as a real Great Expectations suite, its quarantine, and the budget."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from data_contracts.artifacts import SourceFile
from data_contracts.dataset import DatasetContract, load_contract, model_of
from data_contracts.errors import InputError
from tasks.ingestion.reading import read_sources
from tasks.validation.checking import check_snapshot, compile_suite, enforce

Row = dict[str, Any]


class Checked(NamedTuple):
    """What the gate made of the files it was given, one a split."""

    folder: Path
    accepted: dict[str, int]
    quarantined: dict[str, int]

    @property
    def findings(self) -> list[Row]:
        return [json.loads(line) for line in (self.folder / "quarantine.jsonl").open(encoding="utf-8")]

    def of_row(self, number: int) -> list[Row]:
        return [finding for finding in self.findings if finding["row"] == number]


Check = Callable[..., Checked]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Reads rows (a list for each split) from files and checks them."""

    def run(contract: DatasetContract, **splits: list[Row]) -> Checked:
        read, checked = tmp_path / "read", tmp_path / "checked"
        read.mkdir()
        checked.mkdir()
        files = []
        for split, rows in splits.items():
            content = "".join(json.dumps(row) + "\n" for row in rows).encode()
            path = tmp_path / f"{split}.jsonl"
            path.write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            files.append(SourceFile(split=split, address=str(path), sha256=digest, reader={"kind": "json_lines"}))
        read_sources(tuple(files), contract, read)
        return Checked(checked, *check_snapshot(read, contract, checked))

    return run


def contract_of(*properties: Row, budget: float = 0.0) -> DatasetContract:
    content = {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": "t",
        "name": "t",
        "version": "2.0.0",
        "schema": [{"name": "t", "properties": list(properties)}],
        "customProperties": [{"property": "quarantineBudget", "value": budget}],
    }
    return model_of(content, DatasetContract, "t.yaml")


def rule(kind: str, **arguments: Any) -> Row:
    implementation = {"type": kind, "kwargs": arguments}
    return {"type": "custom", "engine": "greatExpectations", "implementation": implementation}


def test_every_rule_of_the_contract_becomes_an_expectation() -> None:
    suite = compile_suite(load_contract("support"))
    found: dict[str, list[str]] = {}
    for expectation in suite.expectations:
        found.setdefault(expectation.column, []).append(expectation.meta["rule"])
    assert found["text"] == [
        "required",
        "3 to 2000 characters",
        "No replacement characters, control characters or UTF-8 read as Latin-1.",
        "A text holds at least one word.",
    ]
    assert found["language"] == ["required", "one of en, vi"]
    assert found["sentiment"] == ["required", "one of negative, neutral, positive"]
    assert found["entities"] == ["required", "legal BIO tags"]
    assert found["urgency"] == ["required", "between 0.0 and 1.0"]
    assert found["created_at"] == ["required"]
    assert len(found["intent"]) == 1
    assert len(found) == 7


def test_rows_that_break_a_rule_go_to_quarantine_and_the_others_pass(ticket: Row, check: Check) -> None:
    rows = [
        ticket,
        {**ticket, "intent": None},
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
        ticket,
    ]
    checked = check(load_contract("support"), train=rows, test=[ticket])
    assert checked.accepted == {"train": 3, "test": 1}
    assert checked.quarantined == {"train": 11, "test": 0}
    kept = pq.read_table(checked.folder / "train.parquet").to_pylist()
    assert [row["_row"] for row in kept] == [1, 2, 14]
    assert {finding["address"] for finding in checked.findings} == {kept[0]["_address"]}
    expected = {
        3: [("intent", "one of order_status", "complaint")],
        4: [("entities", "legal BIO tags: 2 tokens but 1 tags", "{'tokens': ['Where', 'is']")],
        5: [("entities", "legal BIO tags: I-PERSON at token 1 continues nothing", "{")],
        6: [("text", "No replacement characters", "TrÃ¡")],
        7: [("text", "No replacement characters", "My k\ufffdttle leaks")],
        8: [("text", "3 to 2000 characters", ""), ("text", "A text holds at least one word", "")],
        9: [("urgency", "required", "None")],
        10: [("sentiment", "required", "None")],
        11: [("urgency", "between 0.0 and 1.0", "1.01")],
        12: [("urgency", "type: could not convert", "high")],
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


@pytest.mark.parametrize(
    "text",
    ["Café à Nîmes – «très bon»", "Trả lại tiền cho tôi nhé", "Größe 40 €, “ok”", "done 👍🏽", "naïve São Paulo ÂÃ"],
)
def test_letters_of_other_languages_are_no_mojibake(text: str, mojibake: str) -> None:
    assert re.search(mojibake, text) is None


@pytest.mark.parametrize("text", ["Café à Nîmes", "Trả lại tiền", "40 €", "it’s “ok”", "done 👍"])
def test_the_same_letters_read_as_latin_1_are(text: str, mojibake: str) -> None:
    for codec in ("latin-1", "cp1252"):
        assert re.search(mojibake, text.encode("utf-8").decode(codec, "replace")) is not None


@pytest.fixture
def mojibake() -> str:
    """The pattern that the contract `support` forbids in its texts."""
    found: str = load_contract("support").column("text").quality[0].implementation["kwargs"]["regex"]
    return found


def test_a_window_is_checked_without_its_labels(ticket: Row, check: Check) -> None:
    contract = load_contract("support").without_labels()
    plain = {name: ticket[name] for name in ("text", "language", "created_at")}
    checked = check(contract, window=[plain, {**plain, "text": " "}])
    assert checked.accepted == {"window": 1}
    assert checked.quarantined == {"window": 1}


def test_a_column_that_is_empty_throughout_breaks_no_rule_but_required(check: Check) -> None:
    labels = {"customProperties": [{"property": "labels", "value": ["good", "bad"]}]}
    rows = [{"text": "a", "label": None}, {"text": "b", "label": None}]
    checked = check(
        contract_of({"name": "text", "logicalType": "string"}, {"name": "label", "logicalType": "string", **labels}),
        train=rows,
    )
    assert checked.accepted == {"train": 2}


def test_patterns_and_uniqueness_are_rules_too(check: Check) -> None:
    code = {"name": "code", "logicalType": "string", "unique": True, "logicalTypeOptions": {"pattern": r"^\d+$"}}
    checked = check(contract_of(code), train=[{"code": "1"}, {"code": "x2"}, {"code": "3"}, {"code": "1"}])
    assert {(finding["row"], finding["rule"]) for finding in checked.findings} == {
        (1, "unique"),
        (4, "unique"),
        (2, r"matches ^\d+$"),
    }


def test_a_rule_over_the_whole_column_passes_or_ends_the_run(check: Check, tmp_path: Path) -> None:
    rows = [{"stars": 1.0}, {"stars": 3.0}]
    stars = {"name": "stars", "logicalType": "number"}

    def with_mean(low: float) -> DatasetContract:
        return contract_of({**stars, "quality": [rule("expect_column_mean_to_be_between", min_value=low, max_value=5)]})

    assert check(with_mean(2), train=rows).accepted == {"train": 2}
    with pytest.raises(InputError, match=r"expect_column_mean_to_be_between on stars names no failing rows and failed"):
        check_snapshot(tmp_path / "read", with_mean(2.5), tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [rule("expect_column_values_to_be_nice"), rule("expect_column_values_to_match_regex", regx="a")],
    ids=["no such expectation", "no such argument"],
)
def test_a_rule_that_great_expectations_does_not_have_names_its_column(wrong: Row) -> None:
    contract = contract_of({"name": "stars", "logicalType": "number", "quality": [wrong]})
    kind = wrong["implementation"]["type"]
    with pytest.raises(InputError, match=rf"contract column stars: Great Expectations makes no '{kind}'"):
        compile_suite(contract)


LABELLED = {
    "name": "label",
    "logicalType": "string",
    "customProperties": [{"property": "labels", "value": ["good", "bad"]}],
}


def test_more_broken_rows_than_the_budget_end_the_run_with_file_row_and_value(check: Check) -> None:
    contract = contract_of(LABELLED, budget=0.25)
    # `slang` is within the budget, so the examples have to come from `train`.
    train = [{"label": label} for label in ("good", "ugly", "bad", "ugly")]
    slang = [{"label": label} for label in ("good", "good", "good", "meh")]
    folder, accepted, quarantined = check(contract, slang=slang, train=train)
    with pytest.raises(InputError) as error:
        enforce(contract, accepted, quarantined, folder / "quarantine.jsonl")
    message = str(error.value)
    assert "contract t 2.0.0 is broken: it lets 25% of a split's rows be quarantined" in message
    assert "  - train: 2 of 4 rows (50.0%)" in message
    assert "slang:" not in message
    assert re.search(r"train\.jsonl, row 2, label: one of good, bad, found ugly\n", message)
    assert "slang.jsonl" not in message
    assert str(folder / "quarantine.jsonl") in message


def test_broken_rows_within_the_budget_are_left_behind_quietly(check: Check) -> None:
    contract = contract_of(LABELLED, budget=0.25)
    rows = [{"label": label} for label in ("good", "bad", "bad", "ugly")]
    folder, accepted, quarantined = check(contract, train=rows)
    assert (accepted, quarantined) == ({"train": 3}, {"train": 1})
    enforce(contract, accepted, quarantined, folder / "quarantine.jsonl")


def test_a_split_that_lost_every_row_ends_the_run_whatever_the_budget(check: Check) -> None:
    contract = contract_of({"name": "stars", "logicalType": "number"}, budget=1.0)
    folder, accepted, quarantined = check(contract, train=[{"stars": 1}], test=[{"stars": "many"}])
    assert (accepted, quarantined) == ({"train": 1}, {"train": 0, "test": 1})
    with pytest.raises(InputError, match=r"test: 1 of 1 rows \(100\.0%\)"):
        enforce(contract, accepted, quarantined, folder / "quarantine.jsonl")
