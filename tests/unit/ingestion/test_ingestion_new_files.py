"""Files of texts that are to be answered, read as the pipeline reads its own."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import InputError
from tasks.ingestion.new_files import reader_of
from tasks.ingestion.plan import DataSettings

TEXTS = ("text", "context")


def pipeline(source: dict[str, Any], windows: dict[str, Any] | None = None) -> DataSettings:
    given = {"windows": {"source": windows}} if windows else {}
    return DataSettings.model_validate({"contract": "c", "undivided": source, "splits": {"kind": "random"}, **given})


def read(data: DataSettings, file: Path) -> dict[int, dict[str, Any]]:
    reader = reader_of(data, str(file), TEXTS)
    assert reader is not None
    return reader(str(file))


def test_a_csv_is_read_by_the_settings_of_the_pipelines_own(tmp_path: Path) -> None:
    source = {"kind": "csv", "path": "rows.csv", "delimiter": ";", "columns": {"text": "Frage", "mood": "Laune"}}
    file = tmp_path / "neu.csv"
    file.write_bytes('\ufeffFrage;Nummer\r\n"zwei\nZeilen";7\r\nwo?;\r\n'.encode())
    assert read(pipeline(source | {"drop": ["Nummer"]}), file) == {
        3: {"Nummer": "7", "text": "zwei\nZeilen"},
        4: {"Nummer": None, "text": "wo?"},
    }


def test_a_file_that_has_the_contracts_names_already_is_read_as_it_is(tmp_path: Path) -> None:
    source = {"kind": "json_lines", "path": "rows.jsonl", "columns": {"text": "body"}}
    for key in ("body", "text"):
        (tmp_path / "new.jsonl").write_text(json.dumps({key: "hello"}) + "\n", encoding="utf-8")
        assert read(pipeline(source), tmp_path / "new.jsonl") == {1: {"text": "hello"}}


def test_windows_speak_before_other_sources(tmp_path: Path) -> None:
    windows = {"kind": "csv", "path": "{window}.csv", "delimiter": "|"}
    (tmp_path / "new.csv").write_text("text|n\na;b|1\n", encoding="utf-8")
    data = pipeline({"kind": "csv", "path": "rows.csv", "delimiter": ";"}, windows)
    assert read(data, tmp_path / "new.csv") == {2: {"text": "a;b", "n": "1"}}


def test_values_of_parquet_become_those_that_json_has(tmp_path: Path) -> None:
    when = datetime(2026, 8, 10, 9, 30, tzinfo=UTC)
    pq.write_table(pa.table({"text": ["hi"], "at": [when], "topics": [["a"]]}), tmp_path / "new.parquet")
    found = read(pipeline({"kind": "json_lines", "path": "rows.jsonl"}), tmp_path / "new.parquet")
    assert found == {1: {"text": "hi", "at": "2026-08-10T09:30:00+00:00", "topics": ["a"]}}


def test_compressed_json_lines_are_unpacked(tmp_path: Path) -> None:
    (tmp_path / "new.jsonl.gz").write_bytes(gzip.compress(b'{"text": "hi"}\n'))
    assert read(pipeline({"kind": "json_lines", "path": "rows.jsonl"}), tmp_path / "new.jsonl.gz") == {
        1: {"text": "hi"}
    }


@pytest.mark.parametrize("name", ["new.jsonl", "new.txt", "new", "s3://bucket/new"])
def test_json_lines_need_no_source(name: str) -> None:
    assert reader_of(pipeline({"kind": "csv", "path": "rows.csv"}), name, TEXTS) is None


def test_a_row_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("text,n\nhello,1\nhello,1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"new\.csv, line 3: 3 cells, but 2 in the header, found hello,1,2"):
        read(pipeline({"kind": "csv", "path": "rows.csv"}), tmp_path / "new.csv")
    (tmp_path / "new.csv").write_text("text,n\n", encoding="utf-8")
    with pytest.raises(InputError, match="holds no rows"):
        read(pipeline({"kind": "csv", "path": "rows.csv"}), tmp_path / "new.csv")
