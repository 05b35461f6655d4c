"""Rows of one group, which are drawn together wherever an interval is made."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.evaluation.calibration import measure_calibration
from tasks.evaluation.clusters import read_clusters, rows_worth, sums_of_clusters
from tasks.evaluation.gate import judge
from tasks.evaluation.group_gaps import group_gaps
from tasks.evaluation.intervals import wilson_interval
from tasks.evaluation.movement import Scored, movements
from tasks.evaluation.policy import GatePolicy
from tasks.evaluation.scoring import score_splits, write_scores
from tasks.evaluation.slices import score_slices
from tasks.evaluation.transfer import measure_transfer
from tasks.modeling.heads import AnyHead, MultiLabelHead, SingleLabelHead

Write = Callable[..., Path]
HEADS: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("right", "wrong"))}
CUSTOMERS, ROWS_EACH = 50, 20
# The error of a share is as that of so many times fewer rows.
WIDER = ROWS_EACH**0.5


def answers(*, wrong_for: int) -> dict[str, list[str]]:
    """The first customers get wrong answers, each to all of their rows."""
    wrong = wrong_for * ROWS_EACH
    return {"intent": ["wrong"] * wrong + ["right"] * (CUSTOMERS * ROWS_EACH - wrong)}


@pytest.fixture
def snapshot(write_rows: Write) -> Path:
    customers = [f"customer {number // ROWS_EACH}" for number in range(CUSTOMERS * ROWS_EACH)]
    halves = [number % 2 for number in range(len(customers))]
    return write_rows("test", intent=["right"] * len(customers), customer=customers, half=halves)


def test_rows_of_one_value_are_a_cluster_and_a_row_without_a_value_is_one_of_its_own(write_rows: Write) -> None:
    snapshot = write_rows("test", customer=[7, 8, None, 7, None])
    found = read_clusters(snapshot, "test", "customer")
    assert found is not None
    assert found.tolist() == [0, 1, 2, 0, 3]
    assert sums_of_clusters(np.arange(5.0)[:, None], found).tolist() == [[3.0], [1.0], [2.0], [4.0]]


def test_rows_stand_alone_without_a_group_and_on_splits_that_do_not_have_its_column(write_rows: Write) -> None:
    snapshot = write_rows("test", customer=[7, 7])
    write_rows("poems", author=["ann", "ann"])
    assert read_clusters(snapshot, "test", None) is None
    assert read_clusters(snapshot, "poems", "customer") is None
    table = np.ones((2, 1))
    assert sums_of_clusters(table, None) is table


def test_the_interval_of_a_score_is_as_wide_as_that_of_as_many_rows_as_there_are_groups(
    snapshot: Path, write_model_answers: Write
) -> None:
    folder = write_model_answers("m", "test", answers(wrong_for=10))
    widths = []
    for group_column in (None, "customer"):
        score = score_splits(snapshot, folder, HEADS, ["test"], group_column)[0]
        assert score.value == 0.8
        assert score.low is not None
        assert score.high is not None
        widths.append(score.high - score.low)
    assert widths[1] / widths[0] == pytest.approx(WIDER, rel=0.1)


def test_so_is_that_of_a_slice_of_a_change_and_of_what_is_gained_together(
    snapshot: Path, write_model_answers: Write
) -> None:
    before = write_model_answers("a", "test", answers(wrong_for=16))
    after = write_model_answers("b", "test", answers(wrong_for=8))
    models = []
    for folder in (before, after):
        write_scores(folder / "scores.json", score_splits(snapshot, folder, HEADS, ["test"]))
        models.append(Scored(folder, folder, snapshot, HEADS))
    widths: list[list[float]] = []
    for column in (None, "customer"):
        (moved,) = movements(*models, column)
        assert moved.low is not None
        assert moved.high is not None
        (effect,) = measure_transfer(snapshot, HEADS, after, {"intent": before}, ["test"], column)
        widths.append([moved.high - moved.low, effect.high - effect.low])
    # Two whole clusters are added to few, and two rows to many.
    assert np.divide(widths[1], widths[0]) == pytest.approx([WIDER * 1.12] * 2, rel=0.05)
    # Each customer has as many rows in either half, and all are right or all wrong: drawn whole, the halves are alike.
    half = {
        c: score_slices(snapshot, after, HEADS, ["test"], ["customer"], group_column=c)[0] for c in (None, "customer")
    }
    assert half[None].high - half[None].low > 0.01
    assert (half["customer"].low, half["customer"].high) == (0.0, 0.0)
    # Of fifty customers, however many rows they have.
    for least, judged in ((50, True), (51, False)):
        found = score_slices(snapshot, after, HEADS, ["test"], ["customer"], least, "customer")
        assert [of.judged for of in found] == [judged] * len(found)


def test_a_gain_with_a_few_customers_does_not_promote_however_many_rows_they_have(
    snapshot: Path, write_model_answers: Write
) -> None:
    candidate = write_model_answers("new", "test", answers(wrong_for=4))
    champion = write_model_answers("old", "test", answers(wrong_for=6))
    baselines = write_model_answers("baselines/majority", "test", answers(wrong_for=25)).parent
    write_model_answers("baselines/tfidf", "test", answers(wrong_for=25))
    policy = GatePolicy(draws=400, protected_slices=("half",))
    verdicts = {
        column: judge(snapshot, HEADS, candidate, champion, baselines, policy, group_column=column).verdict
        for column in (None, "customer")
    }
    # Forty rows of a thousand are right instead of wrong, which are two customers of fifty.
    assert verdicts == {None: "PROMOTE", "customer": "HOLD"}


def test_a_first_model_is_above_its_baselines_by_customers_too(snapshot: Path, write_model_answers: Write) -> None:
    candidate = write_model_answers("new", "test", answers(wrong_for=4))
    baselines = write_model_answers("baselines/majority", "test", answers(wrong_for=5)).parent
    write_model_answers("baselines/tfidf", "test", answers(wrong_for=5))
    verdicts = [
        judge(snapshot, HEADS, candidate, None, baselines, GatePolicy(draws=400), group_column=column).verdict
        for column in (None, "customer")
    ]
    assert verdicts == ["PROMOTE", "INCONCLUSIVE"]


def test_rows_are_worth_as_many_as_there_are_groups_of_one_size_and_fewer_where_one_is_large() -> None:
    assert rows_worth(np.arange(7)) == 7
    assert rows_worth(np.repeat(np.arange(7), 5)) == 7
    # Sizes 8, 1 and 1: 10² / (64 + 1 + 1).
    assert rows_worth(np.array([0] * 8 + [1, 2])) == pytest.approx(100 / 66)
    assert wilson_interval(20, 100, 10) == pytest.approx(wilson_interval(2, 10))


def test_rows_that_were_copied_into_groups_say_no_more_of_a_gap_than_each_did_alone() -> None:
    random = np.random.default_rng(5)
    inside, wrong = random.random(200) < 0.4, random.random(200) < 0.2
    copies = np.arange(200).repeat(ROWS_EACH)
    (alone,) = group_gaps("errors", {"a": inside.tolist()}, wrong.tolist(), 30)
    (together,) = group_gaps("errors", {"a": inside[copies].tolist()}, wrong[copies].tolist(), 30, copies)
    assert alone.low is not None
    assert (together.gap, together.low, together.high) == pytest.approx((alone.gap, alone.low, alone.high))


def test_of_a_gap_nothing_is_said_where_either_side_is_of_too_few_groups_however_many_rows_they_have() -> None:
    customers = np.arange(40).repeat(10)
    inside = {"few": customers < 29, "rest too few": customers < 11, "enough": customers < 20}
    gaps = group_gaps("errors", {group: of.tolist() for group, of in inside.items()}, [False] * 400, 12, customers)
    assert [(gap.group, gap.too_small_to_say) for gap in gaps] == [
        ("few", True),
        ("rest too few", True),
        ("enough", False),
    ]


def test_the_bars_of_calibration_are_as_wide_as_those_of_as_many_rows_as_there_are_groups(
    write_rows: Write, write_model_answers: Write
) -> None:
    head: dict[str, AnyHead] = {"topics": MultiLabelHead(column="topics", labels=("x", "y"))}
    customers = np.arange(CUSTOMERS).repeat(ROWS_EACH)
    given = [["x"] if customer < 40 else ["y"] for customer in customers]
    snapshot = write_rows("test", topics=[["x"]] * len(customers), customer=customers.tolist())
    folder = write_model_answers("m", "test", {"topics": given}, {"topics": [0.9] * len(customers)})
    (found,) = measure_calibration(snapshot, folder, head, ["test"], "customer")
    assert (found.bins[0].low, found.bins[0].high) == pytest.approx(wilson_interval(40, 50))
    (found,) = measure_calibration(snapshot, folder, head, ["test"])
    assert (found.bins[0].low, found.bins[0].high) == pytest.approx(wilson_interval(800, 1000))
