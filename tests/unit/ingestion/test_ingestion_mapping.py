"""Columns of a file become those of the contract: renamed, joined, put together or left out, and never guessed."""

import io
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.dataset import Property
from data_contracts.errors import InputError
from tasks.ingestion.sources import Csv, FileSource, JsonLines, Parquet
from tasks.ingestion.values import typed_column

Row = dict[str, Any]
Rows = Callable[[FileSource, bytes], list[tuple[int, Row]]]
Mapped = Callable[..., list[Row]]

WORDS = [
    {"words": ["Ana", "left"], "ner": ["B-PERSON", "O"], "text": "Ana left.", "id": 1},
    {"words": None, "ner": None, "text": "?", "id": 2},
    {"words": [], "ner": [], "text": "", "id": 3},
]
TAGGED = [{"tokens": ["Ana", "left"], "tags": ["B-PERSON", "O"]}, None, {"tokens": [], "tags": []}]


def as_json_lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(rows: list[Row]) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), written)
    return written.getvalue()


@pytest.fixture(params=["Python's values", "Arrow's arrays"])
def mapped(request: pytest.FixtureRequest, rows_of: Rows) -> Mapped:
    """Rows under the contract's names, out of a text format and out of a columnar one."""

    def read(rows: list[Row], columns: dict[str, Any], drop: tuple[str, ...] = ()) -> list[Row]:
        given = {"path": "a.file", "columns": columns, "drop": drop}
        if request.param == "Python's values":
            return [row for _, row in rows_of(JsonLines.model_validate(given), as_json_lines(rows))]
        return [row for _, row in rows_of(Parquet.model_validate(given), as_parquet(rows))]

    return read


def test_a_column_is_read_under_the_contracts_name(mapped: Mapped) -> None:
    assert mapped([{"body": "x", "id": 1}], {"text": "body"}) == [{"text": "x", "id": 1}]


def test_tokens_of_a_script_without_spaces_are_joined_by_none(mapped: Mapped) -> None:
    assert mapped([{"words": ["北", "京"]}, {"words": None}], {"text": {"join": "words", "by": ""}}) == [
        {"text": "北京"},
        {"text": None},
    ]


@pytest.mark.parametrize(
    ("decimal", "given", "read"),
    [
        (",", ["0,85", "1.234,5", "-1 234 567,25", "1.590", "7", "0.125", "", None], "0.85 1234.5 -1234567.25 1590 7"),
        (".", ["0.85", "1,234.5", "-1'234'567.25", "1,590", "7", "12,5", "", None], "0.85 1234.5 -1234567.25 1590 7"),
    ],
)
def test_numbers_are_read_as_people_write_them_and_what_is_none_stays(
    mapped: Mapped, decimal: str, given: list[str | None], read: str
) -> None:
    found = mapped([{"n": value} for value in given], {"price": {"number": "n", "decimal": decimal}})
    assert [row["price"] for row in found] == [*read.split(), *given[5:]]


def test_one_column_may_feed_two(mapped: Mapped) -> None:
    assert mapped([{"body": "x"}], {"text": "body", "title": "body"}) == [{"text": "x", "title": "x"}]


def test_two_columns_may_swap_their_names(mapped: Mapped) -> None:
    rows = [{"text": 1, "title": 2}]
    assert mapped(rows, {"text": "title", "title": "text"}) == [{"title": 1, "text": 2}]


def test_tokens_and_tags_become_one_value_and_their_columns_go(mapped: Mapped) -> None:
    found = mapped(WORDS, {"entities": {"tokens": "words", "tags": "ner"}})
    assert found == [
        {"text": row["text"], "id": row["id"], "entities": tagged} for row, tagged in zip(WORDS, TAGGED, strict=True)
    ]


def test_a_column_that_another_is_made_of_stays_where_it_is_asked_for(mapped: Mapped) -> None:
    columns = {"entities": {"tokens": "words", "tags": "ner"}, "words": "words", "ner": "ner"}
    assert [set(row) for row in mapped(WORDS, columns)] == [{"text", "id", "entities", "words", "ner"}] * 3


def test_tokens_without_tags_are_left_for_the_contract_to_refuse(mapped: Mapped) -> None:
    rows = [{"words": ["a"], "ner": None}, {"words": ["a"], "ner": ["O"]}]
    found = mapped(rows, {"entities": {"tokens": "words", "tags": "ner"}})
    assert found[0] == {"entities": {"tokens": ["a"], "tags": None}}


def test_tokens_are_joined_to_a_text(mapped: Mapped) -> None:
    found = mapped(WORDS, {"text": {"join": "words"}}, ("text", "ner"))
    assert found == [{"id": 1, "text": "Ana left"}, {"id": 2, "text": None}, {"id": 3, "text": ""}]


@pytest.mark.parametrize("value", [5, [1, 2]])
def test_what_is_no_list_of_tokens_is_left_for_the_contract_to_refuse(value: object, mapped: Mapped) -> None:
    assert mapped([{"words": value}], {"text": {"join": "words"}}) == [{"text": value}]


def test_columns_named_under_drop_are_left_out(mapped: Mapped) -> None:
    assert mapped(WORDS, {"body": "text"}, ("words", "ner"))[0] == {"id": 1, "body": "Ana left."}


def test_a_made_column_may_not_hide_one_of_the_file(mapped: Mapped) -> None:
    with pytest.raises(InputError, match=r"a\.file already has 'text', which `columns` makes of another column"):
        mapped([{"text": "x", "body": "y"}], {"text": "body"})
    assert mapped([{"text": "x", "body": "y"}], {"text": "body"}, ("text",)) == [{"text": "y"}]


def test_a_column_that_the_file_lacks_is_shown_with_those_it_has(mapped: Mapped) -> None:
    with pytest.raises(InputError) as error:
        mapped(WORDS, {"body": "txt", "entities": {"tokens": "words", "tags": "tag"}}, ("source",))
    assert str(error.value).splitlines() == [
        "a.file has no such column",
        "  - `columns` makes 'body' of 'txt'",
        "  - `columns` makes 'entities' of 'tag'",
        "  - `drop` leaves out 'source'",
        "Its columns are 'id', 'ner', 'text', 'words'. Correct the settings of the source.",
    ]


def test_a_key_may_come_late_in_json_lines(rows_of: Rows) -> None:
    content = b'{"id": 1}\n' * 40_000 + b'{"id": 2, "body": "x", "note": 1}\n'
    found = rows_of(JsonLines(path="a", columns={"text": "body"}, drop=("note",)), content)
    assert found[0] == (1, {"id": 1})
    assert found[-1] == (40_001, {"id": 2, "text": "x"})
    with pytest.raises(InputError, match=r"a already has 'text'"):
        rows_of(JsonLines(path="a", columns={"text": "body"}), content + b'{"text": "y"}\n')


def test_tokens_in_one_row_and_tags_in_another_are_half_a_value_each(rows_of: Rows) -> None:
    source = JsonLines.model_validate({"path": "a", "columns": {"entities": {"tokens": "words", "tags": "ner"}}})
    found = rows_of(source, b'{"words": ["a"]}\n{"ner": ["O"]}\n{}')
    assert [row["entities"] for _, row in found] == [
        {"tokens": ["a"], "tags": None},
        {"tokens": None, "tags": ["O"]},
        None,
    ]


def test_a_file_without_rows_lacks_no_column(rows_of: Rows) -> None:
    assert rows_of(JsonLines(path="a", columns={"text": "body"}), b"\n") == []


def test_csv_columns_are_renamed_too(rows_of: Rows) -> None:
    assert rows_of(Csv(path="a", columns={"text": "body"}, drop=("id",)), b"body,id\nx,1\n") == [(2, {"text": "x"})]


@pytest.mark.parametrize(
    ("cell", "mistake"),
    [
        ('["\\ud800"]', "surrogates not allowed"),
        ("[" * 100_000, "nested too deeply"),
        ('["a", 1]', "expected a list of text"),
    ],
    ids=["half a pair", "nested", "a number"],
)
def test_a_cell_that_cannot_be_a_list_of_text_is_a_mistake_of_its_row(cell: str, mistake: str) -> None:
    topics = Property.model_validate({"name": "topics", "logicalType": "array"})
    column, mistakes = typed_column([cell, '["\\ud83d\\ude00"]'], topics)
    assert column.to_pylist() == [None, ["\U0001f600"]]
    assert list(mistakes) == [0]
    assert mistake in mistakes[0]
