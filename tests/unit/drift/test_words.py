"""Words that rose: log-odds with an informative prior, by hand, and what is not said to have risen."""

from math import log, sqrt

import numpy as np
import pytest

from tasks.drift.words import log_odds_scores, risen_words


def test_the_score_is_the_difference_of_log_odds_in_standard_deviations() -> None:
    # 8 and 2 of 10 words in the window, 10 and 30 of 40 in the reference; the prior of 10 words is 3.6 and 6.4.
    by_hand = (log(11.6 / 8.4) - log(13.6 / 36.4)) / sqrt(1 / 11.6 + 1 / 13.6)
    found = log_odds_scores(np.array([8, 2]), np.array([10, 30]), (10, 40), prior_words=10)
    assert found == pytest.approx([by_hand, -by_hand * sqrt(1 / 11.6 + 1 / 13.6) / sqrt(1 / 8.4 + 1 / 36.4)])
    assert found[0] == pytest.approx(3.2709, abs=1e-4)


def test_a_stronger_prior_believes_less_of_few_texts() -> None:
    weak, strong = (
        log_odds_scores(np.array([5, 95]), np.array([1, 999]), (100, 1000), prior_words=words)[0] for words in (1, 1000)
    )
    assert 0 < strong < weak


def test_risen_words_come_with_the_share_of_texts_that_hold_them() -> None:
    window = ["The Velvet brush broke"] * 40 + ["where is my refund"] * 60
    reference = ["where is my refund"] * 190 + ["a brush"] * 10
    found = risen_words(window, reference)
    assert {word.word for word in found} == {"the", "velvet", "brush", "broke"}
    brush = next(word for word in found if word.word == "brush")
    assert (brush.window, brush.reference) == (0.4, 0.05)
    assert [word.z for word in found] == sorted((word.z for word in found), reverse=True)


def test_a_text_counts_a_word_once_however_often_it_says_it() -> None:
    reference = ["where is my refund"] * 100
    assert risen_words(["where is my refund"] * 99 + ["spam " * 1000], reference) == []
    assert [of.word for of in risen_words(["where is my refund"] * 80 + ["spam"] * 20, reference)] == ["spam"]


def test_of_texts_of_one_kind_no_word_is_said_to_have_risen() -> None:
    random = np.random.default_rng(5)
    words = np.array([f"w{number}" for number in range(300)])
    likely = 1 / np.arange(1, 301)
    texts = [" ".join(random.choice(words, size=8, p=likely / likely.sum())) for _ in range(600)]
    listed = [risen_words(texts[:100], texts[100:])]
    for _ in range(19):
        random.shuffle(texts)
        listed.append(risen_words(texts[:100], texts[100:]))
    assert sum(bool(found) for found in listed) <= 2


@pytest.mark.parametrize("texts", [[], ["!!! ..."], ["", "?"]])
def test_without_words_on_either_side_there_is_nothing_to_compare(texts: list[str]) -> None:
    assert risen_words(texts, ["some text"]) == []
    assert risen_words(["some text"], texts) == []


def test_only_so_many_are_listed() -> None:
    window = [f"{' '.join(f'new{n}' for n in range(30))} old"] * 50
    assert len(risen_words(window, ["of old we said so"] * 500)) == 15
    assert len(risen_words(window, ["of old we said so"] * 500, most=5)) == 5
