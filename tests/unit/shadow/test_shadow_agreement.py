"""Rows that two versions answer: alike or not, and who is right by the labels that come later."""

import json
from pathlib import Path

import pytest

from data_contracts.artifacts import ShadowAnswers
from data_contracts.errors import InputError
from tasks.modeling.answers import Answers, write_answers
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead, TokenTagHead
from tasks.modeling.sequential import SignTest
from tasks.shadow.agreement import (
    Agreement,
    agreement_of,
    agreement_page,
    differing_rows,
    label_tests,
)

TEXT = ["text"]
HEADS: dict[str, AnyHead] = {
    "mood": SingleLabelHead(column="feeling", labels=("good", "bad")),
    "places": TokenTagHead(column="tags", labels=("O", "B-X")),
    "haste": RegressionHead(column="haste"),
}


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """Four rows, whose moods differ in two and places in one of these; the challenger knows no `haste` of its own."""
    moods = {"champion": ["good", "good", "bad", "bad"], "challenger": ["good", "bad", "bad", "good"]}
    places = {"champion": [["O"], ["O"], ["B-X"], ["O"]], "challenger": [["O"], ["O"], ["B-X"], ["B-X"]]}
    haste = {"champion": [0.0, 0.5, 1.0, 1.0], "challenger": [0.5, 0.5, 0.5, 1.0]}
    sure = {"champion": [0.9, 0.6, 0.9, 0.8], "challenger": [0.9, 0.9, 0.9, 0.7]}
    for role in moods:
        answers = {"mood": moods[role], "places": places[role], "haste": haste[role]}
        confidences = {"mood": sure[role], "places": [0.5] * 4, "haste": [1.0] * 4}
        write_answers(tmp_path / f"{role}.parquet", ["1", "2", "3", "4"], Answers(answers, confidences))
    rows = [{"text": f"row {at}", "champion": {}, "challenger": {}} for at in range(4)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def test_agreement_is_counted_task_by_task_and_numbers_have_a_distance(batch: Path) -> None:
    mood, places, haste = agreement_of(batch, HEADS)
    assert mood == Agreement("mood", 4, 2, None)
    assert places == Agreement("places", 4, 3, None)
    assert haste == Agreement("haste", 4, None, pytest.approx(0.25))
    assert (mood.in_words, haste.in_words) == ("50.0%", "mean distance 0.250")


def test_a_task_that_only_one_version_answers_is_left_out(batch: Path) -> None:
    heads = {**HEADS, "new": SingleLabelHead(column="new", labels=("a", "b"))}
    assert [of.task for of in agreement_of(batch, heads)] == ["mood", "places", "haste"]


def test_differing_rows_come_with_empty_labels_and_the_surest_first(batch: Path) -> None:
    found = differing_rows({"b1": batch}, HEADS, TEXT)
    assert [(row["_row"], row["text"], row["differs"]) for row in found] == [
        ("b1:3", "row 3", ["mood", "places"]),
        ("b1:1", "row 1", ["mood"]),
    ]
    assert (found[0]["feeling"], found[0]["tags"]) == (None, None)
    assert "tags" not in found[1]


def test_labels_say_which_version_was_right_where_they_differ(batch: Path) -> None:
    labelled = differing_rows({"b1": batch}, HEADS, TEXT)
    labelled[0]["feeling"], labelled[1]["feeling"] = "good", "bad"
    labelled[0]["tags"] = {"tokens": ["Oslo"], "tags": ["O"]}
    # A row that both answer alike says nothing, whatever its label.
    same = {"_row": "b1:0", "feeling": "bad"}
    found = label_tests({"b1": batch}, HEADS, TEXT, [*labelled, same])
    assert found == {"mood": SignTest.of([True, True]), "places": SignTest.of([False])}


def test_rows_without_labels_say_nothing(batch: Path) -> None:
    assert label_tests({"b1": batch}, HEADS, TEXT, differing_rows({"b1": batch}, HEADS, TEXT)) == {}


@pytest.fixture
def asked_often(tmp_path: Path) -> Path:
    """One text seven times and another once, all answered otherwise by the challenger."""
    for role, said in (("champion", "good"), ("challenger", "bad")):
        answers = Answers({"mood": [said] * 8}, {"mood": [0.9] * 8})
        write_answers(tmp_path / f"{role}.parquet", [str(at) for at in range(8)], answers)
    texts = ["where is it?"] * 7 + ["thanks"]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")
    return tmp_path


def test_a_text_that_was_asked_often_is_to_be_labelled_once_over_all_batches(asked_often: Path) -> None:
    found = differing_rows({"b1": asked_often, "b2": asked_often}, HEADS, TEXT)
    assert [(row["_row"], row["text"]) for row in found] == [("b1:0", "where is it?"), ("b1:7", "thanks")]


def test_a_text_that_is_labelled_more_than_once_counts_once(asked_often: Path) -> None:
    labelled = [{"_row": f"b1:{at}", "feeling": "bad"} for at in (0, 0, 1, 2, 7)]
    found = label_tests({"b1": asked_often}, HEADS, TEXT, [{"_row": "b1:3", "feeling": None}, *labelled])
    assert found == {"mood": SignTest.of([True, True])}


@pytest.mark.parametrize("name", [None, "b2:1", "b1:four", "b1:9", "b1"])
def test_a_row_that_was_never_answered_is_named(batch: Path, name: str | None) -> None:
    with pytest.raises(InputError, match=r"labelled row 1: '_row' is .* names no row"):
        label_tests({"b1": batch}, HEADS, TEXT, [{"_row": name, "feeling": "good"}])


def test_a_label_that_the_task_does_not_know_is_named(batch: Path) -> None:
    labelled = [{"_row": "b1:1", "feeling": "good"}, {"_row": "b1:3", "feeling": "Good"}]
    with pytest.raises(InputError, match=r"labelled row 2: 'feeling' is 'Good'; labels are good, bad"):
        label_tests({"b1": batch}, HEADS, TEXT, labelled)


def test_the_page_names_both_versions_and_every_task(batch: Path) -> None:
    answers = ShadowAnswers(digest="a" * 64, champion=3, challenger=4, rows=4, served_by_challenger=0)
    page = agreement_page("hotel", answers, agreement_of(batch, HEADS))
    assert "Champion 3 and challenger 4" in page
    assert "| mood | 4 | 50.0% |" in page
    assert "`graft shadow hotel --differences FILE` writes the rows" in page
