"""Reading streams: ten times the rows take hardly more memory."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

READ = """
import pathlib, sys
from pydantic import TypeAdapter
from tasks.ingestion.sources import Source
kind, path = sys.argv[1:]
source = TypeAdapter(Source).validate_python({"kind": kind, "path": path})
rows = sum(len(batch.numbers) for batch in source.batches(pathlib.Path(path)))
# Not ru_maxrss: a child begins with that of its parent.
peak = [line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(rows, peak[0].split()[1])
"""
TEXT = "Where is my refund? " * 50
FEW, MANY = 30_000, 300_000
# Two batches, since the next one is made before the last one is gone; the larger file is 300 MB of text.
ALLOWED_MEGABYTES = 150


def write_json_lines(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": n, "text": TEXT}) + "\n" for n in range(rows))


def write_gzip(path: Path, rows: int) -> None:
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        file.writelines(json.dumps({"id": n, "text": TEXT}) + "\n" for n in range(rows))


def write_csv(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("id,text\n")
        file.writelines(f"{n},{TEXT}\n" for n in range(rows))


def write_conll(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{n} O\n" + "refund B-THING\n" * 20 + "\n" for n in range(rows // 3))


def table(rows: int) -> pa.Table:
    return pa.table({"id": range(rows), "text": [f"{n} {TEXT}" for n in range(rows)]})


def write_parquet(path: Path, rows: int) -> None:
    pq.write_table(table(rows), path, row_group_size=1_000_000, use_dictionary=False)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not say how much memory was used")
@pytest.mark.parametrize(
    ("kind", "name", "write"),
    [
        ("json_lines", "a.jsonl", write_json_lines),
        ("json_lines", "a.jsonl.gz", write_gzip),
        ("csv", "a.csv", write_csv),
        ("conll", "a.conll", write_conll),
        ("parquet", "a.parquet", write_parquet),
    ],
)
def test_ten_times_the_rows_take_hardly_more_memory(
    kind: str, name: str, write: Callable[[Path, int], None], tmp_path: Path
) -> None:
    peaks = []
    for rows in (FEW, MANY):
        write(tmp_path / name, rows)
        command = [sys.executable, "-c", READ, kind, str(tmp_path / name)]
        read, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(read) >= rows // 3
        peaks.append(int(peak) // 1024)
        (tmp_path / name).unlink()
    assert peaks[1] - peaks[0] < ALLOWED_MEGABYTES
