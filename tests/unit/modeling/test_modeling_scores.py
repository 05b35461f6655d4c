"""Scores against numbers worked out by hand."""

import math

import numpy as np
import pytest

from tasks.modeling import scores


def test_accuracy_is_the_share_of_right_answers() -> None:
    assert scores.accuracy(["a", "b", "b", "c"], ["a", "b", "c", "c"]) == 0.75


def test_macro_f1_is_the_mean_over_the_classes_of_the_references() -> None:
    # a: 1 right, 2 wrong, none missed: 2/4. b: 1 right, 1 missed: 2/3. c is never predicted: 0.
    assert scores.macro_f1(["a", "a", "b", "a"], ["a", "b", "b", "c"]) == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)


def test_a_class_that_is_only_predicted_has_no_f1_of_its_own() -> None:
    assert scores.macro_f1(["a", "x"], ["a", "a"]) == pytest.approx(2 / 3)


def test_entity_f1_counts_whole_entities() -> None:
    references = [["B-P", "I-P", "O", "B-D"], ["B-P"]]
    predictions = [["B-P", "I-P", "O", "O"], ["B-D"]]
    # 1 found and right, 1 of the wrong kind, 2 missed.
    assert scores.entity_f1(predictions, references) == pytest.approx(2 / (2 + 1 + 2))


def test_an_entity_with_a_wrong_border_is_both_wrong_and_missed() -> None:
    assert scores.entity_counts(["B-P", "O"], ["B-P", "I-P"]) == (0, 1, 1)


def test_neighbouring_entities_of_one_kind_are_two() -> None:
    assert scores.entity_counts(["B-P", "B-P"], ["B-P", "B-P"]) == (2, 0, 0)


def test_entity_f1_is_zero_where_there_is_nothing_to_find() -> None:
    assert scores.entity_f1([["O", "O"]], [["O", "O"]]) == 0.0


def test_pearson_of_three_points() -> None:
    # Deviations (-1, 0, 1) and (-1, 1, 0): products sum to 1, squares to 2 each.
    assert scores.pearson([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)


def test_spearman_sees_only_ranks_and_shares_them_among_ties() -> None:
    assert scores.spearman([1, 2, 3, 4], [1, 4, 9, 100]) == pytest.approx(1.0)
    # Ranks (1.5, 1.5, 3) and (1, 2, 3).
    assert scores.spearman([1, 1, 2], [1, 2, 3]) == pytest.approx(1.5 / math.sqrt(3))


@pytest.mark.parametrize("constant", [0.0, 0.1, 1 / 3])
def test_correlation_with_a_constant_is_exactly_zero(constant: float) -> None:
    # The mean of equal floats need not be that float: 0.1 three times has a deviation of 1e-17.
    assert scores.pearson([constant] * 7, [1, 2, 3, 4, 5, 6, 9]) == 0.0
    assert scores.pearson([1, 2, 3, 4, 5, 6, 9], [constant] * 7) == 0.0
    assert scores.spearman([constant] * 7, [1, 2, 3, 4, 5, 6, 9]) == 0.0


def test_correlation_gives_its_three_numbers_together() -> None:
    assert scores.correlation([1, 2, 3], [1, 3, 2]) == {
        "pearson": pytest.approx(0.5),
        "spearman": pytest.approx(0.5),
        "mean_absolute_error": pytest.approx(2 / 3),
    }


def test_calibration_error_weighs_each_bins_gap_by_its_rows() -> None:
    # Last bin: three rows of 0.95, two right: gap 0.85 in sum. First bin: one row of 0.05, wrong: 0.05.
    found = scores.expected_calibration_error([0.95, 0.95, 0.95, 0.05], [True, True, False, False])
    assert found == pytest.approx(0.9 / 4)


def test_full_confidence_that_is_right_is_calibrated() -> None:
    assert scores.expected_calibration_error([1.0, 1.0], [True, True]) == 0.0


def test_gaps_of_one_bin_cancel_and_those_of_two_bins_do_not() -> None:
    assert scores.expected_calibration_error([0.5, 0.5], [True, False]) == pytest.approx(0.0)
    assert scores.expected_calibration_error([0.3, 0.7], [True, False]) == pytest.approx(0.7)


def test_auroc_is_the_share_of_pairs_in_order_with_ties_counting_half() -> None:
    assert scores.auroc(inside=[0.9, 0.5], outside=[0.5, 0.1]) == pytest.approx(3.5 / 4)


def test_f1_of_counts() -> None:
    assert scores.f1_of_counts(np.array([3, 1, 2])) == pytest.approx(6 / 9)
    assert scores.f1_of_counts(np.array([0, 0, 0])) == 0.0


def test_label_counts_are_of_sets_whatever_their_order() -> None:
    assert scores.label_counts(["a", "b", "c"], ["c", "d", "a"]) == (2, 1, 1)
    assert scores.label_counts([], []) == (0, 0, 0)


def test_lists_of_labels_are_scored_label_by_label_and_as_a_whole() -> None:
    found = scores.label_set_f1([["a"], [], ["b", "a"], ["c"]], [["a"], [], ["a"], ["a", "b"]])
    # a: 2 right, 1 missed: 4/5. b: 1 wrong, 1 missed: 0. All: 2 right, 2 wrong, 2 missed.
    assert found == pytest.approx({"micro_f1": 4 / 8, "macro_f1": (4 / 5 + 0) / 2, "exact_match": 2 / 4})


def test_lists_of_labels_score_what_scikit_learn_gives() -> None:
    from sklearn.metrics import f1_score

    random = np.random.default_rng(4)
    given, wanted = random.random((2, 30, 3)) < 0.4
    lists = [[[name for name, has in zip("abc", row, strict=True) if has] for row in of] for of in (given, wanted)]
    found = scores.label_set_f1(*lists)
    assert found["micro_f1"] == pytest.approx(f1_score(wanted, given, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(wanted, given, average="macro"))
    assert found["exact_match"] == pytest.approx((given == wanted).all(axis=1).mean())


def test_lists_without_any_label_score_zero_and_match() -> None:
    assert scores.label_set_f1([[], []], [[], []]) == {"micro_f1": 0.0, "macro_f1": 0.0, "exact_match": 1.0}


@pytest.mark.timeout(30)
def test_lists_of_thousands_of_labels_take_no_longer_than_lists_of_a_few() -> None:
    # Label by label this takes minutes.
    wanted = [[f"label {row}", f"label {row + 1}"] for row in range(5000)]
    given = [[labels[0]] for labels in wanted]
    # Each label but the outermost two is on two texts, and given to one of them.
    expected = {"micro_f1": 2 / 3, "macro_f1": (1 + 4999 * 2 / 3 + 0) / 5001, "exact_match": 0.0}
    assert scores.label_set_f1(given, wanted) == pytest.approx(expected)
