"""Rows in memory and the batches cut from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.modeling.heads import MISSING, AnyHead
from tasks.modeling.inference import Words
from tasks.training.rows import Rows, read_rows


def rows_of(starts: list[list[int]], tags: list[list[str] | None]) -> Rows:
    """Rows with these word starts and tags, of 3, 4, 5, ... tokens."""
    return Rows(
        input_ids=[list(range(1, 4 + row)) for row in range(len(starts))],
        words={"places": Words(starts, [[0] * len(of) for of in starts])},
        labels={
            "intent": ["refund"] * len(starts),
            "places": [{"tags": of} if of else None for of in tags],
            "urgency": [0.5] * len(starts),
        },
    )


def test_a_batch_is_padded_to_its_longest_row(toy_heads: dict[str, AnyHead]) -> None:
    batch = rows_of([[1], [1, 2]], [["O"], ["O", "B-PLACE"]]).batch([1, 0], toy_heads, pad_id=9)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4], [1, 2, 3, 9]]
    assert batch.mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch.words["places"].starts.tolist() == [[1, 2], [1, -1]]
    assert batch.targets["places"].tolist() == [[0, 1], [0, MISSING]]
    assert batch.targets["intent"].tolist() == [0, 0]


def test_a_word_that_was_cut_off_has_no_target(toy_heads: dict[str, AnyHead]) -> None:
    batch = rows_of([[1, 2, -1]], [["O", "B-PLACE", "I-PLACE"]]).batch([0], toy_heads, pad_id=0)
    assert batch.targets["places"].tolist() == [[0, 1, MISSING]]


def test_targets_are_as_wide_as_the_words_even_where_the_longest_text_has_no_tags(
    toy_heads: dict[str, AnyHead],
) -> None:
    batch = rows_of([[1, 2], [1, 2, 3, 4]], [["O", "B-PLACE"], None]).batch([0, 1], toy_heads, pad_id=0)
    assert batch.words["places"].starts.shape == (2, 4)
    assert batch.targets["places"].tolist() == [[0, 1, MISSING, MISSING], [MISSING] * 4]


def test_rows_are_read_with_tokens_words_and_labels_side_by_side(
    write_splits: Callable[..., Path], toy_rows: list[dict[str, Any]], toy_heads: dict[str, AnyHead]
) -> None:
    unlabelled = {**toy_rows[1], "intent": None, "places": None}
    folder = write_splits("rows", [toy_rows[0], unlabelled], toy_rows[:1])
    rows = read_rows(folder / "snapshot", folder / "tokens", "train", toy_heads)
    assert rows.lengths == [len(ids) for ids in rows.input_ids]
    assert len(rows.lengths) == 2
    assert rows.labels == {
        "intent": ["delivery", None],
        "places": [toy_rows[0]["places"], None],
        "urgency": [0.1, 0.1],
    }
    assert [len(starts) for starts in rows.words["places"].starts] == [len(row["text"].split()) for row in toy_rows[:2]]
