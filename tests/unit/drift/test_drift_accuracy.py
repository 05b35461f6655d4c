"""Accuracy where nobody has said what is right, by hand and on rows that are calibrated."""

from dataclasses import replace

import numpy as np
import pytest

from data_contracts.drift import AccuracyEstimate
from tasks.drift.accuracy import LEAST_DOUBTED, doubt_about, estimate_accuracy, labelled
from tasks.drift.seen import Seen
from tests.unit.drift.worlds import seen

TENTHS = np.arange(1, 11) / 10
RIGHT = np.array([0, 1, 0, 1, 1, 1, 1, 1, 1, 1], float)
NOTHING = float("nan")


def of_task(confidences: object, right: object = None, distances: object = None) -> Seen:
    return seen(confidences=confidences, right=right, distances=distances)


def estimate(reference: Seen, window: Seen) -> AccuracyEstimate:
    found = estimate_accuracy(reference, window, "intent")
    assert found is not None
    return found


@pytest.mark.parametrize("wrong", range(1, 10))
def test_as_many_rows_are_doubted_as_are_answered_wrongly(wrong: int) -> None:
    right = np.ones(10)
    right[:wrong] = 0
    doubt = doubt_about(of_task(TENTHS, right), "intent")
    assert doubt is not None
    assert (doubt.doubted, doubt.rows, doubt.accuracy) == (wrong, 10, pytest.approx(1 - wrong / 10))


def test_of_a_model_that_hardly_errs_one_row_in_twenty_is_doubted() -> None:
    doubt = doubt_about(of_task(np.arange(100) / 100, np.ones(100)), "intent")
    assert doubt is not None
    assert doubt.share == LEAST_DOUBTED == 0.05
    assert doubt.of(of_task([0.0, 0.04, 0.05, 0.9]), "intent").tolist() == [True, True, False, False]


def test_where_as_many_are_doubted_as_are_wrong_the_estimate_is_the_share_of_the_others() -> None:
    # Two of ten are wrong, so those with confidences of 0.1 and 0.2 are doubted.
    found = estimate(of_task(TENTHS, RIGHT), of_task([0.05, 0.2, 0.3, 0.9, 0.95]))
    assert found.reference == 0.8
    assert found.by_threshold == pytest.approx(3 / 5)


def test_rows_doubted_beyond_the_usual_share_are_taken_for_wrong() -> None:
    # One row in twenty is doubted of the reference, and half of the window: 45 of the 95 others were exchanged.
    reference = of_task(np.arange(100) / 100, np.ones(100))
    found = estimate(reference, of_task([0.01] * 10 + [0.9] * 10))
    assert found.by_threshold == pytest.approx(1 - 0.45 / 0.95)
    assert estimate(reference, of_task([0.9] * 20)).by_threshold == 1
    assert estimate(reference, of_task([0.01] * 20)).by_threshold == 0


def test_a_text_far_from_all_known_ones_is_doubted_however_sure_its_answer() -> None:
    reference = of_task(TENTHS, RIGHT, distances=[0.3, 0.1] * 5)
    doubt = doubt_about(reference, "intent")
    assert doubt is not None
    # How unsure or how far, each in standard deviations of the reference's around its mean. The two least sure answers
    # of the reference are the most doubtful, and after them all far texts are as doubtful.
    assert doubt.threshold == pytest.approx(1)
    window = of_task([0.9, 0.9], distances=[0.9, 0.1])
    assert doubt.of(window, "intent").tolist() == [True, False]


def test_an_unsure_answer_is_doubted_however_near_its_text_is_to_known_ones() -> None:
    doubt = doubt_about(of_task(TENTHS, RIGHT, distances=[0.3, 0.1] * 5), "intent")
    assert doubt is not None
    assert doubt.of(of_task([0.1, 0.9], distances=[0.0, 0.0]), "intent").tolist() == [True, False]


def test_doubt_is_how_spread_the_probabilities_are_where_they_are_known() -> None:
    shares = [[0.5, 0.5, 0.0], [0.5, 0.25, 0.25], [0.9, 0.05, 0.05], [0.98, 0.01, 0.01]]
    reference = seen(confidences=[0.5, 0.5, 0.9, 0.98], shares=shares, right=[1, 0, 1, 1])
    doubt = doubt_about(reference, "intent")
    assert doubt is not None
    # Of two answers as sure as each other, the one whose rest is spread is doubted.
    assert doubt.of(reference, "intent").tolist() == [False, True, False, False]


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


def test_doubt_is_counted_on_rows_whose_nearest_one_has_a_label_as_it_is_in_windows() -> None:
    reference = of_task([0.9, 0.8, 0.7, 0.6, 0.1, 0.1], [1, 1, 1, 0, NOTHING, NOTHING])
    doubt = doubt_about(replace(reference, nearest=np.array([1, 0, 3, 2, 0, 4])), "intent")
    assert doubt is not None
    # The fifth row lies beside a labelled one, the sixth beside the fifth. That of four labelled ones which is answered
    # wrongly is doubted, and so is the fifth.
    assert (doubt.doubted, doubt.rows, doubt.accuracy) == (2, 5, 0.75)


def test_rows_without_a_label_are_no_mistakes() -> None:
    reference = of_task([0.9, 0.8, 0.7, 0.6, 0.1, 0.1], [1, 1, 1, 0, NOTHING, NOTHING])
    found = labelled(reference.tasks["intent"])
    assert found is not None
    assert found[0].tolist() == [0.9, 0.8, 0.7, 0.6]
    # One of four is wrong, so the one with a confidence of 0.6 is doubted, and whoever is less sure than 0.7.
    estimated = estimate(reference, of_task([0.95, 0.65, 0.3, 0.75]))
    assert (estimated.reference, estimated.by_threshold) == (0.75, 0.5)
    assert estimated.by_confidence == pytest.approx(0.75 + 0.6625 - 0.75)


@pytest.mark.parametrize("right", [None, [NOTHING, NOTHING]])
def test_without_any_label_nothing_is_estimated(right: object) -> None:
    reference = of_task([0.5, 0.6], right)
    assert labelled(reference.tasks["intent"]) is None
    assert doubt_about(reference, "intent") is None
    assert estimate_accuracy(reference, of_task([0.5]), "intent") is None


def test_the_usual_error_holds_for_19_of_20_windows() -> None:
    random = np.random.default_rng(5)

    def drawn(rows: int) -> Seen:
        confidences = random.uniform(0.4, 1, rows)
        return of_task(confidences, random.random(rows) < confidences)

    reference = drawn(4000)
    said, errors = estimate(reference, drawn(200)).error, []
    for _ in range(200):
        window = drawn(200)
        right = window.tasks["intent"].right
        assert right is not None
        errors.append(abs(estimate(reference, window).by_threshold - right.mean()))
    # 190 of 200, give or take three times 3.1.
    assert 180 <= (np.array(errors) <= said).sum() <= 199
    assert said > 1.5 * estimate(reference, drawn(1000)).error


def test_the_usual_error_of_one_row_is_all() -> None:
    assert estimate(of_task([0.9], [1]), of_task([0.9])).error == 1


def test_answers_that_are_all_as_doubtful_are_not_doubted() -> None:
    found = estimate(of_task([0.9] * 10, [1] * 9 + [0]), of_task([0.9] * 5))
    assert (found.by_threshold, found.error) == (pytest.approx(0.9), pytest.approx(0.1, abs=0.11))
