"""Scores of answers in a text, against numbers worked out by hand."""

import pytest

from tasks.modeling.answer_scores import answer_f1, answer_is_right, answer_match, normalised


def test_case_punctuation_articles_and_white_space_do_not_count() -> None:
    assert normalised(" The  Old-Man,\tand a   Sea. ") == "oldman and sea"
    # Only whole words are articles, and marks beyond ASCII stay, as in the official script.
    assert normalised("Theatre «an»") == "theatre « »"


@pytest.mark.parametrize(
    ("given", "wanted", "right"),
    [
        ("the Oslo!", ["Oslo"], True),
        ("Oslo", ["Bergen", "oslo."], True),
        ("in Oslo", ["Oslo"], False),
        ("", [], True),
        ("Oslo", [], False),
        ("", ["Oslo"], False),
        # Nothing is left of it but an article.
        ("", ["the"], True),
        ("", ["the", "Oslo"], False),
    ],
)
def test_an_answer_is_right_where_it_is_one_of_those_wanted(given: str, wanted: list[str], right: bool) -> None:
    assert answer_is_right(given, wanted) == right


@pytest.mark.parametrize(
    ("given", "wanted", "score"),
    [
        ("in Oslo now", ["Oslo"], 2 * 1 / (3 + 1)),
        ("in Oslo now", ["Bergen", "now Oslo"], 2 * 2 / (3 + 2)),
        # A word counts as often as both have it.
        ("so so", ["so so so"], 2 * 2 / (2 + 3)),
        ("", [], 1.0),
        ("Oslo", [], 0.0),
        ("", ["Oslo"], 0.0),
    ],
)
def test_f1_is_that_of_the_shared_words_with_the_best_of_those_wanted(
    given: str, wanted: list[str], score: float
) -> None:
    assert answer_f1(given, wanted) == pytest.approx(score)


def test_both_scores_are_means_over_the_texts() -> None:
    found = answer_match(["Oslo", "in Oslo now", ""], [["oslo"], ["Oslo"], ["Hue"]])
    assert found == {"token_f1": pytest.approx((1 + 0.5 + 0) / 3), "exact_match": pytest.approx(1 / 3)}
