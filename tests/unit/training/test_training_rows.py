"""Rows in memory and the batches cut from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.modeling.heads import MISSING, AnyHead
from tasks.modeling.tokenized import TokenizedRows, Words
from tasks.training.rows import Rows, read_rows, rows_of


def rows_with(starts: list[list[int]], tags: list[list[str] | None]) -> Rows:
    """Rows with these word starts and tags, of 3, 4, 5, ... tokens."""
    labels = {
        "intent": ["refund"] * len(starts),
        "places": [{"tags": of} if of else None for of in tags],
        "urgency": [0.5] * len(starts),
    }
    tokens = TokenizedRows(
        input_ids=[list(range(1, 4 + row)) for row in range(len(starts))],
        rows=list(range(len(starts))),
        words={"places": Words(starts, [[0] * len(of) for of in starts])},
    )
    return Rows(tokens, labels, labels)


def test_a_batch_is_padded_to_its_longest_row(toy_heads: dict[str, AnyHead]) -> None:
    batch = rows_with([[1], [1, 2]], [["O"], ["O", "B-PLACE"]]).batch([1, 0], toy_heads, pad_id=9)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4], [1, 2, 3, 9]]
    assert batch.mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch.words["places"].starts.tolist() == [[1, 2], [1, -1]]
    assert batch.targets["places"].tolist() == [[0, 1], [0, MISSING]]
    assert batch.targets["intent"].tolist() == [0, 0]


def test_a_word_that_was_cut_off_has_no_target(toy_heads: dict[str, AnyHead]) -> None:
    batch = rows_with([[1, 2, -1]], [["O", "B-PLACE", "I-PLACE"]]).batch([0], toy_heads, pad_id=0)
    assert batch.targets["places"].tolist() == [[0, 1, MISSING]]


def test_targets_are_as_wide_as_the_words_even_where_the_longest_text_has_no_tags(
    toy_heads: dict[str, AnyHead],
) -> None:
    batch = rows_with([[1, 2], [1, 2, 3, 4]], [["O", "B-PLACE"], None]).batch([0, 1], toy_heads, pad_id=0)
    assert batch.words["places"].starts.shape == (2, 4)
    assert batch.targets["places"].tolist() == [[0, 1, MISSING, MISSING], [MISSING] * 4]


def test_rows_are_read_with_tokens_words_and_labels_side_by_side(
    write_splits: Callable[..., Path], toy_rows: list[dict[str, Any]], toy_heads: dict[str, AnyHead]
) -> None:
    unlabelled = {**toy_rows[1], "intent": None, "places": None}
    folder = write_splits("rows", [toy_rows[0], unlabelled], toy_rows[:1])
    rows = read_rows(folder / "snapshot", folder / "tokens", "train", toy_heads)
    assert rows.lengths == [len(ids) for ids in rows.tokens.input_ids]
    assert len(rows.lengths) == 2
    assert rows.window_labels is rows.labels
    assert rows.labels == {
        "intent": ["delivery", None],
        "places": [toy_rows[0]["places"], None],
        "urgency": [0.1, 0.1],
    }
    assert [len(starts) for starts in rows.tokens.words["places"].starts] == [
        len(row["text"].split()) for row in toy_rows[:2]
    ]


def test_a_window_has_its_rows_labels_and_the_tags_of_its_own_words(toy_heads: dict[str, AnyHead]) -> None:
    tags = ["O", "B-PLACE", "I-PLACE", "B-PLACE"]
    tokens = TokenizedRows(
        input_ids=[[1, 2, 3, 4], [3, 4, 5], [6], [7, 8], [9]],
        rows=[0, 0, 1, 2, 2],
        words={"places": Words([[1, -1, 2], [1], [0], [0], [0, 0]], [[0, 0, 0], [0], [0], [0], [0, 0]])},
    )
    labels = {
        "intent": ["refund", "delivery", None],
        "places": [{"tags": tags}, {"tags": ["B-PLACE"]}, None],
        "urgency": [0.5, 0.25, 1.0],
    }
    rows = rows_of(tokens, labels, toy_heads)
    assert rows.lengths == [4, 3, 1, 2, 1]
    batch = rows.batch([1, 0, 4, 2], toy_heads, pad_id=0)
    assert batch.input_ids.tolist() == [[3, 4, 5, 0], [1, 2, 3, 4], [9, 0, 0, 0], [6, 0, 0, 0]]
    assert batch.targets["intent"].tolist() == [0, 0, MISSING, 1]
    assert batch.targets["urgency"].tolist() == [0.5, 0.5, 1.0, 0.25]
    # The second word has no piece; the last row has no tags.
    assert batch.targets["places"].tolist() == [
        [1, MISSING, MISSING],
        [0, MISSING, 2],
        [MISSING] * 3,
        [1, MISSING, MISSING],
    ]


def test_every_tag_of_a_long_text_is_learnt_once(
    write_splits: Callable[..., Path], toy_rows: list[dict[str, Any]], toy_heads: dict[str, AnyHead]
) -> None:
    words = [word for row in toy_rows[:9] for word in row["places"]["tokens"]]
    tags = [tag for row in toy_rows[:9] for tag in row["places"]["tags"]]
    long = {**toy_rows[0], "text": " ".join(words), "places": {"tokens": words, "tags": tags}}
    folder = write_splits("long", [long, toy_rows[1]], [toy_rows[0]], max_tokens=16, beyond="windows", window_overlap=5)
    rows = read_rows(folder / "snapshot", folder / "tokens", "train", toy_heads)
    assert len(rows.lengths) > 6
    assert [len(of) for of in rows.labels.values()] == [2, 2, 2]
    batch = rows.batch(range(len(rows.lengths)), toy_heads, pad_id=0)
    learnt = batch.targets["places"][batch.targets["places"] != MISSING]
    known = {"O": 0, "B-PLACE": 1}
    assert learnt.tolist() == [known[tag] for tag in [*tags, *toy_rows[1]["places"]["tags"]]]
