"""Rows that two versions answer: alike or not, and who is right by the labels that come later."""

import json
from pathlib import Path
from typing import Any

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
    outcome_tests,
)

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
    found = differing_rows(batch, HEADS, "b1")
    assert [(row["_row"], row["text"], row["differs"]) for row in found] == [
        ("b1:3", "row 3", ["mood", "places"]),
        ("b1:1", "row 1", ["mood"]),
    ]
    assert (found[0]["feeling"], found[0]["tags"]) == (None, None)
    assert "tags" not in found[1]


def test_labels_say_which_version_was_right_where_they_differ(batch: Path) -> None:
    labelled = differing_rows(batch, HEADS, "b1")
    labelled[0]["feeling"], labelled[1]["feeling"] = "good", "bad"
    labelled[0]["tags"] = {"tokens": ["Oslo"], "tags": ["O"]}
    # A row that both answer alike says nothing, whatever its label.
    same = {"_row": "b1:0", "feeling": "bad"}
    found = label_tests({"b1": batch}, HEADS, [*labelled, same])
    assert found == {"mood": SignTest.of([True, True]), "places": SignTest.of([False])}


def test_rows_without_labels_say_nothing(batch: Path) -> None:
    assert label_tests({"b1": batch}, HEADS, differing_rows(batch, HEADS, "b1")) == {}


@pytest.mark.parametrize("name", [None, "b2:1", "b1:four", "b1:9", "b1"])
def test_a_row_that_was_never_answered_is_named(batch: Path, name: str | None) -> None:
    with pytest.raises(InputError, match=r"labelled row 1: '_row' is .* names no row"):
        label_tests({"b1": batch}, HEADS, [{"_row": name, "feeling": "good"}])


def served(by: int, given: str, label: str | None, **more: Any) -> dict[str, Any]:
    return {"served_by": by, "predictions": {"mood": {"label": given}}, "feeling": label, **more}


def test_outcomes_are_counted_for_the_version_that_served(batch: Path) -> None:
    rows = [served(3, "good", "good"), served(3, "good", "bad"), served(4, "bad", "bad"), served(4, "bad", None)]
    found = outcome_tests([*rows, served(2, "bad", "bad")], HEADS, (3, 4), 1, None)["mood"]
    assert (found.champion_rows, found.champion_right, found.challenger_rows, found.challenger_right) == (2, 1, 1, 1)


def test_an_outcome_column_stands_for_success_whatever_the_labels_are() -> None:
    rows = [served(3, "good", None, solved=True), served(4, "good", None, solved=False), served(4, "good", "good")]
    found = outcome_tests(rows, HEADS, (3, 4), 1, "solved")
    assert list(found) == ["solved"]
    assert (found["solved"].champion_right, found["solved"].challenger_right) == (1, 0)
    assert found["solved"].challenger_rows == 1


def test_rows_that_nobody_is_said_to_have_served_are_refused() -> None:
    with pytest.raises(InputError, match="no row was served by version 3 or 4"):
        outcome_tests([{"feeling": "good"}], HEADS, (3, 4), 1, None)


def test_the_page_names_both_versions_and_every_task(batch: Path) -> None:
    answers = ShadowAnswers(digest="a" * 64, champion=3, challenger=4, rows=4, served_by_challenger=0)
    page = agreement_page("hotel", answers, agreement_of(batch, HEADS))
    assert "Champion 3 and challenger 4" in page
    assert "| mood | 4 | 50.0% |" in page
    assert "`graft shadow hotel` lists the rows" in page
