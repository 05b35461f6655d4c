"""Sources: every format gives the same rows, and what cannot be read is said or raised, never dropped."""

import bz2
import errno
import gzip
import io
import json
import lzma
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError

from data_contracts.errors import InputError
from tasks.ingestion.addresses import readable_read_errors
from tasks.ingestion.rows import RawRows, UnreadableRow
from tasks.ingestion.sources import ArrowFiles, Conll, Csv, FileSource, JsonLines, Parquet, Source

Row = dict[str, Any]
Rows = Callable[[FileSource, bytes], list[tuple[int, Row]]]
Unreadable = Callable[[FileSource, bytes], list[UnreadableRow]]
Batches = Callable[[FileSource, bytes], list[RawRows]]

ROWS = [{"name": "Ana", "note": 'said "no",\nthen left'}, {"name": "Bình", "note": "tiếng Việt"}]


def as_json_lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_csv(rows: list[Row], delimiter: str = ",") -> bytes:
    cells = [list(rows[0]), *(list(row.values()) for row in rows)]
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in line] for line in cells]
    return "".join(delimiter.join(line) + "\r\n" for line in quoted).encode()


def as_parquet(rows: list[Row]) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), written)
    return written.getvalue()


def as_arrow(rows: list[Row], writer: Callable[..., Any] = pa.ipc.new_file) -> bytes:
    written = io.BytesIO()
    table = pa.Table.from_pylist(rows)
    with writer(written, table.schema) as stream:
        stream.write_table(table)
    return written.getvalue()


@pytest.mark.parametrize(
    ("source", "content"),
    [
        (JsonLines(path="a.jsonl"), as_json_lines(ROWS)),
        (JsonLines(path="a.jsonl.gz"), gzip.compress(as_json_lines(ROWS))),
        (JsonLines(path="a.jsonl.bz2"), bz2.compress(as_json_lines(ROWS))),
        (JsonLines(path="a.jsonl.XZ"), lzma.compress(as_json_lines(ROWS))),
        (JsonLines(path="https://host/a.jsonl.gz?key=v1.2"), gzip.compress(as_json_lines(ROWS))),
        (JsonLines(path="a.jsonl"), b"\xef\xbb\xbf" + as_json_lines(ROWS)),
        (Csv(path="a.csv"), as_csv(ROWS)),
        (Csv(path="a.csv"), b"\xef\xbb\xbf" + as_csv(ROWS)),
        (Csv(path="a.csv"), b"\r\n" + as_csv(ROWS)),
        (Csv(path="a.csv.gz"), gzip.compress(as_csv(ROWS))),
        (Csv(path="a.tsv", delimiter="\t"), as_csv(ROWS, "\t")),
        (Parquet(path="a.parquet"), as_parquet(ROWS)),
        (ArrowFiles(path="a.arrow"), as_arrow(ROWS)),
        (ArrowFiles(path="a.arrow"), as_arrow(ROWS, pa.ipc.new_stream)),
    ],
    ids=[
        *("json lines", "gzip", "bzip2", "xz", "gzip on the web", "byte order mark", "csv", "csv byte order mark"),
        *("csv empty line", "csv gzip", "tabs", "parquet", "arrow", "arrow stream"),
    ],
)
def test_every_format_gives_the_same_rows(source: Source, content: bytes, rows_of: Rows) -> None:
    assert [row for _, row in rows_of(source, content)] == ROWS


def test_json_lines_are_numbered_as_an_editor_numbers_them(rows_of: Rows) -> None:
    content = b'{"a": 1}\r\n\n  \n{"a": 2}\r{"a": 3}'
    assert rows_of(JsonLines(path="a"), content) == [(1, {"a": 1}), (4, {"a": 2}), (5, {"a": 3})]


def test_a_csv_row_is_numbered_by_the_line_it_ends_on(rows_of: Rows) -> None:
    content = b'a,b\n1,2\n\n"x\ny",3\n'
    assert rows_of(Csv(path="a"), content) == [(2, {"a": "1", "b": "2"}), (5, {"a": "x\ny", "b": "3"})]


def test_numbers_go_on_from_batch_to_batch(batches_of: Batches, rows_of: Rows) -> None:
    rows = [{"a": str(n)} for n in range(40_000)]
    # The carriage returns fall on every place in the pieces that the file is read in.
    for source, content, first in (
        (JsonLines(path="a"), as_json_lines(rows), 1),
        (JsonLines(path="a"), as_json_lines(rows).replace(b"\n", b"\r\n"), 1),
        (JsonLines(path="a"), as_json_lines(rows).replace(b"\n", b"\r"), 1),
        (Csv(path="a"), as_csv(rows), 2),
        (Parquet(path="a"), as_parquet(rows), 1),
        (ArrowFiles(path="a"), as_arrow(rows), 1),
        (ArrowFiles(path="a"), as_arrow(rows, pa.ipc.new_stream), 1),
    ):
        assert len(batches_of(source, content)) > 1
        assert rows_of(source, content) == list(enumerate(rows, start=first))


def test_large_rows_come_fewer_at_a_time(batches_of: Batches) -> None:
    rows = [{"a": "x" * 4_000_000} for _ in range(10)]
    assert len(batches_of(JsonLines(path="a"), as_json_lines(rows))) == 2
    assert len(batches_of(Parquet(path="a"), as_parquet([{"a": f"{n}" * 2_000_000} for n in range(10, 20)]))) > 1
    assert len(batches_of(ArrowFiles(path="a"), as_arrow(rows))) == 2
    # Parquet keeps a text once that recurs.
    assert len(batches_of(Parquet(path="a"), as_parquet(rows))) == 2
    cells = b"a,b\n" + b'"' + b"x" * 100_000 + b'",1\n'
    assert [len(batch.numbers) for batch in batches_of(Csv(path="a"), cells + cells[4:] * 400)] == [336, 65]


def test_an_empty_csv_cell_is_a_missing_value(rows_of: Rows) -> None:
    assert rows_of(Csv(path="a"), b"a,b\n,0\n") == [(2, {"a": None, "b": "0"})]


def test_a_key_that_some_lines_lack_is_a_missing_value(batches_of: Batches) -> None:
    (batch,) = batches_of(JsonLines(path="a"), b'{"a": 1}\n{"b": [2]}\n{}\n')
    assert batch == RawRows([1, 2, 3], {"a": [1, None, None], "b": [None, [2], None]})


@pytest.mark.parametrize(
    ("line", "problem", "value"),
    [
        (b'{"a": 1', "not JSON: Expecting ',' delimiter", '{"a": 1'),
        (b"[1, 2]", "list, not an object", "[1, 2]"),
        (b"null", "NoneType, not an object", "null"),
        (b'{"a": "\xe9"}', "not JSON: 'utf-8' codec can't decode byte 0xe9", '{"a": "\\xe9"}'),
        (b'{"a": "\\ud83d"}', "surrogates not allowed", '{"a": "\\ud83d"}'),
        (b'{"a": "\xed\xa0\xbd"}', "not JSON: 'utf-8' codec can't decode", '{"a": "\\xed\\xa0\\xbd"}'),
        (b"[" * 100_000, "not JSON: maximum recursion depth exceeded", "[" * 2_000),
        ("ệ".encode() * 3_000, "not JSON", "ệ" * 2_000),
    ],
    ids=["cut off", "list", "null", "latin-1", "half an emoji", "half an emoji's bytes", "nested too deep", "long"],
)
def test_a_line_that_is_no_row_is_a_problem_and_its_neighbours_are_read(
    line: bytes, problem: str, value: str, batches_of: Batches
) -> None:
    (batch,) = batches_of(JsonLines(path="a"), b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    assert (batch.numbers, batch.columns) == ([1, 3], {"a": [1, 2]})
    assert [(row.number, row.value) for row in batch.unreadable] == [(2, value)]
    assert problem in batch.unreadable[0].problem


def test_numbers_that_only_the_lenient_parser_reads_are_read(rows_of: Rows) -> None:
    found = rows_of(JsonLines(path="a"), b'{"a": Infinity}\n{"a": 1e400}\n{"a": NaN}\n{"a": 1}')
    assert [row["a"] for _, row in found[:2]] == [float("inf")] * 2
    assert found[2][1]["a"] != found[2][1]["a"]
    assert found[3] == (4, {"a": 1})


def test_an_emoji_written_as_an_escaped_pair_is_text(rows_of: Rows) -> None:
    assert rows_of(JsonLines(path="a"), b'{"a": "\\ud83d\\ude00"}') == [(1, {"a": "\U0001f600"})]


def test_objects_whose_keys_are_data_are_refused_before_they_fill_the_memory(batches_of: Batches) -> None:
    with pytest.raises(InputError, match=r"a\.jsonl, lines 1 to 1200, has 1,200 different keys"):
        batches_of(JsonLines(path="a.jsonl"), as_json_lines([{f"user {n}": 1} for n in range(1200)]))


def test_a_file_without_lines_is_refused_before_it_fills_the_memory(batches_of: Batches) -> None:
    with pytest.raises(InputError, match=r"a\.jsonl\.xz has a line of more than 134,217,728 bytes, which is no row"):
        batches_of(JsonLines(path="a.jsonl.xz"), lzma.compress(bytes(140 * 2**20), preset=0))


def test_a_csv_row_with_too_few_or_too_many_cells_is_a_problem(unreadable_in: Unreadable) -> None:
    assert unreadable_in(Csv(path="a"), b'a,b\n1\n1,2\n1,"2",3\n') == [
        UnreadableRow(2, "1 cells, but 2 in the header", "1"),
        UnreadableRow(4, "3 cells, but 2 in the header", "1,2,3"),
    ]


def test_a_csv_row_that_is_not_utf8_is_a_problem_and_not_changed_silently(batches_of: Batches) -> None:
    (batch,) = batches_of(Csv(path="a"), "a\nbien\ncafé\n".encode("latin-1"))
    assert batch.unreadable == (UnreadableRow(3, "not UTF-8", "caf\\xe9"),)
    assert (batch.numbers, batch.columns) == ([2], {"a": ("bien",)})


def test_a_csv_header_that_is_not_utf8_is_refused(batches_of: Batches) -> None:
    with pytest.raises(InputError, match=r"a\.csv has a header that is not UTF-8\. Save the file as UTF-8"):
        batches_of(Csv(path="a.csv"), "café,b\n1,2\n".encode("latin-1"))


def zipped(content: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("a.csv", content)
    return written.getvalue()


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (gzip.compress, r"with gzip: let its name end with \.gz"),
        (bz2.compress, r"with bzip2: let its name end with \.bz2"),
        (lzma.compress, r"with xz: let its name end with \.xz"),
        (lambda content: b"\x28\xb5\x2f\xfd" + content, "with Zstandard, which is not read"),
        (zipped, "is a ZIP archive or a file of Excel"),
        (lambda content: as_parquet(ROWS), r"is a Parquet file: read it with `kind: parquet`"),
        *(
            (lambda content, e=e: content.decode().encode(e), "UTF-16.*: save it as UTF-8")
            for e in ("utf-16", "utf-16-be")
        ),
        (lambda content: content.decode().encode("utf-32-le"), "UTF-16 or UTF-32: save it as UTF-8"),
    ],
    ids=["gzip", "bzip2", "xz", "zstd", "zip", "parquet", "utf-16", "utf-16-be", "utf-32-le"],
)
def test_a_file_that_is_no_text_is_called_what_it_is(
    write: Callable[[bytes], bytes], told: str, batches_of: Batches
) -> None:
    for source in (Csv(path="a.csv"), JsonLines(path="a.jsonl"), Conll(path="a.conll"), JsonLines(path="a.jsonl.gz")):
        content = write(b"text,label\nhello,greeting\n")
        with pytest.raises(InputError, match=rf"^{source.path} .*{told}"):
            batches_of(source, gzip.compress(content) if source.path.endswith(".gz") else content)


def test_a_csv_column_named_twice_is_refused(batches_of: Batches) -> None:
    with pytest.raises(InputError, match=r"a\.csv has the column\(s\) '', 'text' twice"):
        batches_of(Csv(path="a.csv"), b"text,id,text,,\n1,2,3,,\n")


@pytest.mark.parametrize("header", [b"text;label", b'"text";"label"'])
def test_a_wrong_delimiter_is_answered_with_the_right_one(header: bytes, batches_of: Batches) -> None:
    with pytest.raises(InputError, match=r"a\.csv has one column by the delimiter ',', .* Set `delimiter: \";\"`"):
        batches_of(Csv(path="a.csv"), header + b"\nhello;greeting\n")
    with pytest.raises(InputError, match=r"one column by the delimiter ',', .* Set `delimiter: \"\\t\"`"):
        batches_of(Csv(path="a.csv"), b"text\tlabel\n")


def test_a_csv_of_one_column_is_read(rows_of: Rows) -> None:
    assert rows_of(Csv(path="a.csv"), b"text\na;b\n") == [(2, {"text": "a;b"})]


def test_a_long_text_is_a_cell_too(rows_of: Rows) -> None:
    assert rows_of(Csv(path="a"), b"a,b\n" + b"x" * 300_000 + b",1\n") == [(2, {"a": "x" * 300_000, "b": "1"})]


def test_an_open_quote_is_shown_where_it_opens(batches_of: Batches) -> None:
    with pytest.raises(InputError, match=r"a\.csv, row after line 2: .* Check the quotes and `delimiter`"):
        batches_of(Csv(path="a.csv"), b'a,b\n1,2\n1,"2\n1,2\n1,2\n')


def damaged(content: bytes, position: int) -> bytes:
    return content[:position] + bytes(255 - byte for byte in content[position : position + 8]) + content[position + 8 :]


def test_a_damaged_or_half_copied_file_is_named_for_every_format(batches_of: Batches) -> None:
    rows = [{"a": f"row {n * n}"} for n in range(500)]
    lines, parquet = as_json_lines(rows), as_parquet(rows)
    arrow, stream = as_arrow(rows), as_arrow(rows, pa.ipc.new_stream)
    cases: list[tuple[FileSource, bytes]] = [
        (JsonLines(path="a.jsonl.gz"), lines),
        *((JsonLines(path="a.jsonl.gz"), broken) for broken in breaks(gzip.compress(lines), 40)),
        *((Csv(path="a.csv.bz2"), broken) for broken in breaks(bz2.compress(lines), 40)),
        *((Csv(path="a.csv.xz"), broken) for broken in breaks(lzma.compress(lines), 40)),
        *((Parquet(path="a.parquet"), broken) for broken in breaks(parquet, 8)),
        (Parquet(path="a.parquet"), damaged(parquet, 200)),
        *((ArrowFiles(path="a.arrow"), broken) for broken in breaks(arrow, len(arrow) - 30)),
        *((ArrowFiles(path="a.arrow"), broken) for broken in breaks(stream, 16)),
        *((ArrowFiles(path="a.arrow"), damaged(whole, whole.index(b"row 0"))) for whole in (arrow, stream)),
        (ArrowFiles(path="a.arrow"), b""),
    ]
    assert len(cases) > 12
    for source, content in cases:
        with pytest.raises(InputError, match=rf"^{source.path} is not a whole .* Copy it again"):
            batches_of(source, content)


def breaks(content: bytes, place: int) -> list[bytes]:
    return [content[: len(content) // 2], content[:-4], damaged(content, place)]


def test_an_arrow_stream_that_is_cut_between_two_batches_is_not_a_shorter_file(
    batches_of: Batches, rows_of: Rows
) -> None:
    table = pa.table({"a": [1, 2, 3]})
    written = io.BytesIO()
    ends = []
    with pa.ipc.new_stream(written, table.schema) as stream:
        for batch in table.to_batches(max_chunksize=1):
            stream.write_batch(batch)
            ends.append(written.tell())
    assert rows_of(ArrowFiles(path="a.arrow"), written.getvalue()) == [(n, {"a": n}) for n in (1, 2, 3)]
    with pytest.raises(InputError, match=r"a\.arrow is not a whole Arrow file: the mark at its end is missing"):
        batches_of(ArrowFiles(path="a.arrow"), written.getvalue()[: ends[1]])


def test_files_without_rows_give_none(rows_of: Rows) -> None:
    empty = pa.table({"a": pa.array([], pa.string())})
    written = io.BytesIO()
    pq.write_table(empty, written)
    assert rows_of(Parquet(path="a"), written.getvalue()) == []
    for content in (b"", b"\n\n"):
        assert rows_of(JsonLines(path="a"), content) == []
        assert rows_of(Csv(path="a"), content) == []


def test_a_file_or_folder_that_cannot_be_read_is_named_with_the_remedy(tmp_path: Path) -> None:
    for source, message in (
        (JsonLines(path=str(tmp_path / "rows.jsonl")), r"rows\.jsonl does not exist\. Correct the path, or"),
        (JsonLines(path=str(tmp_path)), r"is a folder, not a file of rows\. Name a file, or end the path with"),
        (JsonLines(path="ftq://host/rows"), r"^ftq://host/rows cannot be read: .* Check address"),
    ):
        with pytest.raises(InputError, match=message):
            source.shards()
        with pytest.raises(InputError, match=message), source.local_copy(tmp_path):
            pass


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may read everything, so the rights are given up for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_or_folder_without_read_permission_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    file = folder / "rows.jsonl"
    file.write_bytes(b"")
    for parent in (folder, *tmp_path.parents[:2], tmp_path):
        parent.chmod(0o755)
    file.chmod(0)
    source = JsonLines(path=str(file))
    with somebody_else(), pytest.raises(InputError, match=r"rows\.jsonl may not be read: .* Check its permissions"):
        source.local_copy(tmp_path).__enter__()
    folder.chmod(0)
    with somebody_else(), pytest.raises(InputError, match=r"rows\.jsonl may not be read: .* Check its permissions"):
        source.shards()
    with somebody_else(), pytest.raises(InputError, match=r"\*\*/\*\.jsonl may not be read: .* Check its permissions"):
        JsonLines(path=f"{tmp_path}/**/*.jsonl").shards()
    links = tmp_path / "links"
    links.mkdir()
    (links / "may").symlink_to(folder)
    with somebody_else(), pytest.raises(InputError, match=r"\*/\*\.jsonl may not be read: .* Check its permissions"):
        JsonLines(path=f"{links}/*/*.jsonl").shards()
    folder.chmod(0o755)


def test_a_full_disk_is_not_taken_for_a_wrong_address() -> None:
    with (
        pytest.raises(InputError, match=r"^s3://b/a finds no room here: .*No space left"),
        readable_read_errors("s3://b/a"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_shards_are_the_files_that_match_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.csv", "deep/er/d.jsonl", "a[1].jsonl", "f.jsonl/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    matching = {
        "*.jsonl": ["a.jsonl", "a[1].jsonl", "b.jsonl"],
        "[ab].jsonl": ["a.jsonl", "b.jsonl"],
        "?.csv": ["c.csv"],
        "**/*.jsonl": ["a.jsonl", "a[1].jsonl", "b.jsonl", "deep/er/d.jsonl"],
        "a[1].jsonl": ["a[1].jsonl"],
        "c.csv": ["c.csv"],
    }
    for pattern, names in matching.items():
        source = JsonLines(path=f"{tmp_path}/{pattern}", drop=("x",))
        assert source.shards() == [f"{tmp_path}/{name}" for name in names]
        assert source.at(source.shards()[0]) == JsonLines(path=f"{tmp_path}/{names[0]}", drop=("x",))


def test_files_and_folders_that_links_lead_to_match_a_pattern_too(tmp_path: Path) -> None:
    (tmp_path / "kept" / "may").mkdir(parents=True)
    (tmp_path / "kept" / "may" / "a.jsonl").write_bytes(b"")
    rows = tmp_path / "rows"
    rows.mkdir()
    (rows / "a.jsonl").symlink_to(tmp_path / "kept" / "may" / "a.jsonl")
    (rows / "may").symlink_to(tmp_path / "kept" / "may")
    (rows / "itself").symlink_to(rows)
    assert JsonLines(path=f"{rows}/*.jsonl").shards() == [f"{rows}/a.jsonl"]
    assert JsonLines(path=f"{rows}/m*/*.jsonl").shards() == [f"{rows}/may/a.jsonl"]
    assert JsonLines(path=f"{rows}/**/*.jsonl").shards() == [f"{rows}/a.jsonl"]
    (rows / "latest").symlink_to(rows / "may")
    (rows / "b.jsonl").symlink_to(rows / "a.jsonl")
    assert JsonLines(path=f"{rows}/[lm]*/*.jsonl").shards() == [f"{rows}/latest/a.jsonl"]
    assert JsonLines(path=f"{rows}/*.jsonl").shards() == [f"{rows}/a.jsonl"]
    (rows / "b.jsonl").unlink()
    (rows / "a.jsonl").unlink()
    (rows / "a.jsonl").symlink_to(tmp_path / "gone")
    source = JsonLines(path=f"{rows}/*.jsonl")
    with (
        pytest.raises(InputError, match=r"a\.jsonl does not exist"),
        source.at(source.shards()[0]).local_copy(tmp_path),
    ):
        pass


def test_a_pattern_that_nothing_matches_is_shown_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").mkdir()
    with pytest.raises(InputError, match=rf"^nothing in {tmp_path} matches {tmp_path}/\*\.jsonl\. Correct the pattern"):
        JsonLines(path=f"{tmp_path}/*.jsonl").shards()
    with pytest.raises(InputError, match=r"none/\*\.jsonl does not exist"):
        JsonLines(path=f"{tmp_path}/none/*.jsonl").shards()


def test_a_local_file_is_read_where_it_lies(tmp_path: Path) -> None:
    file, folder = tmp_path / "rows.jsonl", tmp_path / "copies"
    file.write_bytes(as_json_lines(ROWS))
    for path in (str(file), f"file://{file}"):
        with JsonLines(path=path).local_copy(folder) as local:
            assert local == file
    assert file.exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "json_lines", "path": ""},
        {"kind": "json_lines", "path": "a", "delimiter": ","},
        {"kind": "csv", "path": "a", "delimiter": ",,"},
        {"kind": "conll", "path": "a", "token_column": -1},
        {"kind": "conll", "path": "a", "scheme": "iobes"},
        {"kind": "hugging_face", "path": "a", "split": "train[:10%]"},
        {"kind": "arrow", "path": "a", "columns": {"text": {"joined": "tokens"}}},
        {"kind": "arrow", "path": "a", "columns": {"entities": {"tokens": "tokens"}}},
        {"kind": "xml", "path": "a"},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Source).validate_python(settings)


def test_a_source_comes_back_from_what_a_run_notes_of_it() -> None:
    settings = {
        "kind": "conll",
        "path": "a.conll",
        "columns": {"entities": {"tokens": "tokens", "tags": "tags"}, "title": {"join": "tokens"}, "body": "text"},
        "drop": ["text"],
    }
    adapter: TypeAdapter[Source] = TypeAdapter(Source)
    source = adapter.validate_python(settings)
    assert adapter.validate_python(source.model_dump(mode="json")) == source
