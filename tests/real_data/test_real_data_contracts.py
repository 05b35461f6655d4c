"""Every file of the real data sets through reading and gate: all rows are accounted for, and what is lost is known."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real_data.conftest import Gated
from tests.real_data.sets import CONTRACTS, DATASETS, NEARLY, SETS, contract_of, needs_data

pytestmark = needs_data
Gate = Callable[[str], Gated]
every_set = pytest.mark.parametrize("name", SETS)


def test_every_file_and_every_contract_is_looked_at() -> None:
    there = {f"{path.parent.name}/{path.name}" for path in DATASETS.glob("*/*.jsonl")}
    assert len(there) >= 36
    assert there == {f"{of.folder}/{name}" for of in SETS.values() for name in of.files}
    assert {path.stem for path in CONTRACTS.glob("*.yaml")} == set(SETS)


@every_set
def test_accepted_and_quarantined_rows_of_every_file_are_those_that_the_readme_counts(name: str, gated: Gate) -> None:
    found = gated(name)
    counts = found.accepted_by_file()
    counts.update(Path(row["address"]).name for row in found.quarantined)
    assert counts == {file: rows for file, (_, rows) in SETS[name].files.items()}
    by_split = {s: found.checks.rows.get(s, 0) + lost for s, lost in found.checks.quarantined.items()}
    assert by_split == SETS[name].rows


@every_set
def test_the_verdict_lets_the_set_pass_within_a_budget_that_states_the_real_share(name: str, gated: Gate) -> None:
    checks, contract = gated(name).checks, contract_of(name)
    assert checks.failures == ()
    assert checks.verdict(contract) == ("PASS_WITH_QUARANTINE" if SETS[name].broken else "PASS")
    shares = [lost / SETS[name].rows[split] for split, lost in checks.quarantined.items()]
    assert max(shares) <= contract.quarantine_budget <= max(shares) + 0.001


@every_set
def test_every_quarantined_row_is_named_and_found_again_in_its_file(name: str, gated: Gate) -> None:
    found = gated(name)
    lines = {
        file: (DATASETS / SETS[name].folder / file).read_text(encoding="utf-8").split("\n") for file in SETS[name].files
    }
    columns = {column.name for column in contract_of(name).columns}
    for finding in found.findings:
        assert finding["rule"]
        assert finding["column"] in columns
    assert {(f["address"], f["row"]) for f in found.findings} == {(r["address"], r["row"]) for r in found.quarantined}
    for row in found.quarantined:
        raw = json.loads(lines[Path(row["address"]).name][row["row"] - 1])
        assert row["content"]["text"] == raw.get("text", " ".join(raw.get("tokens", [])))


@every_set
def test_what_breaks_a_rule_is_as_many_rows_as_are_understood(name: str, gated: Gate) -> None:
    rules = [*SETS[name].broken, "?"]
    rows = {
        (
            next(rule for rule in rules if finding["rule"].startswith(rule) or rule == "?"),
            finding["address"],
            finding["row"],
        )
        for finding in gated(name).findings
    }
    seen = Counter(rule for rule, _, _ in rows)
    expected = dict(SETS[name].broken)
    # Which texts are nearly the same is decided by hashes; the others are counted by hand.
    assert abs(seen.pop(NEARLY, 0) - expected.pop(NEARLY, 0)) <= 3
    assert seen == expected


@every_set
def test_a_contract_names_the_labels_and_kinds_that_its_data_holds_and_no_others(name: str) -> None:
    contract = contract_of(name)
    rows = [
        json.loads(line)
        for file in SETS[name].files
        for line in (DATASETS / SETS[name].folder / file).open(encoding="utf-8")
    ]
    for column in contract.columns:
        if column.labels is not None:
            values = [row[column.name] for row in rows]
            assert set(column.labels) == {
                v for value in values for v in (value if isinstance(value, list) else [value])
            }
        if column.tag_kinds is not None:
            assert set(column.tag_kinds) == {tag[2:] for row in rows for tag in row["tags"] if tag != "O"}


def test_the_25_texts_of_the_snips_test_that_stand_in_training_leave_it_with_all_their_rows(gated: Gate) -> None:
    found = gated("snips")
    texts = {
        split: [json.loads(line)["text"] for line in (DATASETS / "snips" / f"{split}.jsonl").open(encoding="utf-8")]
        for split in ("train", "test")
    }
    leaked = set(texts["train"]) & set(texts["test"])
    assert len(leaked) == 25
    rows = {number for number, text in enumerate(texts["train"], start=1) if text in leaked}
    assert len(rows) == 64
    same = [finding for finding in found.findings if finding["rule"].startswith("the same text stands in test")]
    told = {finding["row"] for finding in same if finding["split"] == "train"}
    assert told == rows
    assert found.checks.quarantined["test"] == 0


def test_both_versions_of_a_toxic_comment_are_kept_for_they_are_only_judged_on(gated: Gate) -> None:
    checks = gated("wiki_toxicity").checks
    assert checks.rows == {"test": 1_490, "test_identity_swapped": 1_490}
    assert checks.masked > 0
