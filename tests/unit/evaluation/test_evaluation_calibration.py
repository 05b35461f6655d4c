from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from netcal.metrics import ECE
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, log_loss

from data_contracts.errors import InputError
from tasks.evaluation.calibration import (
    Calibration,
    equal_mass_error,
    measure_calibration,
    read_calibrations,
    reliability_bins,
    write_calibrations,
)
from tasks.evaluation.intervals import wilson_interval
from tasks.modeling.calibration import fit_temperature
from tasks.modeling.heads import AnyHead, MultiLabelHead, OrdinalHead, RegressionHead, SingleLabelHead
from tasks.modeling.label_scores import write_label_scores

Write = Callable[..., Path]
LABELS = ("refund", "praise")


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Confidences, and answers that are right less often than these say."""
    random = np.random.default_rng(seed)
    confidences = random.uniform(0.3, 1, rows)
    return confidences, random.random(rows) < confidences**2


def test_bins_hold_the_rows_between_their_edges_with_confidence_and_accuracy() -> None:
    found = reliability_bins(np.array([0.5, 0.52, 1.0, 0.999, 0.0]), np.array([True, False, True, True, False]))
    assert [(b.start, b.end, b.rows) for b in found] == [
        (0, pytest.approx(1 / 15), 1),
        (pytest.approx(7 / 15), pytest.approx(8 / 15), 2),
        (pytest.approx(14 / 15), 1, 2),
    ]
    assert [b.confidence for b in found] == pytest.approx([0, 0.51, 0.9995])
    assert [b.accuracy for b in found] == [0, 0.5, 1]
    assert all(b.low <= b.accuracy <= b.high for b in found)


@pytest.mark.parametrize(("hits", "rows"), [(0, 1), (1, 1), (3, 10), (40, 40), (517, 1000)])
def test_the_interval_of_a_share_is_scipys(hits: int, rows: int) -> None:
    wanted = binomtest(hits, rows).proportion_ci(0.95, method="wilson")
    assert wilson_interval(hits, rows) == pytest.approx((wanted.low, wanted.high))


def test_bins_of_equal_mass_have_the_error_of_netcal() -> None:
    confidences, right = drawn(1500)
    wanted = ECE(15, equal_intervals=False).measure(confidences, right.astype(int))
    assert equal_mass_error(confidences, right) == pytest.approx(wanted, abs=2e-3)
    assert wanted > 0.1


def test_the_error_of_equal_mass_does_not_depend_on_the_order_of_rows_of_one_confidence() -> None:
    confidences, right = np.array([0.9] * 30 + [0.6] * 10), np.array([True] * 15 + [False] * 15 + [True] * 10)
    # 30 rows at 0.9 of which half are right, and ten at 0.6 that are all right.
    wanted = (30 * 0.4 + 10 * 0.4) / 40
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(40)
        assert equal_mass_error(confidences[order], right[order]) == pytest.approx(wanted)
    assert equal_mass_error(np.array([0.8]), np.array([True])) == pytest.approx(0.2)


def write_scored(
    write_rows: Write,
    write_model_answers: Write,
    scores: np.ndarray,
    labels: list[str | None],  # type: ignore[type-arg]
) -> tuple[Path, Path]:
    snapshot = write_rows("test", intent=labels)
    answers = write_model_answers("m", "test", {"intent": [LABELS[at] for at in scores.argmax(axis=1)]})
    write_label_scores(answers, "test", "intent", scores.astype(np.float32))
    return snapshot, answers


def test_before_the_temperature_probabilities_are_those_of_the_scores_and_after_it_those_divided(
    write_rows: Write, write_model_answers: Write
) -> None:
    scores = np.log([[0.8, 0.2], [0.8, 0.2], [0.5, 0.5]])
    folders = write_scored(write_rows, write_model_answers, scores, ["refund", "praise", None])
    heads: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=LABELS, temperature=2.0)}
    before, after = measure_calibration(*folders, heads, ["test"])
    assert (before.calibrated, before.temperature, after.calibrated, after.temperature) == (False, 1.0, True, 2.0)
    assert (before.rows, before.accuracy, after.accuracy) == (2, 0.5, 0.5)
    assert (before.confidence, before.ece) == pytest.approx((0.8, 0.3))
    assert before.brier == pytest.approx((2 * 0.2**2 + 2 * 0.8**2) / 2)
    assert before.log_loss == pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2)
    # The roots of 0.8 and 0.2 are as two to one.
    assert (after.confidence, after.ece) == pytest.approx((2 / 3, 1 / 6))
    assert after.log_loss == pytest.approx(-(np.log(2 / 3) + np.log(1 / 3)) / 2)


def test_a_temperature_that_is_fitted_elsewhere_lowers_every_error_of_a_model_that_is_too_sure(
    write_rows: Write, write_model_answers: Write
) -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 2, 2000)
    scores = 6 * (random.normal(size=(2000, 2)) + np.eye(2)[truth])
    temperature = fit_temperature(scores[:1000], truth[:1000].tolist())
    folders = write_scored(write_rows, write_model_answers, scores[1000:], [LABELS[at] for at in truth[1000:]])
    heads: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=LABELS, temperature=temperature)}
    before, after = measure_calibration(*folders, heads, ["test"])
    assert after.accuracy == before.accuracy
    assert after.ece < before.ece / 3
    assert after.ece_equal_mass < before.ece_equal_mass / 3
    assert after.brier < before.brier
    assert after.log_loss < before.log_loss


def test_the_confidence_of_ordered_labels_is_that_of_their_answer_which_need_not_be_the_likeliest(
    write_rows: Write, write_model_answers: Write
) -> None:
    snapshot = write_rows("test", haste=["low"])
    answers = write_model_answers("m", "test", {"haste": ["middle"]})
    write_label_scores(answers, "test", "haste", np.log([[0.4, 0.25, 0.35]]).astype(np.float32))
    heads: dict[str, AnyHead] = {"haste": OrdinalHead(column="haste", labels=("low", "middle", "high"))}
    found, _ = measure_calibration(snapshot, answers, heads, ["test"])
    assert (found.confidence, found.accuracy) == pytest.approx((0.25, 0.0))
    assert found.log_loss == pytest.approx(-np.log(0.4))


def test_confidences_of_whole_answers_are_judged_as_they_come(write_rows: Write, write_model_answers: Write) -> None:
    confidences, right = drawn(300)
    snapshot = write_rows("test", topics=[["a"]] * 300, urgency=[0.5] * 300)
    answers = write_model_answers(
        "m",
        "test",
        {"topics": [["a"] if hit else [] for hit in right], "urgency": [0.5] * 300},
        {"topics": confidences.tolist()},
    )
    heads: dict[str, AnyHead] = {
        "topics": MultiLabelHead(column="topics", labels=("a", "b")),
        "urgency": RegressionHead(column="urgency"),
    }
    (found,) = measure_calibration(snapshot, answers, heads, ["test"])
    assert (found.task, found.calibrated, found.temperature, found.rows) == ("topics", False, 1.0, 300)
    assert found.ece == pytest.approx(ECE(15).measure(confidences, right.astype(int)))
    assert found.brier == pytest.approx(brier_score_loss(right, confidences))
    assert found.log_loss == pytest.approx(log_loss(right, confidences))
    assert sum(b.rows for b in found.bins) == 300


def test_a_confidence_that_is_no_number_is_refused_with_task_split_and_row(
    write_rows: Write, write_model_answers: Write
) -> None:
    scores = np.array([[1.0, 0.0], [np.nan, 0.0]])
    folders = write_scored(write_rows, write_model_answers, scores, ["refund", "praise"])
    heads: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=LABELS)}
    with pytest.raises(InputError, match="intent on test: 1 of 2 labelled rows, the first is the labelled row 1"):
        measure_calibration(*folders, heads, ["test"])


def test_calibrations_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    bins = reliability_bins(*drawn(20))
    found = [Calibration("intent", "test", 1.5, True, 20, 0.5, 0.6, 0.1, 0.1, 0.3, 0.7, bins)]
    write_calibrations(tmp_path / "calibrations.json", found)
    assert read_calibrations(tmp_path / "calibrations.json") == found
