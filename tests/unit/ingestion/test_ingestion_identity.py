"""Ids: from typed content alone, and never the same for two rows that differ."""

import hashlib

import pyarrow as pa
import pytest

from tasks.ingestion.identity import raw_id, row_ids

TAGGED = pa.struct([("tokens", pa.list_(pa.string())), ("tags", pa.list_(pa.string()))])


def test_ids_stay_what_they_are_from_version_to_version() -> None:
    # Splits and corrections hang on them.
    table = pa.table({"text": ["hello", None], "score": [0.5, 1.0]})
    contents = (b"5:hello\x1f0.5", b"\x00\x1f1")
    assert row_ids(table) == [hashlib.blake2b(content, digest_size=12).hexdigest() for content in contents]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["", None, "\x00", "0:", "a\x1fb", "a", "1:a"]),
        pa.array([0.0, None, 1.0, 0.1, -1.0]),
        pa.array([[], None, [""], ["", ""], ["a,b"], ["a", "b"], ["a", "b", ""]], pa.list_(pa.string())),
        pa.array(
            [
                None,
                {"tokens": [], "tags": []},
                {"tokens": ["a"], "tags": []},
                {"tokens": [], "tags": ["a"]},
                {"tokens": ["a", "b"], "tags": ["c"]},
                {"tokens": ["a"], "tags": ["b", "c"]},
            ],
            TAGGED,
        ),
        pa.array([True, False, None]),
    ],
    ids=["text", "numbers", "lists", "tagged tokens", "truths"],
)
def test_values_that_differ_give_ids_that_differ(column: pa.Array) -> None:
    assert len(set(row_ids(pa.table({"a": column})))) == len(column)


def test_what_ends_one_column_does_not_begin_the_next() -> None:
    table = pa.table({"a": ["x", "x\x1f1:y", "", None], "b": ["y", "", "x", "x"]})
    assert len(set(row_ids(table))) == 4


def test_neither_the_cut_into_batches_nor_an_offset_changes_an_id() -> None:
    values = [{"tokens": ["a", "b"], "tags": ["O", "O"]}, None, {"tokens": ["c"], "tags": ["O"]}]
    table = pa.table({"text": ["one", "two", "three"], "tagged": pa.array(values, TAGGED)})
    whole = row_ids(table)
    assert [row_ids(table.slice(at, 1))[0] for at in range(3)] == whole
    assert row_ids(pa.concat_tables([table.slice(0, 1), table.slice(1)])) == whole


def test_rows_without_types_have_ids_too() -> None:
    assert raw_id({"a": 1, "b": "x"}) == raw_id({"b": "x", "a": 1})
    assert raw_id({"a": 1}) != raw_id({"a": "1"})
    assert raw_id('{"a": ') != raw_id("{}")
