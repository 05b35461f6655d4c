"""Folders of the `datasets` library and datasets of the hub: read file by file, classes by their names."""

import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import InputError
from tasks.ingestion.sources import ArrowFiles, FileSource, HuggingFace, JsonLines, Parquet, Source

Row = dict[str, Any]
Rows = Callable[[FileSource, bytes], list[tuple[int, Row]]]
RowsAt = Callable[[Source], list[Row]]

ROWS = [
    {"text": "Ana left", "label": "yes", "tags": ["B-PER", "O"]},
    {"text": "?", "label": None, "tags": None},
    {"text": "", "label": "no", "tags": []},
]
NUMBERED = {"text": ["Ana left", "?", ""], "label": [1, -1, 0], "tags": [[1, 0], None, []]}


@pytest.fixture
def dataset() -> datasets.Dataset:
    """ROWS with classes as numbers."""
    classes = datasets.ClassLabel(names=["no", "yes"])
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-PER"]))
    features = datasets.Features({"text": datasets.Value("string"), "label": classes, "tags": tags})
    return datasets.Dataset.from_dict(NUMBERED, features=features)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the `datasets` library of one's own."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_a_saved_dataset_is_read_file_by_file_with_the_names_of_its_classes(
    dataset: datasets.Dataset, tmp_path: Path, rows_at: RowsAt
) -> None:
    dataset.save_to_disk(tmp_path / "saved", num_shards=2)
    source = ArrowFiles(path=str(tmp_path / "saved"))
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    assert source.shards() == [str(tmp_path / "saved" / name) for name in names]
    assert rows_at(source) == ROWS
    assert rows_at(ArrowFiles(path=str(tmp_path / "saved" / "*.arrow"))) == ROWS


def test_parquet_written_by_the_library_has_the_names_too(
    dataset: datasets.Dataset, tmp_path: Path, rows_at: RowsAt
) -> None:
    dataset.to_parquet(tmp_path / "a.parquet")
    assert rows_at(Parquet(path=str(tmp_path / "a.parquet"))) == ROWS


def test_lists_of_classes_keep_their_place_in_a_part_of_a_batch(rows_of: Rows) -> None:
    tags = [[n % 2] * (n % 3) if n % 5 else None for n in range(40_000)]
    feature = {"feature": {"names": ["O", "B"], "_type": "ClassLabel"}, "_type": "Sequence"}
    metadata = {"huggingface": json.dumps({"info": {"features": {"tags": feature}}})}
    table = pa.table({"tags": pa.array(tags, pa.list_(pa.int64()))}).replace_schema_metadata(metadata)
    written = io.BytesIO()
    with pa.ipc.new_file(written, table.schema) as file:
        file.write_table(table)
    found = rows_of(ArrowFiles(path="a"), written.getvalue())
    assert [row["tags"] for _, row in found] == [value and ["OB"[n] for n in value] for value in tags]


def test_dates_and_decimals_are_read_as_moments_and_numbers(rows_of: Rows) -> None:
    day, far = date(2026, 1, 5), 300_000_000_000
    table = pa.table(
        {
            "day": [day, None],
            "nanoseconds": pa.array([datetime(2026, 1, 5)] * 2, pa.timestamp("ns", "UTC")),
            "price": [Decimal("1.50"), None],
            "number": pa.array([Decimal("7"), None], pa.decimal128(38, 0)),
            "long": pa.array([Decimal(10**30), Decimal(1)], pa.decimal128(38, 0)),
            "far": pa.array([far, 0], pa.timestamp("s", "UTC")),
        }
    )
    written = io.BytesIO()
    pq.write_table(table, written)
    first, second = (row for _, row in rows_of(Parquet(path="a"), written.getvalue()))
    assert first == {
        "day": datetime(2026, 1, 5),
        "nanoseconds": datetime(2026, 1, 5, tzinfo=UTC),
        "price": 1.5,
        "number": 7,
        "long": Decimal(10**30),
        "far": "11476-08-15 05:20:00.000Z",
    }
    assert [second[name] for name in ("day", "price", "number", "far")] == [
        None,
        None,
        None,
        "1970-01-01 00:00:00.000Z",
    ]
    assert [type(first[name]) for name in ("nanoseconds", "number")] == [datetime, int]


def test_a_dictionary_column_is_read_as_its_values(rows_of: Rows) -> None:
    table = pa.table({"label": pa.array(["a", "b", "a"]).dictionary_encode()})
    written = io.BytesIO()
    with pa.ipc.new_stream(written, table.schema) as file:
        file.write_table(table)
    assert [row for _, row in rows_of(ArrowFiles(path="a"), written.getvalue())] == [
        {"label": label} for label in ("a", "b", "a")
    ]


def test_files_that_a_later_map_keeps_beside_the_dataset_are_no_part_of_it(
    dataset: datasets.Dataset, tmp_path: Path
) -> None:
    dataset.save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "cache-1234.arrow").write_bytes(b"")
    assert [Path(path).name for path in ArrowFiles(path=str(tmp_path / "saved")).shards()] == [
        "data-00000-of-00001.arrow"
    ]
    (tmp_path / "saved" / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(InputError, match=r"saved lacks data-00000-of-00001\.arrow\. Save the dataset again"):
        ArrowFiles(path=str(tmp_path / "saved")).shards()


def test_a_folder_of_splits_or_without_arrow_files_is_named(
    dataset: datasets.Dataset, tmp_path: Path, rows_at: RowsAt
) -> None:
    datasets.DatasetDict({"train": dataset, "test": dataset}).save_to_disk(tmp_path / "both")
    with pytest.raises(InputError, match=r"both holds the splits train, test\. Name one: .*both/train"):
        ArrowFiles(path=str(tmp_path / "both")).shards()
    assert rows_at(ArrowFiles(path=str(tmp_path / "both" / "test"))) == ROWS
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty lacks files that end with \.arrow or \.feather"):
        ArrowFiles(path=str(tmp_path / "empty")).shards()


def test_a_saved_dataset_is_read_from_a_bucket(
    dataset: datasets.Dataset, s3_bucket: str, tmp_path: Path, rows_at: RowsAt
) -> None:
    import boto3

    dataset.save_to_disk(tmp_path / "saved")
    for file in (tmp_path / "saved").iterdir():
        boto3.client("s3").put_object(Bucket=s3_bucket, Key=f"saved/{file.name}", Body=file.read_bytes())
    source = ArrowFiles(path=f"s3://{s3_bucket}/saved")
    assert source.shards() == [f"s3://{s3_bucket}/saved/data-00000-of-00001.arrow"]
    assert rows_at(source) == ROWS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of data files with a training and a test split."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for split, count in (("train", 3), ("test", 1)):
        lines = "".join(json.dumps({"text": f"{split} {n}", "score": n / 2}) + "\n" for n in range(count))
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def test_a_dataset_of_the_library_is_read_split_by_split(
    folder: Path, cache: Path, tmp_path: Path, rows_at: RowsAt
) -> None:
    source = HuggingFace(path=str(folder))
    assert source.shards() == [f"{folder}/train#0"]
    assert rows_at(source) == [{"text": f"train {n}", "score": n / 2} for n in range(3)]
    test = HuggingFace(path=str(folder), split="test", revision="v1", subset="default", columns={"body": "text"})
    assert test.shards() == [f"{folder}@v1/default/test#0"]
    assert rows_at(test) == [{"body": "test 0", "score": 0.0}]


def test_parquet_files_in_a_folder_are_read_through_the_library_too(
    dataset: datasets.Dataset, cache: Path, tmp_path: Path, rows_at: RowsAt
) -> None:
    (tmp_path / "parquet").mkdir()
    dataset.to_parquet(tmp_path / "parquet" / "train.parquet")
    assert rows_at(HuggingFace(path=str(tmp_path / "parquet"))) == ROWS


def test_what_the_library_prepares_is_the_same_in_every_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = set()
    for name in ("first", "second"):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / name)
        source = HuggingFace(path=str(folder))
        with source.at(source.shards()[0]).local_copy(tmp_path) as file:
            assert file.is_relative_to(tmp_path / name)
            digests.add(hashlib.sha256(file.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_shard_that_is_gone_is_named(folder: Path, cache: Path, tmp_path: Path) -> None:
    source = HuggingFace(path=str(folder)).at(f"{folder}/train#1")
    with pytest.raises(InputError, match=r"train#1 is gone: the split has 1 files now\. Run again"):
        source.local_copy(tmp_path)


def test_what_the_library_cannot_load_is_answered_with_what_to_do(
    folder: Path, dataset: datasets.Dataset, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "train.jsonl").write_text('{"a": 1}\n{"a":\n', encoding="utf-8")
    (tmp_path / "empty").mkdir()
    dataset.save_to_disk(tmp_path / "saved")
    cases = [
        (HuggingFace(path=str(folder), split="dev"), r"folder cannot be loaded: .*\"dev\".* \['train', 'test'\]"),
        (HuggingFace(path=str(folder), subset="vi"), r"folder cannot be loaded: .*'vi' not found.*default.*`subset`"),
        (HuggingFace(path=str(tmp_path / "bad")), r"bad cannot be loaded: .*JSON parse error"),
        (HuggingFace(path=str(tmp_path / "empty")), r"empty holds no data files that `datasets` knows"),
        (
            HuggingFace(path=str(tmp_path / "saved")),
            r"saved was written by `save_to_disk`\. Read it with `kind: arrow`",
        ),
        (
            HuggingFace(path=str(tmp_path / "no")),
            r"no is no folder\. Correct `path`, or write .* as hf://datasets/NAME",
        ),
        # The hub is switched off for tests, as on a machine without network.
        (HuggingFace(path="nobody/nothing"), r"^nobody/nothing cannot be fetched: .*Hub.* Check its name, the network"),
        (HuggingFace(path="hf://datasets/nobody/nothing"), r"^hf://datasets/nobody/nothing cannot be fetched"),
    ]
    for source, message in cases:
        with pytest.raises(InputError, match=message):
            source.shards()


def test_a_file_of_json_lines_and_its_dataset_hold_the_same_rows(
    folder: Path, cache: Path, tmp_path: Path, rows_at: RowsAt
) -> None:
    assert rows_at(JsonLines(path=f"{folder}/tr*.jsonl")) == rows_at(HuggingFace(path=str(folder)))
