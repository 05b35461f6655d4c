from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.evaluation.slices import (
    GroupScore,
    groups_of,
    length_edges,
    read_slices,
    score_slices,
    slice_columns,
    snapshot_groups,
    worst_groups,
    write_slices,
)
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead

Write = Callable[..., Path]
HEADS: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("right", "wrong"))}


def positions(groups: dict[str, Any]) -> dict[str, list[int]]:
    return {group: rows.tolist() for group, rows in groups.items()}


def text_of(words: int) -> str:
    return "word " * words + "!"


def test_a_column_divides_rows_by_its_values_and_rows_without_one_are_a_group() -> None:
    table = pa.table({"language": ["en", "vi", None, "en"], "urgent": [True, False, True, True], "shop": [3, 3, 10, 3]})
    found = groups_of(table, ["language", "urgent", "shop"])
    assert {name: positions(groups) for name, groups in found.items()} == {
        "language": {"(none)": [2], "en": [0, 3], "vi": [1]},
        "urgent": {"False": [1], "True": [0, 2, 3]},
        "shop": {"10": [2], "3": [0, 1, 3]},
    }


def test_a_column_that_names_its_rows_or_measures_them_is_no_slice() -> None:
    table = pa.table(
        {
            "name": [f"customer {row}" for row in range(51)],
            "city": [f"city {row % 50}" for row in range(51)],
            "weight": np.arange(51) / 7,
            "at": [datetime(2026, 1, 1, tzinfo=UTC)] * 51,
            "tags": [["a"]] * 51,
        }
    )
    assert list(groups_of(table, table.column_names)) == ["city"]


def test_texts_are_divided_at_the_quartiles_of_their_words() -> None:
    texts = [text_of(words) for words in (1, 2, 3, 4, 5, 6, 7, 8)]
    # Quartiles 2.75, 4.5 and 6.25: a text of 3, 5 or 7 words begins the next group. The mark is no word.
    assert length_edges(texts) == [3, 5, 7]
    found = groups_of(pa.table({"text": texts}), [], "text", [3, 5, 7])
    assert positions(found["text_length"]) == {
        "0 to 2 words": [0, 1],
        "3 to 4 words": [2, 3],
        "5 to 6 words": [4, 5],
        "7 words or more": [6, 7],
    }


@pytest.mark.parametrize(
    ("lengths", "edges"), [([4, 4, 4, 4], []), ([1, 9], [4, 6, 8]), ([1, 1, 1, 9], [2, 4]), ([], [])]
)
def test_texts_of_like_length_have_fewer_groups(lengths: list[int], edges: list[int]) -> None:
    assert length_edges([text_of(words) for words in lengths]) == edges


def test_slices_are_of_columns_that_are_neither_labels_nor_texts(write_rows: Write) -> None:
    snapshot = write_rows(
        "test", text=["a b"], title=["a"], intent=["right"], language=["en"], _file=["f" * 64], _row=[1]
    )
    assert slice_columns(snapshot, HEADS, ("text", "title")) == ["language", "_file"]


def test_lengths_are_divided_alike_on_every_split(write_rows: Write) -> None:
    write_rows("test", text=[text_of(words) for words in (1, 2, 3, 4, 5, 6, 7, 8)], intent=["right"] * 8)
    snapshot = write_rows("noisy", text=[text_of(2), text_of(40)], intent=["right"] * 2)
    found = snapshot_groups(snapshot, "noisy", HEADS, ("text",))
    assert {name: positions(groups) for name, groups in found.items()} == {
        "text_length": {"0 to 2 words": [0], "7 words or more": [1]}
    }


def test_the_files_that_rows_came_from_are_a_slice(write_rows: Write) -> None:
    snapshot = write_rows("test", intent=["right"] * 3, _file=["aaaa", "bbbb", "aaaa"])
    assert positions(snapshot_groups(snapshot, "test", HEADS, ())["source_file"]) == {"aaaa": [0, 2], "bbbb": [1]}


@pytest.fixture
def scored(write_rows: Write, write_model_answers: Write) -> list[GroupScore]:
    """90 of 100 English rows answered rightly and 40 of 80 Vietnamese ones; none of 20 French ones."""
    languages = ["en"] * 100 + ["vi"] * 80 + ["fr"] * 20
    snapshot = write_rows("test", intent=["right"] * 200, language=languages)
    right = [True] * 90 + [False] * 10 + [True] * 40 + [False] * 40 + [False] * 20
    answers = write_model_answers("m", "test", {"intent": ["right" if hit else "wrong" for hit in right]})
    return score_slices(snapshot, answers, HEADS, ["test"], ())


def test_every_group_has_its_score_and_its_gap_to_the_whole(scored: list[GroupScore]) -> None:
    assert {score.group: (score.value, score.rows) for score in scored} == {
        "en": (0.9, 100),
        "vi": (0.5, 80),
        "fr": (0.0, 20),
    }
    gaps = {score.group: score.gap for score in scored}
    assert gaps == pytest.approx({"en": 0.25, "vi": -0.15, "fr": -0.65})
    for score in scored:
        assert score.low < score.gap < score.high


def test_the_interval_of_a_gap_draws_group_and_whole_together(scored: list[GroupScore]) -> None:
    # Of a draw of 200 rows the English ones' share and hits vary; the gap's deviation is by the delta method
    # sqrt(sum of squares of (member / 100 * (hit - 0.9) - (hit - 0.65) / 200)).
    english = next(score for score in scored if score.group == "en")
    hits = np.array([1.0] * 90 + [0.0] * 10 + [1.0] * 40 + [0.0] * 60)
    member = np.arange(200) < 100
    deviation = np.sqrt((((member / 100) * (hits - 0.9) - (hits - 0.65) / 200) ** 2).sum())
    assert (english.high - english.low) / 2 == pytest.approx(1.96 * deviation, rel=0.1)


def test_the_worst_group_is_one_with_enough_rows_to_say(scored: list[GroupScore]) -> None:
    assert [score.judged for score in scored if score.group == "fr"] == [False]
    assert [(score.slice, score.group) for score in worst_groups(scored)] == [("language", "vi")]


def test_rows_without_a_label_are_in_no_group_and_a_slice_of_one_group_tells_nothing(
    write_rows: Write, write_model_answers: Write
) -> None:
    heads: dict[str, AnyHead] = {**HEADS, "urgency": RegressionHead(column="urgency")}
    snapshot = write_rows("test", intent=["right", None, "right"], urgency=[0.1, 0.5, 0.9], language=["en", "vi", "en"])
    answers = write_model_answers("m", "test", {"intent": ["right"] * 3, "urgency": [0.1, 0.5, 0.9]})
    found = score_slices(snapshot, answers, heads, ["test"], (), min_rows=2)
    assert {(score.task, score.group, score.rows) for score in found} == {("urgency", "en", 2), ("urgency", "vi", 1)}


def test_slices_come_back_from_disk_as_they_were(scored: list[GroupScore], tmp_path: Path) -> None:
    write_slices(tmp_path / "slices.json", scored)
    assert read_slices(tmp_path / "slices.json") == scored


def test_draws_that_take_no_row_of_a_small_group_do_not_count_as_answered_wrongly(
    write_rows: Write, write_model_answers: Write
) -> None:
    # The one row of `vi` is right, as half of the others are: it can be no worse than the whole.
    snapshot = write_rows("test", text=["so"] * 21, intent=["right"] * 21, language=["vi"] + ["en"] * 20)
    answers = write_model_answers("m", "test", {"intent": ["right"] * 11 + ["wrong"] * 10})
    found = {of.group: of for of in score_slices(snapshot, answers, HEADS, ["test"], ["text"])}
    assert (found["vi"].rows, found["vi"].value, found["vi"].judged) == (1, 1.0, False)
    assert found["vi"].gap == pytest.approx(10 / 21)
    assert 0 < found["vi"].low < found["vi"].gap < found["vi"].high
