"""Sources: every format gives the same rows, and what cannot be read is said or raised, never dropped."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import InputError
from tasks.ingestion.sources import Csv, FileSource, JsonLines, Parquet, Source, Unreadable

ROWS = [{"name": "Ana", "note": 'said "no",\nthen left'}, {"name": "Bình", "note": "tiếng Việt"}]


def as_json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in line] for line in cells]
    return "".join(delimiter.join(line) + "\r\n" for line in quoted).encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), written)
    return written.getvalue()


def unreadable(source: JsonLines | Csv, content: bytes) -> list[tuple[int, str]]:
    return [(number, row.problem) for number, row in source.rows(content) if isinstance(row, Unreadable)]


@pytest.mark.parametrize(
    ("source", "content"),
    [
        (JsonLines(path="a.jsonl"), as_json_lines(ROWS)),
        (JsonLines(path="a.jsonl.gz"), gzip.compress(as_json_lines(ROWS))),
        (JsonLines(path="a.jsonl"), b"\xef\xbb\xbf" + as_json_lines(ROWS)),
        (Csv(path="a.csv"), as_csv(ROWS)),
        (Csv(path="a.csv"), b"\xef\xbb\xbf" + as_csv(ROWS)),
        (Csv(path="a.csv.gz"), gzip.compress(as_csv(ROWS))),
        (Csv(path="a.tsv", delimiter="\t"), as_csv(ROWS, "\t")),
        (Parquet(path="a.parquet"), as_parquet(ROWS)),
    ],
    ids=["json lines", "gzip", "byte order mark", "csv", "csv byte order mark", "csv gzip", "tabs", "parquet"],
)
def test_every_format_gives_the_same_rows(source: Source, content: bytes) -> None:
    assert [row for _, row in source.rows(content)] == ROWS


def test_json_lines_are_numbered_as_an_editor_numbers_them() -> None:
    content = b'{"a": 1}\r\n\n  \n{"a": 2}'
    assert list(JsonLines(path="a").rows(content)) == [(1, {"a": 1}), (4, {"a": 2})]


def test_a_csv_row_is_numbered_by_the_line_it_ends_on() -> None:
    content = b'a,b\n1,2\n\n"x\ny",3\n'
    assert list(Csv(path="a").rows(content)) == [(2, {"a": "1", "b": "2"}), (5, {"a": "x\ny", "b": "3"})]


def test_an_empty_csv_cell_is_a_missing_value() -> None:
    assert list(Csv(path="a").rows(b"a,b\n,0\n")) == [(2, {"a": None, "b": "0"})]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": 1', "not JSON: Expecting ',' delimiter"),
        (b"[1, 2]", "list, not an object"),
        (b"null", "NoneType, not an object"),
        (b'{"a": "\xe9"}', "not JSON: 'utf-8' codec can't decode byte 0xe9"),
        (b'{"a": "\\ud83d"}', "surrogates not allowed"),
        (b"[" * 100_000, "not JSON: maximum recursion depth exceeded"),
    ],
    ids=["cut off", "list", "null", "latin-1", "half an emoji", "nested too deep"],
)
def test_a_line_that_is_no_row_is_a_problem_and_its_neighbours_are_read(line: bytes, problem: str) -> None:
    found = list(JsonLines(path="a").rows(b'{"a": 1}\n' + line + b'\n{"a": 2}\n'))
    assert [number for number, _ in found] == [1, 2, 3]
    assert found[0][1] == {"a": 1}
    assert found[2][1] == {"a": 2}
    assert isinstance(found[1][1], Unreadable)
    assert problem in found[1][1].problem


def test_an_emoji_written_as_an_escaped_pair_is_text() -> None:
    assert list(JsonLines(path="a").rows(b'{"a": "\\ud83d\\ude00"}')) == [(1, {"a": "\U0001f600"})]


def test_a_csv_row_with_too_few_or_too_many_cells_is_a_problem() -> None:
    assert unreadable(Csv(path="a"), b"a,b\n1\n1,2\n1,2,3\n") == [
        (2, "1 cells, but 2 in the header"),
        (4, "3 cells, but 2 in the header"),
    ]


def test_a_csv_row_that_is_not_utf8_is_a_problem_and_not_changed_silently() -> None:
    content = "a\nbien\ncafé\n".encode("latin-1")
    assert unreadable(Csv(path="a"), content) == [(3, "not UTF-8")]
    assert next(Csv(path="a").rows(content)) == (2, {"a": "bien"})


def test_a_csv_column_named_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"a\.csv has the column\(s\) text twice"):
        list(Csv(path="a.csv").rows(b"text,id,text\n1,2,3\n"))


def test_an_open_quote_is_shown_where_it_opens() -> None:
    with pytest.raises(InputError, match=r"a\.csv, row after line 2: .* Check the quotes and `delimiter`"):
        list(Csv(path="a.csv").rows(b'a,b\n1,2\n1,"2\n1,2\n1,2\n'))


def damaged(content: bytes, position: int) -> bytes:
    return content[:position] + bytes(255 - byte for byte in content[position : position + 8]) + content[position + 8 :]


def test_a_damaged_or_half_copied_file_is_named_for_every_format() -> None:
    rows = [{"a": f"row {n * n}"} for n in range(500)]
    zipped, parquet = gzip.compress(as_json_lines(rows)), as_parquet(rows)
    cases: list[tuple[JsonLines | Parquet, bytes]] = [
        (JsonLines(path="a.jsonl.gz"), zipped[: len(zipped) // 2]),
        (JsonLines(path="a.jsonl.gz"), damaged(zipped, 40)),
        (JsonLines(path="a.jsonl.gz"), as_json_lines(rows)),
        (Parquet(path="a.parquet"), parquet[: len(parquet) // 2]),
        (Parquet(path="a.parquet"), damaged(parquet, 8)),
        (Parquet(path="a.parquet"), damaged(parquet, 200)),
    ]
    for source, content in cases:
        with pytest.raises(InputError, match=rf"^{source.path} is not a whole .* Copy it again"):
            list(source.rows(content))


@pytest.mark.parametrize("kind", [JsonLines, Csv, Parquet])
def test_columns_are_renamed_to_those_of_the_contract(kind: type[FileSource]) -> None:
    source = kind(path="a", columns={"text": "body"})
    assert source.renamed({"body": "x", "id": 1}) == {"text": "x", "id": 1}


def test_two_columns_may_swap_their_names() -> None:
    source = JsonLines(path="a", columns={"text": "title", "title": "text"})
    assert source.renamed({"text": 1, "title": 2}) == {"title": 1, "text": 2}


def test_a_renamed_column_may_not_hide_another() -> None:
    source = JsonLines(path="a.jsonl", columns={"text": "body"})
    with pytest.raises(InputError, match=r"a\.jsonl already has 'text', which `columns` renames another column to"):
        source.renamed({"text": "x", "body": "y"})


def test_a_file_or_folder_that_cannot_be_read_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rows\.jsonl does not exist\. Correct `path` in the pipeline"):
        JsonLines(path=str(tmp_path / "rows.jsonl")).read_bytes()
    with pytest.raises(InputError, match=r"is a folder, not a file"):
        JsonLines(path=str(tmp_path)).read_bytes()
    with pytest.raises(InputError, match=r"^ftq://host/rows cannot be read: .* Check address"):
        JsonLines(path="ftq://host/rows").read_bytes()


def test_an_object_of_a_bucket_is_read_over_http(s3_bucket: str) -> None:
    import boto3

    boto3.client("s3").put_object(Bucket=s3_bucket, Key="in/rows.jsonl.gz", Body=gzip.compress(as_json_lines(ROWS)))
    source = JsonLines(path=f"s3://{s3_bucket}/in/rows.jsonl.gz")
    assert [row for _, row in source.rows(source.read_bytes())] == ROWS


def test_a_bucket_or_object_that_does_not_exist_is_named(s3_bucket: str) -> None:
    for path in (f"s3://{s3_bucket}/rows.jsonl", "s3://no-such-bucket/rows.jsonl"):
        with pytest.raises(InputError, match=rf"^{path} does not exist"):
            JsonLines(path=path).read_bytes()


def test_missing_credentials_are_said_to_be_missing(s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=r"rows\.jsonl cannot be read: NoCredentialsError.* Check .* credentials"):
        JsonLines(path=f"s3://{s3_bucket}/rows.jsonl").read_bytes()
