"""Which scores moved from one model to another."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.evaluation.movement import Movement, Scored, movements
from tasks.evaluation.scoring import score_splits, write_scores
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead

Write = Callable[..., Path]
HEADS: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("refund", "praise"))}
LABELS = ["refund", "praise"] * 20


def scored(snapshot: Path, answers: Path, heads: dict[str, AnyHead] = HEADS) -> Scored:
    write_scores(answers / "scores.json", score_splits(snapshot, answers, heads, ["test"]))
    return Scored(scores=answers, answers=answers, snapshot=snapshot, heads=heads)


# What the gate would say of two models that answer each of 40 rows alike: of 42 rows, each is right in one more.
ALIKE = (pytest.approx(-0.07, abs=0.01), pytest.approx(0.07, abs=0.01))


def test_a_model_that_answers_the_same_has_moved_no_more_than_the_gate_would_say(
    write_rows: Write, write_model_answers: Write
) -> None:
    snapshot = write_rows("test", intent=LABELS)
    same = scored(snapshot, write_model_answers("m", "test", {"intent": ["refund"] * 40}))
    (moved,) = movements(same, same)
    assert (moved.before, moved.after, moved.change, moved.low, moved.high) == (0.5, 0.5, 0.0, *ALIKE)


def test_the_interval_is_that_of_the_difference_on_the_same_rows(write_rows: Write, write_model_answers: Write) -> None:
    snapshot = write_rows("test", intent=LABELS)
    before = scored(snapshot, write_model_answers("a", "test", {"intent": ["refund"] * 40}))
    better = ["refund", "praise"] * 10 + ["refund"] * 20
    after = scored(snapshot, write_model_answers("b", "test", {"intent": better}))
    (moved,) = movements(before, after)
    assert moved.change == pytest.approx(0.25)
    # 10 of 40 rows turned right and none wrong: the share of a binomial, of deviation sqrt(0.25 * 0.75 / 40) = 0.068.
    assert moved.low is not None
    assert moved.high is not None
    assert moved.low == pytest.approx(0.25 - 1.96 * 0.068, abs=0.03)
    assert moved.high == pytest.approx(0.25 + 1.96 * 0.068, abs=0.03)
    back = movements(after, before)[0]
    assert (back.change, back.low, back.high) == (-0.25, -moved.high, -moved.low)


def test_scores_on_other_rows_have_no_interval(write_rows: Write, write_model_answers: Write, tmp_path: Path) -> None:
    first = scored(write_rows("test", intent=LABELS), write_model_answers("a", "test", {"intent": ["refund"] * 40}))
    elsewhere = tmp_path / "elsewhere"
    first.snapshot.rename(elsewhere)
    first = Scored(first.scores, first.answers, elsewhere, HEADS)
    fewer = write_rows("test", intent=LABELS[:30])
    second = scored(fewer, write_model_answers("b", "test", {"intent": ["refund"] * 30}))
    assert movements(first, second) == [Movement("intent", "test", "accuracy", 0.5, 0.5)]


def test_rows_whose_labels_were_corrected_are_other_rows(
    write_rows: Write, write_model_answers: Write, tmp_path: Path
) -> None:
    first = scored(write_rows("test", intent=LABELS), write_model_answers("a", "test", {"intent": ["refund"] * 40}))
    first.snapshot.rename(tmp_path / "elsewhere")
    first = Scored(first.scores, first.answers, tmp_path / "elsewhere", HEADS)
    mended = write_rows("test", intent=["refund", *LABELS[:39]])
    second = scored(mended, write_model_answers("b", "test", {"intent": ["refund"] * 40}))
    assert movements(first, second)[0].low is None


def test_a_task_that_only_one_has_is_shown_without_the_other(write_rows: Write, write_model_answers: Write) -> None:
    snapshot = write_rows("test", intent=LABELS, urgency=[0.0, 1.0] * 20)
    before = scored(snapshot, write_model_answers("a", "test", {"intent": LABELS}))
    heads: dict[str, AnyHead] = {"urgency": RegressionHead(column="urgency")}
    after = scored(snapshot, write_model_answers("b", "test", {"urgency": [0.0, 1.0] * 20}), heads)
    assert [(m.task, m.before, m.after, m.change) for m in movements(before, after)] == [
        ("urgency", None, pytest.approx(1), None),
        ("intent", 1.0, None, None),
    ]


def test_the_same_rows_in_another_order_are_compared_row_by_row(
    write_rows: Write, write_model_answers: Write, tmp_path: Path
) -> None:
    half_right = ["refund"] * 40
    first = scored(write_rows("test", intent=LABELS), write_model_answers("a", "test", {"intent": half_right}))
    turned, answers = tmp_path / "turned", tmp_path / "turned_answers"
    for source, target in ((first.snapshot, turned), (first.answers, answers)):
        target.mkdir()
        table = pq.read_table(source / "test.parquet")
        pq.write_table(table.take(list(range(len(table)))[::-1]), target / "test.parquet")
    (moved,) = movements(first, scored(turned, answers))
    assert (moved.change, moved.low, moved.high) == (0.0, *ALIKE)
