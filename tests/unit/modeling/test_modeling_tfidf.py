"""Linear models on TF-IDF, and the answers that look at no text."""

import numpy as np
import pytest

from tasks.modeling.tfidf import most_frequent, one_against_rest

TEXTS = ["money back please", "my parcel please", "money and parcel", "hello there"] * 5


def test_every_label_has_a_probability_of_its_own_and_one_that_never_changes_has_its_share() -> None:
    given = np.array([[True, False, True, False] * 5, [True] * 20, [False] * 20]).T
    found = one_against_rest(TEXTS, given)(["money", "parcel"])
    assert found[0, 0] > 0.5 > found[1, 0]
    assert found[:, 1:].tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_probabilities_of_one_label_are_those_of_a_logistic_regression_of_it_alone() -> None:
    first, second = np.array([[True, False, True, False] * 5]).T, np.array([[False, True, True, False] * 5]).T
    both = one_against_rest(TEXTS, np.hstack([first, second]))(TEXTS[:4])
    for label, alone in enumerate((first, second)):
        assert both[:, label] == pytest.approx(one_against_rest(TEXTS, alone)(TEXTS[:4])[:, 0])


def test_the_most_frequent_value_is_given_to_every_text_with_its_share() -> None:
    assert most_frequent(["a", "b", "a", "c"], 3) == (["a"] * 3, [0.5] * 3)
