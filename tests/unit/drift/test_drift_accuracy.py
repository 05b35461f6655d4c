"""Accuracy where nobody has said what is right, by hand and on rows that are calibrated."""

import numpy as np
import pytest

from data_contracts.drift import AccuracyEstimate
from tasks.drift.accuracy import doubt_threshold, estimate_accuracy, labelled
from tasks.drift.seen import OfTask

TENTHS = np.arange(1, 11) / 10
RIGHT = np.array([0, 1, 0, 1, 1, 1, 1, 1, 1, 1], float)
NOTHING = float("nan")


def of_task(confidences: object, right: object = None) -> OfTask:
    return OfTask(np.asarray(confidences, float), None, None if right is None else np.asarray(right, float))


def estimate(reference: OfTask, window: OfTask) -> AccuracyEstimate:
    found = estimate_accuracy(reference, window)
    assert found is not None
    return found


@pytest.mark.parametrize("wrong", range(10))
def test_as_many_rows_lie_below_the_threshold_as_are_answered_wrongly(wrong: int) -> None:
    right = np.ones(10)
    right[:wrong] = 0
    assert (doubt_threshold(TENTHS, right) > TENTHS).sum() == wrong


def test_the_estimate_is_the_share_of_rows_from_the_threshold_on() -> None:
    # Two of ten are wrong, so the threshold is the third confidence, 0.3.
    found = estimate(of_task(TENTHS, RIGHT), of_task([0.05, 0.2, 0.3, 0.9, 0.95]))
    assert (found.reference, found.by_threshold) == (0.8, 3 / 5)


def test_the_other_estimate_moves_with_the_mean_confidence() -> None:
    # The mean is 0.55 on the reference and 0.45 on the window.
    found = estimate(of_task(TENTHS, RIGHT), of_task([0.4, 0.5]))
    assert found.by_confidence == pytest.approx(0.8 - 0.1)
    assert estimate(of_task(TENTHS, RIGHT), of_task([1.0])).by_confidence == 1
    assert estimate(of_task([0.9, 1.0], [0, 0]), of_task([0.1])).by_confidence == 0


def test_of_the_reference_itself_both_estimates_are_its_accuracy() -> None:
    found = estimate(of_task(TENTHS, RIGHT), of_task(TENTHS))
    assert found.by_threshold == pytest.approx(0.8)
    assert found.by_confidence == pytest.approx(0.8)


def test_rows_without_a_label_are_no_mistakes() -> None:
    reference = of_task([0.9, 0.8, 0.7, 0.6, 0.1, 0.1], [1, 1, 1, 0, NOTHING, NOTHING])
    found = labelled(reference)
    assert found is not None
    assert found[0].tolist() == [0.9, 0.8, 0.7, 0.6]
    # The threshold is 0.7, the second of four.
    estimated = estimate(reference, of_task([0.95, 0.65, 0.3, 0.75]))
    assert (estimated.reference, estimated.by_threshold) == (0.75, 0.5)
    assert estimated.by_confidence == pytest.approx(0.75 + 0.6625 - 0.75)


@pytest.mark.parametrize("right", [None, [NOTHING, NOTHING]])
def test_without_any_label_nothing_is_estimated(right: object) -> None:
    assert labelled(of_task([0.5, 0.6], right)) is None
    assert estimate_accuracy(of_task([0.5, 0.6], right), of_task([0.5])) is None


def test_the_usual_error_holds_for_19_of_20_windows() -> None:
    random = np.random.default_rng(5)

    def drawn(rows: int) -> OfTask:
        confidences = random.uniform(0.4, 1, rows)
        return of_task(confidences, random.random(rows) < confidences)

    reference = drawn(4000)
    errors, window = [], drawn(200)
    said = estimate(reference, window).error
    for _ in range(200):
        window = drawn(200)
        assert window.right is not None
        # The error of a window hangs on its size alone.
        threshold = doubt_threshold(*(labelled(reference) or ()))
        errors.append(abs((window.confidences >= threshold).mean() - window.right.mean()))
    # 190 of 200, give or take three times 3.1.
    assert 180 <= (np.array(errors) <= said).sum() <= 199
    assert said > 1.5 * estimate(reference, drawn(1000)).error


def test_the_usual_error_of_answers_that_are_all_right_is_none_and_of_one_row_is_all() -> None:
    assert estimate(of_task([0.9] * 10, [1] * 10), of_task([0.9] * 5)).error == 0
    assert estimate(of_task([0.9], [1]), of_task([0.9])).error == 1
