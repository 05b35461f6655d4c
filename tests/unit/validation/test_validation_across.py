"""Rows held against each other, and the whole: duplicates, contradictions, labels, languages, age."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.dataset import DatasetContract
from data_contracts.rules import Duplicates
from data_contracts.texts import words_alone
from tasks.validation import across, totals
from tasks.validation.acceptance import late_failures, total_variation
from tasks.validation.checks import Checks, read_checks

Row = dict[str, Any]
Check = Callable[..., Any]
Make = Callable[..., DatasetContract]
LONG = "the delivery man left the heavy parcel in front of the garden gate although it was raining the whole day"


def text(**rules: Any) -> Row:
    given = [{"property": name, "value": value} for name, value in {"role": "text", **rules}.items()]
    return {"name": "text", "logicalType": "string", "customProperties": given}


def label(**rules: Any) -> Row:
    given = {"role": "label", "labels": ["good", "bad"], **rules}
    properties = [{"property": name, "value": value} for name, value in given.items()]
    return {"name": "label", "logicalType": "string", "customProperties": properties}


def rows(*texts: str) -> list[Row]:
    return [{"text": entry} for entry in texts]


def kept(checked: Any, split: str) -> list[str]:
    texts: list[str] = pq.read_table(checked.folder / f"{split}.parquet").column("text").to_pylist()
    return texts


def checked_files(checked: Any) -> list[Path]:
    # The others name the files that the rows come from, which each run of a test has its own of.
    return [path for path in checked.folder.iterdir() if path.suffix != ".jsonl"]


def test_the_words_of_a_split_are_made_once_and_a_group_of_rows_at_a_time(
    check: Check, contract_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = contract_of(text(duplicates={"within": "quarantine"}), label(), budget=0.5)
    made = []
    monkeypatch.setattr(across, "words_alone", lambda texts: made.append(len(texts)) or words_alone(texts))
    said = [{"text": entry, "label": "good"} for entry in ("One text.", "another", "one text")]
    assert kept(check(contract, train=said), "train") == ["One text.", "another"]
    assert made == [3]
    with pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("text", pa.string())])) as groups:
        for row in said:
            groups.write_table(pa.table({"text": [row["text"]]}))
    words = across.words_of(tmp_path / "a.parquet", contract)
    assert [chunk.to_pylist() for chunk in words.chunks] == [["one text"], ["another"], ["one text"]]


def test_what_is_allowed_to_stand_twice_stays_and_is_counted(check: Check, contract_of: Make) -> None:
    contract = contract_of(text())
    checked = check(contract, train=rows("one text", "One text!", "another"))
    assert checked.checks.verdict(contract) == "PASS"
    assert [(r.broken, r.rule) for r in checked.checks.rules if r.expectation == "duplicates" and r.broken] == [
        (1, "once in its split")
    ]


def test_the_later_of_two_rows_of_a_split_goes(check: Check, contract_of: Make) -> None:
    contract = contract_of(text(duplicates={"within": "quarantine"}), budget=0.5)
    checked = check(contract, train=rows("one text", "another", "ONE text"), test=rows("a third", "a third"))
    assert kept(checked, "train") == ["one text", "another"]
    assert kept(checked, "test") == ["a third"]
    assert [(f["split"], f["row"], f["rule"]) for f in checked.findings] == [
        ("test", 2, "the same text stands in test, row 1"),
        ("train", 3, "the same text stands in train, row 1"),
    ]


def test_one_row_of_a_text_stays_in_a_split_whatever_stands_in_others(check: Check, contract_of: Make) -> None:
    contract = contract_of(text(duplicates={"within": "quarantine", "across": "allow"}), budget=0.9)
    twice = rows("hello world", "Hello, world!", "other")
    checked = check(contract, train=twice, test=twice[:1], noisy=twice)
    assert [kept(checked, split) for split in ("train", "test", "noisy")] == [
        ["hello world", "other"],
        ["hello world"],
        ["hello world", "other"],
    ]
    assert {f["rule"] for f in checked.findings} == {
        "the same text stands in train, row 1",
        "the same text stands in noisy, row 1",
    }


def test_people_who_repeat_what_is_learnt_or_judged_on_end_no_retraining(check: Check, contract_of: Make) -> None:
    contract = contract_of(text(), budget=0.9)
    checked = check(
        contract,
        train=rows("learnt", "said again in the week"),
        train_since=rows("judged on", "new"),
        test=rows("judged on", "judged, too"),
        fresh_week=rows("said again in the week", "fresh"),
    )
    assert checked.checks.verdict(contract) == "PASS_WITH_QUARANTINE"
    assert [(f["split"], f["value"], f["rule"]) for f in checked.findings] == [
        ("train", "said again in the week", "the same text stands in fresh_week, row 1"),
        ("train", "judged on", "the same text stands in test, row 1"),
    ]
    leaking = check(contract, train=rows("learnt", "judged on"), test=rows("judged on"), fresh_week=rows("fresh"))
    assert leaking.checks.verdict(contract) == "FAIL"


def test_across_splits_training_gives_way_first_and_what_is_judged_on_stays(check: Check, contract_of: Make) -> None:
    contract = contract_of(text(duplicates={"across": "quarantine"}), budget=0.9)
    checked = check(
        contract,
        train=rows("in all three", "in train and validation", "only here"),
        validation=rows("in train and validation", "in all three", "in both others"),
        test=rows("in all three", "in both others"),
        slang=rows("in all three"),
    )
    assert kept(checked, "train") == ["only here"]
    assert kept(checked, "validation") == ["in train and validation"]
    assert kept(checked, "test") == ["in all three", "in both others"]
    assert kept(checked, "slang") == ["in all three"]


def test_leakage_is_refused_where_the_contract_says_nothing(check: Check, contract_of: Make) -> None:
    contract = contract_of({"name": "text", "logicalType": "string"}, budget=1.0)
    checks = check(contract, train=rows("a text", "another"), test=rows("A text.")).checks
    assert checks.verdict(contract) == "FAIL"
    assert checks.rows == {"train": 2, "test": 1}
    assert checks.failures == (
        "train, text: 1 rows of 2, for example row 1 ('a text') the same text stands in test, row 1. Mend them, or "
        "say `duplicates: {across: quarantine}` in the contract, which leaves such rows out",
    )


@pytest.mark.parametrize(
    ("rules", "remedy"),
    [
        ({"duplicates": {"within": "fail"}, "conflictingLabels": "allow"}, "duplicates: {within: quarantine}"),
        ({"duplicates": {"similarity": 0.5, "nearWithin": "fail"}}, "duplicates: {nearWithin: quarantine}"),
        ({"conflictingLabels": "fail"}, "conflictingLabels: quarantine"),
    ],
)
def test_a_refusal_names_the_rule_by_which_such_rows_are_left_out(
    check: Check, contract_of: Make, rules: dict[str, object], remedy: str
) -> None:
    second = f"{LONG} today" if "nearWithin" in remedy else LONG
    contract = contract_of(text(**rules), label(), budget=1.0)
    checked = check(contract, train=[{"text": LONG, "label": "good"}, {"text": second, "label": "bad"}])
    failures = [failure for failure in checked.checks.failures if "for example row" in failure]
    assert len(failures) == 1
    assert failures[0].endswith(f". Mend them, or say `{remedy}` in the contract, which leaves such rows out")


def test_near_duplicates_are_looked_for_only_where_the_contract_asks(check: Check, contract_of: Make) -> None:
    splits = {"train": rows(f"{LONG} long", "short"), "test": rows(LONG)}
    silent, asking = contract_of(text()), contract_of(text(duplicates={"similarity": 0.8}), budget=0.5)
    assert check(silent, **splits).checks.verdict(silent) == "PASS"
    checked = check(asking, **splits)
    assert kept(checked, "train") == ["short"]
    assert [f["rule"] for f in checked.findings] == ["nearly the same text stands in test, row 1"]


def test_a_row_that_breaks_a_rule_of_its_own_is_nobodys_duplicate(check: Check, contract_of: Make) -> None:
    contract = contract_of(text(duplicates={"within": "quarantine"}), label(), budget=0.9)
    checked = check(contract, train=[{"text": "a", "label": "ugly"}, {"text": "a", "label": "good"}])
    assert kept(checked, "train") == ["a"]
    assert [(f["row"], f["column"]) for f in checked.findings] == [(1, "label")]


@pytest.mark.parametrize(("action", "verdict"), [("allow", "PASS"), ("quarantine", "FAIL"), ("fail", "FAIL")])
def test_one_text_with_two_labels(check: Check, contract_of: Make, action: str, verdict: str) -> None:
    contract = contract_of(text(conflictingLabels=action), label())
    given = [("so so", "good"), ("So, so", "bad"), ("so so", None), ("fine", "good"), ("fine", "good"), ("no", "bad")]
    checked = check(contract, train=[{"text": words, "label": value} for words, value in given])
    assert checked.checks.verdict(contract) == verdict
    expected = [(1, "good"), (2, "bad")] if action == "quarantine" else []
    assert [(f["row"], f["value"]) for f in checked.findings] == expected
    assert bool(checked.checks.failures) == (action == "fail")


def test_a_list_of_labels_in_another_order_is_no_contradiction(check: Check, contract_of: Make) -> None:
    topics = {**label(), "logicalType": "array"}
    contract = contract_of(text(), topics, budget=1.0)
    given = [["good", "bad"], ["bad", "good"]]
    assert check(contract, train=[{"text": "so so", "label": both} for both in given]).accepted == {"train": 2}
    other = check(contract, train=[{"text": "so so", "label": some} for some in (["good", "bad"], ["good"])])
    assert {f["rule"] for f in other.findings} == {"one text, conflicting labels: bad, good, good"}
    other = check(contract, train=[{"text": "so so", "label": some} for some in ([], ["good"])])
    assert {f["rule"] for f in other.findings} == {"one text, conflicting labels: good, no label"}


def test_tags_contradict_by_their_entities_and_not_by_the_cut_of_their_tokens(check: Check, contract_of: Make) -> None:
    tags = {
        "name": "tags",
        "logicalType": "object",
        "customProperties": [{"property": "role", "value": "label"}, {"property": "tagKinds", "value": ["PLACE"]}],
    }
    contract = contract_of(text(), tags, budget=1.0)

    def tagged(words: str, tokens: str, *kinds: str) -> Row:
        return {"text": words, "tags": {"tokens": tokens.split(), "tags": list(kinds)}}

    same = [
        tagged("I'm in Hue", "I 'm in Hue", "O", "O", "O", "B-PLACE"),
        tagged("I'm in Hue!", "I'm in Hue", "O", "O", "B-PLACE"),
    ]
    assert check(contract, train=same).quarantined == {"train": 0}
    other = tagged("I'm in Hue", "I'm in Hue", "O", "O", "O")
    assert check(contract, train=[*same, other]).quarantined == {"train": 3}


def test_labels_need_support_in_training_alone(check: Check, contract_of: Make) -> None:
    contract = contract_of(text(), label(minimumSupport=2))
    train = [{"text": f"{n}", "label": ("good", "bad")[n % 2]} for n in range(4)]
    few = [{"text": "x", "label": "good"}]
    assert check(contract, train=train, test=few).checks.verdict(contract) == "PASS"
    checks = check(contract, train=train[:3], test=few).checks
    assert checks.failures == ("train, label: every label needs 2 rows, but bad (1)",)
    assert checks.labels == {"label": {"bad": 1, "good": 2}}


def test_lists_of_labels_are_checked_item_by_item(check: Check, contract_of: Make) -> None:
    topics = {**label(labels=["a", "b"]), "name": "topics", "logicalType": "array"}
    contract = contract_of(text(), topics, budget=0.9)
    given = [["a"], ["a", "b"], [], ["c"], ["a", "a"], None]
    checked = check(contract, train=[{"text": f"{n}", "topics": value} for n, value in enumerate(given)])
    assert [(f["row"], f["rule"]) for f in checked.findings] == [
        (4, "one of a, b: 'c' is not allowed"),
        (5, "one of a, b: 'a' stands twice"),
    ]
    assert checked.checks.labels == {"topics": {"a": 2, "b": 1}}


def test_the_mix_of_languages_is_that_of_texts_that_can_be_told(check: Check, contract_of: Make) -> None:
    english = ["where is the parcel that I ordered last week", "please send me the invoice once again"]
    vietnamese = ["tôi muốn trả lại hàng và nhận lại tiền", "đơn hàng của tôi bao giờ mới đến nơi"]
    contract = contract_of(text(languageMix={"shares": {"en": [0.4, 0.6], "vi": [0.4, 0.6]}}))
    balanced = check(
        contract, train=rows(*english, *vietnamese, "ok", "??"), slang=rows("this is only said in slang here")
    ).checks
    assert balanced.verdict(contract) == "PASS"
    assert balanced.languages["train, text"]["en"] == pytest.approx(2 / 6, abs=1e-4)
    failures = check(contract, train=rows(*english)).checks.failures
    assert failures == (
        "train, text: 100% of the texts are en; 40% to 60% are allowed",
        "train, text: 0% of the texts are vi; 40% to 60% are allowed",
    )


def test_languages_that_nobody_named_have_a_share_of_their_own(check: Check, contract_of: Make) -> None:
    contract = contract_of(text(languageMix={"shares": {"en": [0.0, 1.0]}, "others": 0.3}))
    english = ["where is the parcel that I ordered last week", "please send me the invoice once again"]
    german = "wo bleibt mein Paket, es sollte schon gestern kommen"
    mixed = check(contract, train=rows(*english, german)).checks
    assert mixed.failures == ("train, text: 33% of the texts are in other languages (de 33%); 30% are allowed",)
    assert check(contract, train=rows(*english, "the oven is hot and nobody answers", german)).checks.failures == ()


def test_each_text_column_has_a_sample_of_its_own_of_at_most_so_many_texts(
    contract_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    mix = {"languageMix": {"shares": {"en": [0, 1], "vi": [0, 1]}}}
    contract = contract_of({**text(**mix), "name": "text"}, {**text(**mix), "name": "reply"})
    monkeypatch.setattr(totals, "SAMPLE", 10)
    read: list[int] = []
    monkeypatch.setattr(totals, "language_shares", lambda texts: read.append(len(texts)) or {"en": texts.count("a")})
    found = totals.Totals(contract)
    for said in ("a", "b", "a", "b"):
        found.add("train", pa.table({"text": [said] * 15, "reply": [said] * 15}), 0)
    languages = found.facts()["languages"]
    assert languages["train, text"] == languages["train, reply"] == {"en": 4}
    assert read == [8, 8]


def test_personal_data_is_masked_in_texts_and_in_their_tokens(check: Check, contract_of: Make) -> None:
    tags = {
        "name": "tags",
        "logicalType": "object",
        "customProperties": [{"property": "role", "value": "label"}, {"property": "tagKinds", "value": ["PERSON"]}],
    }
    contract = contract_of(text(personalData={"action": "mask"}), tags)
    tokens = ["Ana", "writes", "to", "ana.lima@example.com", "today"]
    row = {"text": " ".join(tokens), "tags": {"tokens": tokens, "tags": ["B-PERSON", "O", "O", "O", "O"]}}
    checked = check(contract, train=[row, {"text": "nothing here", "tags": None}])
    assert checked.checks.verdict(contract) == "PASS"
    assert checked.checks.reasons(contract) == ["masked: personal data in 1 rows"]
    table = pq.read_table(checked.folder / "train.parquet").to_pylist()
    assert table[0]["text"] == "Ana writes to xxx.xxxx@xxxxxxx.xxx today"
    assert table[0]["tags"]["tokens"][3] == "xxx.xxxx@xxxxxxx.xxx"
    written = b"".join(path.read_bytes() for path in checked.folder.iterdir())
    assert b"ana.lima" not in written


def test_the_findings_of_personal_data_do_not_repeat_it(check: Check, contract_of: Make) -> None:
    contract = contract_of(text(personalData={"regions": ["VN"]}), budget=1.0)
    checked = check(contract, train=rows("call 0912 345 678 please", "fine"))
    assert [(f["rule"], f["value"]) for f in checked.findings] == [
        ("no personal data: phone", "call 0000 000 000 please")
    ]
    assert "0912" not in (checked.folder / "checks.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("action", ["mask", "quarantine"])
def test_no_finding_repeats_personal_data_whatever_rule_it_is_of(check: Check, contract_of: Make, action: str) -> None:
    said = text(personalData={"action": action}, duplicates={"within": "quarantine"})
    short = {**said, "logicalTypeOptions": {"maxLength": 40}}
    address = "ana.lima@example.com"
    given = rows(f"{address} waits for a parcel since last week", f"to {address}", f"To {address}!")
    checked = check(contract_of(short, budget=1.0), train=given)
    assert {finding["row"] for finding in checked.findings} == {1, 2, 3} if action == "quarantine" else {1, 3}
    assert "0 to 40 characters" in {finding["rule"] for finding in checked.findings}
    assert all("xxx.xxxx@xxxxxxx.xxx" in finding["value"] for finding in checked.findings)


def test_findings_about_tokens_repeat_no_personal_data(check: Check, contract_of: Make) -> None:
    tags = {
        "name": "tags",
        "logicalType": "object",
        "customProperties": [{"property": "role", "value": "label"}, {"property": "tagKinds", "value": ["PERSON"]}],
    }
    tokens = ["call", "ana.lima@example.com", "or", "030", "12345678"]
    row = {"text": "call 030 12345678 now", "tags": {"tokens": tokens, "tags": ["O"] * 5}}
    checked = check(
        contract_of(text(personalData={"action": "mask", "regions": ["DE"]}), tags, budget=1.0), train=[row]
    )
    assert checked.findings
    written = (checked.folder / "quarantine.jsonl").read_text(encoding="utf-8")
    assert not any(part in written for part in ("030", "12345678", "ana.lima"))


def checks(**facts: Any) -> Checks:
    return Checks(contract="c" * 64, rows={"train": 10}, quarantined={"train": 0}, **facts)


def test_labels_may_move_so_far_from_one_accepted_snapshot_to_the_next(contract_of: Make) -> None:
    contract = contract_of(text(), label(labelDistribution={"maximumDistance": 0.1}))
    before = checks(labels={"label": {"good": 50, "bad": 50}})
    now = datetime(2026, 3, 1, tzinfo=UTC)
    near, far = checks(labels={"label": {"good": 120, "bad": 80}}), checks(labels={"label": {"good": 30, "bad": 10}})
    assert late_failures(near, contract, before, now) == []
    assert late_failures(far, contract, before, now) == [
        "label: the labels are distributed otherwise than in the last accepted data: distance 0.250, 0.1 is allowed "
        "(bad -25.0%, good +25.0%)"
    ]
    assert late_failures(far, contract, None, now) == []


def test_the_distance_of_two_distributions_is_the_share_of_rows_that_moved() -> None:
    assert total_variation({"a": 1, "b": 3}, {"a": 10, "b": 30}) == 0
    assert total_variation({"a": 4}, {"b": 2}) == 1
    assert total_variation({"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 2}) == pytest.approx(0.5)


@pytest.mark.parametrize(("age", "stale"), [(timedelta(hours=23), False), (timedelta(hours=25), True)])
def test_the_newest_row_of_training_has_an_age(contract_of: Make, age: timedelta, stale: bool) -> None:
    moment = {"name": "at", "logicalType": "timestamp"}
    level = {"property": "freshness", "value": 1, "unit": "d", "element": "t.at"}
    contract = contract_of(text(), moment, slaProperties=[level])
    now = datetime(2026, 3, 1, tzinfo=UTC)
    found = late_failures(checks(newest={"at": now - age}), contract, None, now)
    told = "stale: the newest row of training is 25.0 hours old (at 2026-02-27 23:00 UTC); 24.0 hours are allowed"
    assert found == ([told] if stale else [])
    assert late_failures(checks(), contract, None, now) == ["freshness: no row of training says when it is from (at)"]


def test_the_checks_are_the_same_bytes_for_the_same_rows(check: Check, contract_of: Make) -> None:
    contract = contract_of(text(duplicates={"similarity": 0.9}), label(), budget=0.9)
    given = [{"text": f"text {n % 7}", "label": ("good", "bad", "ugly")[n % 3]} for n in range(60)]
    first, second = check(contract, train=given), check(contract, train=given)
    # Whoever owns the contract, and whatever share may be lost: what was learnt from the rows holds.
    third = check(contract_of(text(duplicates={"similarity": 0.9}), label(), budget=0.8, owner="desk"), train=given)
    for other in (second, third):
        assert all(path.read_bytes() == (other.folder / path.name).read_bytes() for path in checked_files(first))
    assert read_checks(first.folder) == first.checks


def test_the_cut_into_batches_changes_nothing(check: Check, contract_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    contract = contract_of(
        text(duplicates={"within": "quarantine"}),
        label(),
        {"name": "n", "logicalType": "integer", "unique": True, "logicalTypeOptions": {"maximum": 37}},
        budget=0.9,
    )
    given = [
        {"text": f"text {n % 29}", "label": ("good", "ugly")[n % 7 == 4], "n": n if n % 11 else 0} for n in range(40)
    ]
    whole = check(contract, train=given)
    monkeypatch.setattr("tasks.validation.rows.MOST_ROWS", 3)
    cut = check(contract, train=given)
    assert sorted((f["row"], f["column"], f["rule"]) for f in cut.findings) == sorted(
        (f["row"], f["column"], f["rule"]) for f in whole.findings
    )
    assert kept(cut, "train") == kept(whole, "train")
    assert len(kept(whole, "train")) == 24
    counts = [(r.rule, r.checked, r.broken) for r in cut.checks.rules]
    assert counts == [(r.rule, r.checked, r.broken) for r in whole.checks.rules]
    assert any(f["rule"] == "unique" for f in cut.findings)


@pytest.mark.parametrize(
    ("settings", "allow_all"),
    [
        ({}, False),
        ({"across": "allow"}, True),
        ({"across": "allow", "within": "quarantine"}, False),
        ({"across": "allow", "similarity": 0.9}, False),
        ({"across": "allow", "similarity": 0.9, "near_across": "allow"}, True),
    ],
)
def test_rows_are_held_against_each_other_where_any_rule_asks_for_it(settings: Row, allow_all: bool) -> None:
    assert Duplicates(**settings).allow_all == allow_all
