"""Answers in a text as tokens of its windows, and tokens as parts of a text."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.modeling.limits import TokenLimit
from tasks.modeling.pieces import NO_ANSWER, Pieces, candidates, joined
from tasks.modeling.tokens import TextEncoder

QUESTION = "where ?"
CONTEXT = "Ana met Bo in Đà Nẵng , not in Hue"


def pieces_of(folder: Path, pairs: list[tuple[str, str]], **limit: Any) -> tuple[Pieces, list[int]]:
    """The pieces of second texts, and the row of every window."""
    aligned = TextEncoder(folder, TokenLimit.model_validate(limit)).align(pairs)
    starts, ends = aligned.places(sequence=1)
    found = Pieces(starts.lists(), ends.lists(), [second for _, second in pairs])
    return found, aligned.encoded.rows.tolist()


def said(text: str, part: str, at: int = 0) -> dict[str, list[Any]]:
    """The label of a part of the text."""
    return {"text": [part], "start": [text.index(part, at)]}


def shown(pieces: Pieces, window: int, row: int, tokens: tuple[int, int]) -> str:
    """What stands where those tokens of a window do."""
    return pieces.texts[row][pieces.starts[window][tokens[0]] : pieces.ends[window][tokens[1]]]


def test_pieces_cover_the_second_text_and_nothing_else(tiny_encoder: Path) -> None:
    pieces, _ = pieces_of(tiny_encoder, [(QUESTION, "in Crème")])
    # [CLS] where ? [SEP] in cr ##eme [SEP]
    assert pieces.starts == [[-1, -1, -1, -1, 0, 3, 5, -1]]
    assert pieces.ends == [[-1, -1, -1, -1, 2, 5, 8, -1]]
    alone = TextEncoder(tiny_encoder, TokenLimit()).align(["in Crème"]).places(sequence=0)
    assert [of.lists() for of in alone] == [[[-1, 0, 3, 5, -1]], [[-1, 2, 5, 8, -1]]]


def test_tokens_that_an_answer_may_be_made_of_are_given_in_the_place_of_words(tiny_encoder: Path) -> None:
    pieces, _ = pieces_of(tiny_encoder, [(QUESTION, "in Crème"), (QUESTION, "in")])
    assert pieces.tokens([1, 0]).starts.tolist() == [
        [-1, -1, -1, -1, 4, -1, -1, -1],
        [-1, -1, -1, -1, 4, 5, 6, -1],
    ]


@pytest.mark.parametrize("part", ["Bo", "Đà Nẵng", "Ana met Bo", "Hue", CONTEXT])
def test_an_answer_is_its_first_and_last_token(tiny_encoder: Path, part: str) -> None:
    pieces, rows = pieces_of(tiny_encoder, [(QUESTION, CONTEXT)])
    (found,) = pieces.answers(rows, [said(CONTEXT, part)])
    assert found is not None
    assert shown(pieces, 0, 0, found) == part


def test_an_answer_inside_of_a_token_is_learnt_as_the_whole_token(tiny_encoder: Path) -> None:
    pieces, rows = pieces_of(tiny_encoder, [(QUESTION, "in 1990s")])
    (found,) = pieces.answers(rows, [said("in 1990s", "990")])
    assert found is not None
    assert shown(pieces, 0, 0, found) == "1990s"


def test_windows_without_the_whole_answer_are_taught_that_there_is_none(tiny_encoder: Path) -> None:
    words = [f"lamp{'s' * (number % 2)}" for number in range(30)]
    words[9] = "oslo"
    text = " ".join(words)
    pairs = [(QUESTION, text), (QUESTION, "in Oslo")]
    pieces, rows = pieces_of(tiny_encoder, pairs, max_tokens=17, beyond="windows", window_overlap=4)
    assert rows == [0, 0, 0, 0, 1]
    # Windows hold words 0 to 11, 8 to 19, 16 to 27 and 24 to 29.
    found = pieces.answers(rows, [said(text, "oslo"), said("in Oslo", "Oslo")])
    assert [None if held is None else held == NO_ANSWER for held in found] == [False, False, True, True, False]
    assert [shown(pieces, window, 0, found[window] or NO_ANSWER) for window in (0, 1)] == ["oslo"] * 2
    # Words 7 to 8 stand in the first window only, which the second has the half of.
    across = pieces.answers(rows, [{"text": [" ".join(words[7:9])], "start": [text.index("oslo") - 11]}, None])
    assert [held == NO_ANSWER for held in across[:4]] == [False, True, True, True]
    # What no window holds teaches nothing, and a text without an answer teaches all of its windows.
    assert pieces.answers(rows, [{"text": [text], "start": [0]}, None]) == [None] * 5
    assert pieces.answers(rows, [{"text": [], "start": []}, {"text": [], "start": []}]) == [NO_ANSWER] * 5


def test_an_answer_that_was_cut_off_teaches_nothing(tiny_encoder: Path) -> None:
    text = "one two three four five six seven eight nine"
    pieces, rows = pieces_of(tiny_encoder, [(QUESTION, text)], max_tokens=10)
    assert pieces.answers(rows, [said(text, "nine")]) == [None]
    assert pieces.answers(rows, [said(text, "five")]) == [(8, 8)]
    assert pieces.answers(rows, [said(text, "five six")]) == [None]


def test_candidates_are_all_parts_up_to_a_length_with_the_sum_of_both_scores() -> None:
    places = np.array([[-1, -1], [0, 2], [-1, -1], [3, 6], [6, 8], [-1, -1]])
    scores = np.array([[9.0, 9], [1, 10], [9, 9], [2, 20], [3, 30], [9, 9]])
    found = candidates(places, scores, most_tokens=2)
    assert dict(zip(map(tuple, found.spans.tolist()), found.scores.tolist(), strict=True)) == {
        (0, 2): 11, (3, 6): 22, (6, 8): 33, (0, 6): 21, (3, 8): 32,
    }  # fmt: skip
    assert len(candidates(places, scores, most_tokens=9).scores) == 6
    assert len(candidates(places[:1], scores[:1], most_tokens=9).scores) == 0


def test_a_part_that_two_windows_hold_is_one_with_its_better_score() -> None:
    places = np.array([[-1, -1], [0, 2], [3, 5]])
    low, high = candidates(places, np.full((3, 2), 1.0), 1), candidates(places[:2], np.full((2, 2), 2.0), 1)
    for order in ([low, high], [high, low]):
        found = joined(order)
        assert found.spans.tolist() == [[0, 2], [3, 5]]
        assert found.scores.tolist() == [4.0, 2.0]
