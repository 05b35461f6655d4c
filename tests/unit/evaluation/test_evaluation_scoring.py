from collections.abc import Callable
from pathlib import Path

import pytest

from data_contracts.errors import InputError
from tasks.evaluation.scoring import Score, read_scores, score_splits, write_scores
from tasks.modeling.heads import (
    AnyHead,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    TokenTagHead,
)

Write = Callable[..., Path]
INTENT: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("refund", "praise"))}


def test_every_metric_of_a_head_is_scored_and_its_first_is_the_primary_one(
    write_rows: Write, write_model_answers: Write
) -> None:
    snapshot = write_rows("test", intent=["refund", "praise", "refund", "refund"])
    answers = write_model_answers("m", "test", {"intent": ["refund", "praise", "praise", "refund"]})
    primary, *others = score_splits(snapshot, answers, INTENT, ["test"])
    assert (primary.metric, primary.value, primary.rows, primary.primary) == ("accuracy", 0.75, 4, True)
    assert primary.low is not None
    assert primary.high is not None
    assert primary.low <= 0.75 <= primary.high
    # All confidences are 1 and three of four answers are right.
    assert {s.metric: s.value for s in others} == pytest.approx(
        {"macro_f1": (4 / 5 + 2 / 3) / 2, "expected_calibration_error": 0.25}
    )
    assert {(s.primary, s.low, s.high) for s in others} == {(False, None, None)}


def test_rows_without_a_label_are_not_scored(write_rows: Write, write_model_answers: Write) -> None:
    snapshot = write_rows("test", intent=["refund", None, "praise", None])
    answers = write_model_answers("m", "test", {"intent": ["refund", "refund", "praise", "refund"]})
    scores = score_splits(snapshot, answers, INTENT, ["test"])
    assert (scores[0].value, scores[0].rows) == (1.0, 2)


def test_out_of_scope_rows_are_scored_by_how_much_less_confident_the_model_is(
    write_rows: Write, write_model_answers: Write
) -> None:
    write_rows("test", intent=["refund", "praise"])
    snapshot = write_rows("poems", intent=[None, None])
    write_model_answers("m", "test", {"intent": ["refund"] * 2}, {"intent": [0.9, 0.8]})
    answers = write_model_answers("m", "poems", {"intent": ["refund"] * 2}, {"intent": [0.6, 0.85]})
    (found,) = score_splits(snapshot, answers, INTENT, ["poems"])
    # Of the four pairs of a row inside and one outside, only (0.8, 0.85) is in the wrong order.
    assert found == Score("intent", "poems", "out_of_scope_auroc", 0.75, 2, primary=True)


def test_rows_in_domain_without_a_label_are_not_taken_for_rows_in_scope(
    write_rows: Write, write_model_answers: Write
) -> None:
    # The last two rows in domain are for other tasks, and the model says so.
    write_rows("test", intent=["refund", "praise", None, None])
    snapshot = write_rows("poems", intent=[None, None])
    write_model_answers("m", "test", {"intent": ["refund"] * 4}, {"intent": [0.9, 0.8, 0.1, 0.1]})
    answers = write_model_answers("m", "poems", {"intent": ["refund"] * 2}, {"intent": [0.6, 0.5]})
    (found,) = score_splits(snapshot, answers, INTENT, ["poems"])
    assert found == Score("intent", "poems", "out_of_scope_auroc", 1.0, 2, primary=True)


def test_a_task_without_a_label_in_domain_has_no_score_there_nor_out_of_scope(
    write_rows: Write, write_model_answers: Write
) -> None:
    for split in ("test", "poems"):
        snapshot = write_rows(split, intent=[None, None])
        answers = write_model_answers("m", split, {"intent": ["refund"] * 2}, {"intent": [0.6, 0.5]})
    assert score_splits(snapshot, answers, INTENT, ["test", "poems"]) == []


def test_tags_and_numbers_have_no_score_on_a_split_without_labels_for_them(
    write_rows: Write, write_model_answers: Write
) -> None:
    heads: dict[str, AnyHead] = {
        "entities": TokenTagHead(column="entities", labels=("O", "B-X", "I-X")),
        "urgency": RegressionHead(column="urgency"),
    }
    answers: dict[str, list[object]] = {"entities": [["O"], ["B-X"]], "urgency": [0.1, 0.9]}
    labels = [{"tokens": ["so"], "tags": ["O"]}, {"tokens": ["Oslo"], "tags": ["B-X"]}]
    snapshot = write_rows("test", entities=labels, urgency=[0.0, 1.0])
    write_rows("poems", entities=[None, None], urgency=[None, 0.5])
    write_model_answers("m", "poems", answers)
    scores = score_splits(snapshot, write_model_answers("m", "test", answers), heads, ["test", "poems"])
    assert {(s.task, s.split) for s in scores} == {("entities", "test"), ("urgency", "test"), ("urgency", "poems")}
    assert {(s.task, s.metric): s.value for s in scores if s.primary and s.split == "test"} == pytest.approx(
        {("entities", "entity_f1"): 1.0, ("urgency", "pearson"): 1.0}
    )


def test_lists_of_labels_and_labels_in_order_have_scores_of_their_own_and_intervals(
    write_rows: Write, write_model_answers: Write
) -> None:
    heads: dict[str, AnyHead] = {
        "topics": MultiLabelHead(column="topics", labels=("a", "b")),
        "haste": OrdinalHead(column="haste", labels=("low", "middle", "high")),
    }
    snapshot = write_rows("test", topics=[["b", "a"], [], ["b"], None], haste=["low", "middle", None, "high"])
    write_rows("poems", topics=[None, None], haste=[None, None])
    answers = {"topics": [["a"], [], ["b"], ["b"]], "haste": ["low", "high", "low", "middle"]}
    sure = {"haste": [0.9, 0.8, 0.7, 0.9]}
    write_model_answers("m", "poems", {"topics": [[], []], "haste": ["low", "low"]}, {"haste": [0.5, 0.85]})
    folder = write_model_answers("m", "test", answers, sure)
    found = {(s.task, s.split, s.metric): s for s in score_splits(snapshot, folder, heads, ["test", "poems"])}
    assert {key for key, score in found.items() if score.primary} == {
        ("topics", "test", "micro_f1"),
        ("haste", "test", "quadratic_weighted_kappa"),
        # A text may have no label at all, so that lists have no such score.
        ("haste", "poems", "out_of_scope_auroc"),
    }
    # Labels: 2 right and 1 missed. Ranks: 0, 2 and 1 for 0, 1 and 2.
    topics, haste = (found[key] for key in list(found) if found[key].primary and key[1] == "test")
    assert (topics.value, topics.rows) == (pytest.approx(4 / 5), 3)
    assert (haste.value, haste.rows) == (pytest.approx(0.5), 3)
    for score in (topics, haste):
        assert score.low is not None
        assert score.high is not None
        assert score.low <= score.value <= score.high
    assert found["topics", "test", "exact_match"].value == pytest.approx(2 / 3)
    assert found["haste", "test", "mean_absolute_error"].value == pytest.approx(2 / 3)
    # Of the six pairs of a labelled row inside and one outside, only (0.8, 0.85) is in the wrong order.
    assert found["haste", "poems", "out_of_scope_auroc"].value == pytest.approx(5 / 6)


def test_the_interval_of_an_accuracy_is_about_that_of_a_binomial(write_rows: Write, write_model_answers: Write) -> None:
    snapshot = write_rows("test", intent=["refund"] * 400)
    answers = write_model_answers("m", "test", {"intent": ["refund"] * 300 + ["praise"] * 100})
    primary = score_splits(snapshot, answers, INTENT, ["test"])[0]
    half = 1.96 * (0.75 * 0.25 / 400) ** 0.5
    assert (primary.low, primary.high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.006)


@pytest.mark.parametrize(("answer", "interval"), [("refund", (0.886, 1)), ("praise", (0, 0.114))])
def test_few_rows_that_are_all_right_or_all_wrong_show_how_little_that_says(
    answer: str, interval: tuple[float, float], write_rows: Write, write_model_answers: Write
) -> None:
    snapshot = write_rows("test", intent=["refund"] * 30, customer=["ann"] * 15 + ["bob"] * 15)
    answers = write_model_answers("m", "test", {"intent": [answer] * 30})
    primary = score_splits(snapshot, answers, INTENT, ["test"])[0]
    # Wilson's: from 1 / (1 + 1.96² / rows) on, where all are right.
    assert (primary.low, primary.high) == pytest.approx(interval, abs=0.001)
    of_two = score_splits(snapshot, answers, INTENT, ["test"], "customer")[0]
    assert of_two.low is not None
    assert of_two.high is not None
    assert of_two.high - of_two.low == pytest.approx(1 - 1 / (1 + 1.96**2 / 2), abs=0.001)


def test_scores_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    scores = [Score("intent", "test", "accuracy", 0.75, 4, True, 0.5, 1.0), Score("intent", "test", "macro_f1", 0.7, 4)]
    write_scores(tmp_path / "scores.json", scores)
    assert read_scores(tmp_path / "scores.json") == scores


def test_a_task_without_a_column_and_rows_with_labels_that_the_head_does_not_know_are_left_out(
    write_rows: Write, write_model_answers: Write
) -> None:
    heads: dict[str, AnyHead] = {
        "haste": OrdinalHead(column="haste", labels=("low", "high")),
        "mood": SingleLabelHead(column="mood", labels=("glad", "angry")),
    }
    labels = ["low", "high", "low", "extreme"]
    snapshot = write_rows("test", haste=labels)
    answers = write_model_answers("m", "test", {"haste": ["low", "high", "low", "high"], "mood": ["glad"] * 4})
    found = score_splits(snapshot, answers, heads, ["test"])
    assert {(score.task, score.rows) for score in found} == {("haste", 3)}
    assert found[0].value == 1.0


def test_answers_that_are_nan_are_no_scores(write_rows: Write, write_model_answers: Write) -> None:
    heads: dict[str, AnyHead] = {"mood": SingleLabelHead(column="mood", labels=("glad", "angry"))}
    snapshot = write_rows("test", mood=["glad"] * 3)
    answers = write_model_answers("m", "test", {"mood": ["glad"] * 3}, {"mood": [0.5, 0.5, float("nan")]})
    with pytest.raises(InputError, match="NaN for task 'mood' in 1 of 3 rows of split 'test', first in row 3"):
        score_splits(snapshot, answers, heads, ["test"])
