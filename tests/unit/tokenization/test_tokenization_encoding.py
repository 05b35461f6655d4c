"""Token ids of the rows of every split."""

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from data_contracts.errors import InputError
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import SHAPES
from tasks.tokenization.encoding import ROWS_PER_CALL, encode_splits
from tasks.tokenization.settings import Tokenization


def encode(folder: Path, encoder: Path, splits: dict[str, list[dict[str, Any]]], **settings: Any) -> dict[str, Any]:
    """Writes the splits as a snapshot, tokenizes it into `folder/tokens` and gives the facts."""
    for name in ("snapshot", "tokens"):
        (folder / name).mkdir()
    for split, rows in splits.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / "snapshot" / f"{split}.parquet")
    chosen = {"text_column": "text", "tag_columns": (), "max_tokens": 16, **settings}
    return encode_splits(folder / "snapshot", encoder, output=folder / "tokens", **chosen)


def tokens(folder: Path, split: str) -> dict[str, list[Any]]:
    """The columns of one tokenized split."""
    return dict(pq.read_table(folder / "tokens" / f"{split}.parquet").to_pydict())


def test_every_row_of_every_split_is_encoded_in_order_and_counted(tiny_encoder: Path, tmp_path: Path) -> None:
    long = " ".join(["word"] * 20)
    facts = encode(
        tmp_path, tiny_encoder, {"train": [{"text": "hello world"}, {"text": long}], "test": [{"text": "x"}]}
    )
    assert facts == {
        "rows": {"train": 2, "test": 1},
        "tokens": {"train": 4 + 16, "test": 3},
        "truncated": {"train": 1, "test": 0},
    }
    assert tokens(tmp_path, "train")["input_ids"][0] == [101, 7592, 2088, 102]
    assert [len(ids) for ids in tokens(tmp_path, "train")["input_ids"]] == [4, 16]


def test_rows_come_out_the_same_beyond_one_call_of_the_tokenizer(tiny_encoder: Path, tmp_path: Path) -> None:
    texts = [f"order number {number}" for number in range(ROWS_PER_CALL + 3)]
    encode(tmp_path, tiny_encoder, {"train": [{"text": text} for text in texts]})
    assert tokens(tmp_path, "train")["input_ids"] == TextEncoder(tiny_encoder, 16).encode(texts).input_ids


def test_tagged_words_get_first_piece_and_shape_and_cut_ones_minus_one(tiny_encoder: Path, tmp_path: Path) -> None:
    tagged = {"tokens": ["Đà", "Nẵng", ",", "11806"], "tags": ["B-PLACE", "I-PLACE", "O", "O"]}
    # [CLS] đ ##a nan ##g , 118 | [SEP]
    encode(
        tmp_path,
        tiny_encoder,
        {"train": [{"text": "Đà Nẵng, a b 11806", "places": tagged}]},
        tag_columns=("places",),
        max_tokens=8,
    )
    found = tokens(tmp_path, "train")
    assert found["starts_places"] == [[1, 3, 5, -1]]
    shapes = [SHAPES.index(shape) for shape in ("capital", "capital", "mark", "digits")]
    assert found["shapes_places"] == [shapes]


def test_the_words_of_a_row_without_tags_are_those_of_its_text(tiny_encoder: Path, tmp_path: Path) -> None:
    rows = [
        {"text": "to Oslo!", "places": {"tokens": ["Oslo"], "tags": ["B-PLACE"]}},
        {"text": "to Oslo!", "places": None},
    ]
    encode(tmp_path, tiny_encoder, {"train": rows, "window": [{"text": "to Oslo!"}]}, tag_columns=("places",))
    assert tokens(tmp_path, "train")["starts_places"] == [[2], [1, 2, 3]]
    assert tokens(tmp_path, "window")["starts_places"] == [[1, 2, 3]]


def test_a_token_that_is_no_part_of_its_text_is_named_by_row(tiny_encoder: Path, tmp_path: Path) -> None:
    row = {
        "text": "to Oslo",
        "places": {"tokens": ["to", "Lima"], "tags": ["O", "B-PLACE"]},
        "_address": "tickets.jsonl",
        "_row": 7,
    }
    with pytest.raises(InputError, match=r"tickets\.jsonl, row 7, places: token 2, 'Lima'.*parts of 'text'"):
        encode(tmp_path, tiny_encoder, {"train": [row]}, tag_columns=("places",))


def test_cut_off_texts_are_warned_about_by_split(
    tiny_encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"text": " ".join(["word"] * 20)}] * 2
    with caplog.at_level(logging.WARNING):
        encode(tmp_path, tiny_encoder, {"train": [{"text": "short"}], "test": rows})
    assert "texts cut off at 16 tokens: {'test': 2}" in caplog.text


def test_an_empty_split_is_tokenized_to_an_empty_one(tiny_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "tokens").mkdir()
    empty = pa.table({"text": pa.array([], type=pa.string())})
    pq.write_table(empty, tmp_path / "snapshot" / "test.parquet")
    facts = encode_splits(
        tmp_path / "snapshot",
        tiny_encoder,
        text_column="text",
        tag_columns=(),
        max_tokens=16,
        output=tmp_path / "tokens",
    )
    assert facts["rows"] == {"test": 0}
    assert tokens(tmp_path, "test") == {"input_ids": []}


@pytest.mark.parametrize("settings", [{"max_tokens": 7}, {"max_tokens": 8193}, {"max_token": 64}])
def test_settings_out_of_bounds_or_unknown_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Tokenization.model_validate(settings)
