"""Token ids of the rows of every split."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from data_contracts.errors import InputError
from tasks.modeling.limits import TokenLimit, read_limit
from tasks.modeling.words import SHAPES
from tasks.tokenization import reading
from tasks.tokenization.encoding import encode_splits
from tasks.tokenization.reading import ROWS_AT_ONCE, read_texts
from tasks.tokenization.settings import Tokenization

ROOT = Path(__file__).parents[3]
ONE_TOKEN = {"tokens": ["Oslo"], "tags": ["B-PLACE"]}
ENCODE = """
import resource, sys
from pathlib import Path
from tasks.tokenization.encoding import encode_splits
from tasks.tokenization.settings import Tokenization
snapshot, encoder, output = map(Path, sys.argv[1:])
encode_splits(snapshot, encoder, Tokenization(max_tokens=16), (), output)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def encode(
    folder: Path,
    encoder: Path,
    splits: dict[str, list[dict[str, Any]]],
    *tag_columns: str,
    row_group_size: int | None = None,
    answers: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Writes the splits as a snapshot, tokenizes it into `folder/tokens` and gives the facts."""
    for name in ("snapshot", "tokens"):
        (folder / name).mkdir()
    for split, rows in splits.items():
        path = folder / "snapshot" / f"{split}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=row_group_size)
    chosen = Tokenization.model_validate({"max_tokens": 16, **settings})
    given = (folder / "snapshot", encoder, chosen, tag_columns)
    return encode_splits(*given, output=folder / "tokens", answers=answers)


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
        "windows": {"train": 2, "test": 1},
        "tokens": {"train": 4 + 16, "test": 3},
        "truncated": {"train": 1, "test": 0},
    }
    assert tokens(tmp_path, "train")["input_ids"][0] == [101, 7592, 2088, 102]
    assert [len(ids) for ids in tokens(tmp_path, "train")["input_ids"]] == [4, 16]
    assert tokens(tmp_path, "train")["row"] == [0, 1]


def test_long_texts_take_several_windows_and_none_is_truncated(tiny_encoder: Path, tmp_path: Path) -> None:
    texts = ["short", " ".join(["word"] * 30), "thanks"]
    rows = [{"text": text} for text in texts]
    facts = encode(tmp_path, tiny_encoder, {"train": rows}, beyond="windows", window_overlap=4)
    # 14 tokens between [CLS] and [SEP], 10 further each time: words 0-13, 10-23, 20-29.
    assert facts == {
        "rows": {"train": 3},
        "windows": {"train": 5},
        "tokens": {"train": 3 + 16 + 16 + 12 + 3},
        "truncated": {"train": 0},
    }
    assert tokens(tmp_path, "train")["row"] == [0, 1, 1, 1, 2]
    assert [len(ids) for ids in tokens(tmp_path, "train")["input_ids"]] == [3, 16, 16, 12, 3]


def test_words_of_a_long_text_stand_each_in_the_window_that_owns_it(tiny_encoder: Path, tmp_path: Path) -> None:
    text = "we sent it from Oslo to you on Monday and then from Hue to Lima by train"
    words = text.split()
    rows = [{"text": "to Hue", "places": None}, {"text": text, "places": {"tokens": words, "tags": words}}]
    encode(tmp_path, tiny_encoder, {"train": rows}, "places", beyond="windows", window_overlap=4)
    found = tokens(tmp_path, "train")
    # Tokens 0-13 and 10-16: the middle of 13 and 10 is 11.5.
    assert found["row"] == [0, 1, 1]
    assert found["starts_places"] == [[1, 2], list(range(1, 13)), list(range(3, 8))]
    shapes = [SHAPES[shape] for shape in found["shapes_places"][2]]
    assert shapes == ["capital", "lower", "capital", "lower", "lower"]


def test_rows_come_out_the_same_however_many_are_read_at_once(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"text": f"order {number} from Oslo" * (1 + number % 4), "places": None if number % 3 else ONE_TOKEN}
        for number in range(ROWS_AT_ONCE + 3)
    ]
    for name in ("all", "few"):
        (tmp_path / name).mkdir()
    sliding = {"beyond": "windows", "window_overlap": 3}
    whole = encode(tmp_path / "all", tiny_encoder, {"train": rows}, "places", **sliding)
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 700)
    few = encode(tmp_path / "few", tiny_encoder, {"train": rows}, "places", row_group_size=1000, **sliding)
    assert few == whole
    assert whole["windows"]["train"] > whole["rows"]["train"] == ROWS_AT_ONCE + 3
    assert tokens(tmp_path / "few", "train") == tokens(tmp_path / "all", "train")
    assert pq.ParquetFile(tmp_path / "few" / "snapshot" / "train.parquet").num_row_groups == 9
    assert pq.ParquetFile(tmp_path / "few" / "tokens" / "train.parquet").num_row_groups >= 12


def test_few_rows_are_read_at_once_where_texts_are_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{number:0500d}{number * 7919 % 100003:020d}" for number in range(100)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "test.parquet")
    monkeypatch.setattr(reading, "BYTES_AT_ONCE", 5300)
    batches = list(read_texts(tmp_path / "test.parquet", "text", ()))
    assert 5 <= len(batches[0].texts) <= 10
    assert [batch.first for batch in batches] == list(range(0, 100, len(batches[0].texts)))
    assert [text for batch in batches for text in batch.texts] == texts


def test_a_long_text_that_recurs_counts_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Parquet keeps it once.
    pq.write_table(pa.table({"text": ["x" * 1000] * 100}), tmp_path / "test.parquet")
    monkeypatch.setattr(reading, "BYTES_AT_ONCE", 10_040)
    batches = list(read_texts(tmp_path / "test.parquet", "text", ()))
    assert [(batch.first, len(batch.texts)) for batch in batches] == [(first, 10) for first in range(0, 100, 10)]


def test_memory_does_not_grow_with_the_number_of_rows(tiny_encoder: Path, tmp_path: Path) -> None:
    peaks = {}
    for rows in (20_000, 160_000):
        snapshot, output = tmp_path / f"snapshot-{rows}", tmp_path / f"tokens-{rows}"
        for folder in (snapshot, output):
            folder.mkdir()
        texts = pa.array([f"order {number} went from hue to oslo" for number in range(rows)])
        pq.write_table(pa.table({"text": texts}), snapshot / "train.parquet", row_group_size=10_000)
        arguments = [str(folder) for folder in (snapshot, tiny_encoder, output)]
        done = subprocess.run(
            [sys.executable, "-c", ENCODE, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        peaks[rows] = int(done.stdout)
    assert peaks[160_000] < peaks[20_000] + 40_000  # kB; the texts alone are more than 40 characters a row


def test_tagged_words_get_first_piece_and_shape_and_cut_ones_minus_one(tiny_encoder: Path, tmp_path: Path) -> None:
    tagged = {"tokens": ["Đà", "Nẵng", ",", "11806"], "tags": ["B-PLACE", "I-PLACE", "O", "O"]}
    # [CLS] đ ##a nan ##g , 118 | [SEP]
    encode(
        tmp_path,
        tiny_encoder,
        {"train": [{"text": "Đà Nẵng, a b 11806", "places": tagged}]},
        "places",
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
    encode(tmp_path, tiny_encoder, {"train": rows, "window": [{"text": "to Oslo!"}]}, "places")
    assert tokens(tmp_path, "train")["starts_places"] == [[2], [1, 2, 3]]
    assert tokens(tmp_path, "window")["starts_places"] == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        ({"_file": "ab" * 32, "_row": 7}, rf"train, row 7 of the file with sha256 {'ab' * 32}, places: "),
        ({}, "train, row 2, places: "),
    ],
)
def test_a_token_that_is_no_part_of_its_text_is_named_by_row(
    tiny_encoder: Path, tmp_path: Path, origin: dict[str, Any], place: str
) -> None:
    good, bad = ({"tokens": ["to", city], "tags": ["O", "B-PLACE"]} for city in ("Oslo", "Lima"))
    first = {name: 3 if name == "_row" else value for name, value in origin.items()}
    rows = [{"text": "to Oslo", "places": good, **first}, {"text": "to Oslo", "places": bad, **origin}]
    with pytest.raises(InputError, match=rf"^{place}token 2, 'Lima'.*parts of 'text'"):
        encode(tmp_path, tiny_encoder, {"train": rows}, "places")


def test_a_row_without_a_text_is_named_and_the_contract_is_said_to_forbid_it(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"^train, row 2 has no 'text'.*required: true"):
        encode(tmp_path, tiny_encoder, {"train": [{"text": "hello"}, {"text": None}]})


def test_cut_off_texts_are_warned_about_by_split(
    tiny_encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"text": " ".join(["word"] * 20)}] * 2
    with caplog.at_level(logging.WARNING):
        encode(tmp_path, tiny_encoder, {"train": [{"text": "short"}], "test": rows})
    assert "texts cut off at 16 tokens: {'test': 2}; a larger `max_tokens`, or `beyond: windows`" in caplog.text


def test_an_empty_split_is_tokenized_to_an_empty_one(tiny_encoder: Path, tmp_path: Path) -> None:
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "tokens").mkdir()
    empty = pa.table({"text": pa.array([], type=pa.string())})
    pq.write_table(empty, tmp_path / "snapshot" / "test.parquet")
    settings = Tokenization(max_tokens=16)
    facts = encode_splits(tmp_path / "snapshot", tiny_encoder, settings, ("places",), output=tmp_path / "tokens")
    assert facts["rows"] == facts["windows"] == {"test": 0}
    assert tokens(tmp_path, "test") == {"input_ids": [], "row": [], "starts_places": [], "shapes_places": []}


def test_the_limit_is_kept_with_the_tokens(tiny_encoder: Path, tmp_path: Path) -> None:
    encode(tmp_path, tiny_encoder, {"test": [{"text": "hello"}]}, beyond="windows", window_overlap=7)
    assert read_limit(tmp_path / "tokens") == TokenLimit(max_tokens=16, beyond="windows", window_overlap=7)


@pytest.mark.parametrize("settings", [{"max_tokens": 7}, {"max_token": 64}, {"beyond": "windows", "max_tokens": 64}])
def test_settings_out_of_bounds_or_unknown_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Tokenization.model_validate(settings)


def test_pairs_are_encoded_beside_single_texts_with_the_segment_of_every_token(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    rows = [{"text": "where ?", "body": "in Oslo"}, {"text": "thanks", "body": None}, {"text": "and", "body": "so"}]
    facts = encode(tmp_path, tiny_encoder, {"train": rows}, pair_column="body")
    found = tokens(tmp_path, "train")
    assert [len(ids) for ids in found["input_ids"]] == [7, 3, 5]
    assert found["segments"] == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0], [0, 0, 0, 1, 1]]
    assert facts["tokens"] == {"train": 15}


def test_rows_are_read_alone_where_the_column_of_second_texts_is_gone(tiny_encoder: Path, tmp_path: Path) -> None:
    encode(tmp_path, tiny_encoder, {"train": [{"text": "where ?"}]}, pair_column="body")
    assert tokens(tmp_path, "train") == {"input_ids": [[101, 2073, 1029, 102]], "row": [0], "segments": [[0] * 4]}


def test_a_long_second_text_takes_several_windows_and_words_of_the_first_stand_in_the_first(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    rows = [{"text": "to Oslo", "places": ONE_TOKEN, "body": " ".join(["word"] * 20)}]
    facts = encode(
        tmp_path, tiny_encoder, {"train": rows}, "places", beyond="windows", window_overlap=1, pair_column="body"
    )
    found = tokens(tmp_path, "train")
    assert facts["windows"] == {"train": 2}
    assert [ids[:4] for ids in found["input_ids"]] == [found["input_ids"][0][:4]] * 2
    assert found["starts_places"] == [[2], []]


def test_a_first_text_that_leaves_no_room_is_named_by_row(tiny_encoder: Path, tmp_path: Path) -> None:
    long = " ".join(["word"] * 20)
    rows = [
        {"text": "short", "body": long, "_file": "f", "_row": 5},
        {"text": long, "body": long, "_file": "f", "_row": 9},
    ]
    with pytest.raises(InputError, match=r"^train, row 9 of the file with sha256 f: the first text.* 23 of 16 tokens"):
        encode(tmp_path, tiny_encoder, {"train": rows}, beyond="windows", window_overlap=1, pair_column="body")


def test_the_two_texts_of_a_pair_are_of_two_columns() -> None:
    with pytest.raises(ValidationError, match="text_column and pair_column are both 'text'"):
        Tokenization.model_validate({"pair_column": "text"})


def test_where_answers_are_looked_for_every_token_has_its_place_in_the_second_text(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    long = " ".join(["word"] * 12)
    rows = [{"text": "ok ?", "body": "in Oslo"}, {"text": "ok ?", "body": long}, {"text": "ok ?", "body": None}]
    settings = {"beyond": "windows", "window_overlap": 1, "pair_column": "body"}
    encode(tmp_path, tiny_encoder, {"train": rows}, answers=True, **settings)
    found = tokens(tmp_path, "train")
    assert found["row"] == [0, 1, 1, 2]
    # A window of the long text holds eleven of its twelve words.
    assert found["answered_text"] == ["in Oslo", long, None, ""]
    assert found["piece_starts"][0] == [-1, -1, -1, -1, 0, 3, -1]
    assert found["piece_ends"][0] == [-1, -1, -1, -1, 2, 7, -1]
    assert found["piece_starts"][2] == [-1, -1, -1, -1, 50, 55, -1]
    assert found["piece_starts"][3] == [-1] * 4


def test_of_single_texts_tokens_have_their_place_in_the_only_one(tiny_encoder: Path, tmp_path: Path) -> None:
    encode(tmp_path, tiny_encoder, {"train": [{"text": "in Oslo"}]}, answers=True)
    found = tokens(tmp_path, "train")
    assert (found["piece_starts"], found["piece_ends"]) == ([[-1, 0, 3, -1]], [[-1, 2, 7, -1]])
    assert found["answered_text"] == ["in Oslo"]


def test_a_language_that_the_vocabulary_does_not_hold_is_warned_about_by_split(
    tiny_encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        encode(tmp_path, tiny_encoder, {"train": [{"text": "hello world"}], "test": [{"text": "娜 hello"}]})
    assert "test: the encoder's vocabulary has nothing for 25% of the pieces of text" in caplog.text
    assert "train:" not in caplog.text
