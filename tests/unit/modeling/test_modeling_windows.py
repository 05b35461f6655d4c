"""Where the windows of long texts lie and whose word is whose, counted by hand."""

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.modeling.limits import TokenLimit
from tasks.modeling.ragged import Ragged, ragged
from tasks.modeling.windows import Frame, Windows, windows_of

FRAME = Frame(before=1, behind=1)
SLIDING = TokenLimit(max_tokens=8, beyond="windows", window_overlap=2)


def windows(*contents: int, limit: TokenLimit = SLIDING) -> Windows:
    """The windows of texts of so many tokens between [CLS] and [SEP]."""
    return windows_of(np.array(contents, dtype=np.int64) + 2, FRAME, limit)


def places(found: Windows) -> list[tuple[int, int, int]]:
    """Row, start and length of each window."""
    return list(zip(found.rows.tolist(), found.starts.tolist(), found.lengths.tolist(), strict=True))


def test_windows_of_six_tokens_move_on_by_four() -> None:
    assert places(windows(6, 7, 0, 10, 11)) == [
        (0, 0, 6),
        *[(1, 0, 6), (1, 4, 3)],
        (2, 0, 0),
        *[(3, 0, 6), (3, 4, 6)],
        *[(4, 0, 6), (4, 4, 6), (4, 8, 3)],
    ]


def test_a_limit_that_cuts_leaves_the_first_window() -> None:
    found = windows(6, 7, 300, limit=TokenLimit(max_tokens=8))
    assert places(found) == [(0, 0, 6), (1, 0, 6), (2, 0, 6)]


def test_there_are_no_windows_of_no_texts() -> None:
    assert places(windows()) == []
    assert windows().owning(ragged([])).lists() == []


def test_ids_are_taken_from_between_the_special_ones() -> None:
    texts = ragged([[101, 1, 2, 3, 4, 5, 6, 7, 102], [101, 8, 102]])
    assert windows(7, 1).of(texts).lists() == [[101, 1, 2, 3, 4, 5, 6, 102], [101, 5, 6, 7, 102], [101, 8, 102]]
    assert windows(7, 1, limit=TokenLimit(max_tokens=8)).of(texts).lists() == [
        [101, 1, 2, 3, 4, 5, 6, 102],
        [101, 8, 102],
    ]


def test_ids_of_short_texts_are_the_texts_own() -> None:
    texts = ragged([[101, 1, 102], [101, 102]])
    assert windows(1, 0).of(texts) is texts


def test_a_word_belongs_to_the_window_with_most_on_its_poorer_side_and_of_equals_to_the_earlier() -> None:
    # Tokens 0-5 and 4-9. Token 4 has 4 and 1 neighbours there and 0 and 5 here, token 5 has 5 and 0, and 1 and 4.
    assert windows(10).owning(ragged([range(1, 11)])).lists() == [[1, 2, 3, 4, 5], [2, 3, 4, 5, 6]]
    # Of three shared tokens, 3-5, the middle one has 4 and 1 neighbours in the first window and 1 and 4 in the second.
    odd = TokenLimit(max_tokens=8, beyond="windows", window_overlap=3)
    assert windows(9, limit=odd).owning(ragged([range(1, 10)])).lists() == [[1, 2, 3, 4, 5], [3, 4, 5, 6]]


@pytest.mark.parametrize("overlap", [0, 1, 2, 5, 9])
def test_owners_are_those_that_comparing_every_window_finds(overlap: int) -> None:
    limit = TokenLimit(max_tokens=20, beyond="windows", window_overlap=overlap)
    found = windows(5, 47, 19, 100, limit=limit)
    owned = found.owning(ragged([range(1, 1 + count) for count in (5, 47, 19, 100)])).lists()
    for row, count in enumerate((5, 47, 19, 100)):
        of_row = [(at, start, size) for at, (of, start, size) in enumerate(places(found)) if of == row]
        wanted: dict[int, list[int]] = {at: [] for at, _, _ in of_row}
        for token in range(count):
            context = {at: min(token - start, start + size - 1 - token) for at, start, size in of_row}
            best = max(context, key=lambda at: (context[at], -at))
            wanted[best].append(token - found.starts[best] + 1)
        assert [owned[at] for at, _, _ in of_row] == list(wanted.values())


def test_words_without_a_piece_follow_the_word_before_them() -> None:
    pieces = ragged([[-1, 1, 2, 3, 4, 5, -1, 6, 7, -1], [-1, -1], [-1, 1]])
    assert windows(7, 0, 1).owning(pieces).lists() == [[-1, 1, 2, 3, 4, 5, -1], [2, 3, -1], [-1, -1], [-1, 1]]


def test_words_that_were_cut_off_have_no_piece() -> None:
    limit = TokenLimit(max_tokens=8)
    assert windows(9, 1, limit=limit).owning(ragged([[1, 6, 7, 9], [1]])).lists() == [[1, 6, -1, -1], [1]]


def test_words_are_where_their_pieces_are_under_any_frame() -> None:
    found = windows_of(np.array([13]), Frame(before=0, behind=3), SLIDING)
    assert places(found) == [(0, 0, 5), (0, 3, 5), (0, 6, 4)]
    ids = found.of(Ragged(np.arange(13, dtype=np.int32), np.array([13])))
    assert ids.lists() == [[0, 1, 2, 3, 4, 10, 11, 12], [3, 4, 5, 6, 7, 10, 11, 12], [6, 7, 8, 9, 10, 11, 12]]
    # Tokens 3 and 4 are shared by the first two, 6 and 7 by the last two.
    assert found.owning(ragged([range(10)])).lists() == [[0, 1, 2, 3], [1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(
    "settings",
    [
        {"max_tokens": 7},
        {"max_tokens": 8193},
        {"beyond": "drop"},
        {"window_overlap": -1},
        {"beyond": "windows", "max_tokens": 64, "window_overlap": 32},
    ],
)
def test_limits_that_cannot_be_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TokenLimit.model_validate(settings)


def test_an_overlap_matters_only_to_windows_and_its_error_says_what_to_do() -> None:
    assert TokenLimit(max_tokens=8).window_overlap == 32
    with pytest.raises(ValidationError, match=r"window_overlap: 32 is not less than half of max_tokens: 48\. Lower"):
        TokenLimit(max_tokens=48, beyond="windows")
