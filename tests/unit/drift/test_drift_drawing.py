"""A draw from a window that is larger than a model need answer, up to three million rows."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tasks.drift.drawing import FILE, draw_window

ROWS, AT_ONCE = 3_000_000, 100_000
PROGRAM = """
import sys
from pathlib import Path
from tasks.drift.drawing import draw_window
rows = draw_window(Path(sys.argv[1]), 20_000, Path(sys.argv[2]))
# The peak of this program; what `resource` says is that of the program that started it, if that was larger.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(rows, status["VmHWM"].split()[0])
"""


def write_window(folder: Path, rows: int, at_once: int = AT_ONCE) -> Path:
    """A window of numbered rows, of texts of some 200 characters, written piece by piece."""
    folder.mkdir()
    schema = pa.schema({"_id": pa.string(), "text": pa.string(), "number": pa.int64()})
    with pq.ParquetWriter(folder / FILE, schema) as writer:
        for start in range(0, rows, at_once):
            numbers = pa.array(np.arange(start, min(rows, start + at_once)))
            ids = pc.cast(numbers, pa.string())
            texts = pc.binary_join_element_wise(ids, "where is my refund? " * 10, " ")
            writer.write_table(pa.table({"_id": ids, "text": texts, "number": numbers}, schema))
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "drawn"
    folder.mkdir()
    return folder


def test_three_million_rows_are_drawn_from_fairly_and_within_little_memory(tmp_path: Path, output: Path) -> None:
    window = write_window(tmp_path / "window", ROWS)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(window), str(output)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    rows, kilobytes = map(int, done.stdout.split())
    assert rows == 20_000
    # The texts alone are 600 MB.
    assert kilobytes < 600_000
    drawn = pq.read_table(output / FILE)
    numbers = drawn.column("number").to_numpy()
    assert len(numbers) == 20_000
    assert (np.diff(numbers) > 0).all()
    # A tenth of the window has 2000 rows, give or take four times 42.
    assert np.abs(np.bincount(numbers // (ROWS // 10), minlength=10) - 2000).max() < 170
    assert drawn.column("_id").to_pylist() == [str(number) for number in numbers]


def test_a_row_is_drawn_whole_across_pieces(tmp_path: Path, output: Path) -> None:
    window = write_window(tmp_path / "window", 1000, at_once=70)
    assert draw_window(window, 990, output) == 990
    found = pq.read_table(output / FILE).to_pydict()
    assert found["_id"] == [str(number) for number in found["number"]]
    assert all(text.startswith(f"{number} where") for text, number in zip(found["text"], found["number"], strict=True))
    # Both ends can be drawn.
    assert found["number"][0] < 5
    assert found["number"][-1] > 994


@pytest.mark.parametrize("rows", [0, 1, 10])
def test_of_a_small_window_all_rows_are_taken(rows: int, tmp_path: Path, output: Path) -> None:
    assert draw_window(write_window(tmp_path / "window", rows), 10, output) == rows
    assert pq.read_table(output / FILE).column("number").to_pylist() == list(range(rows))


def test_the_same_window_gives_the_same_rows(tmp_path: Path, output: Path) -> None:
    window = write_window(tmp_path / "window", 500)
    draw_window(window, 50, output)
    first = (output / FILE).read_bytes()
    draw_window(window, 50, output)
    assert (output / FILE).read_bytes() == first
