"""graft: one window of very many rows, whose predictions lie on disk, held against a reference of 5,000."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.drift_peers.graft import TASK, measure_predictions, write_reference_of
from benchmarks.drift_peers.rows import Rows
from benchmarks.drift_peers.scenarios import REFERENCE_ROWS
from benchmarks.measuring import Clock, report

WIDTH, LABELS = 256, ("no", "yes")
ROWS_AT_ONCE = 50_000
SEED = 26_013


def main(rows: int) -> None:
    """Measures a window that a process of its own has written, so that its memory is not in this one's; reports."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-m", "benchmarks.drift_peers.memory", str(rows), name], check=True)
        clock = Clock()
        measure_predictions(Path(name), LABELS, rows)
        report({"measure": clock.seconds}, {"window": rows}, clock.processor_seconds)


def write(rows: int, folder: Path) -> None:
    """The reference, and the predictions of a window like it, as the stages before leave them."""
    random = np.random.default_rng(SEED)
    write_reference_of(_drawn(REFERENCE_ROWS, random), folder)
    schema = pa.schema({"_id": pa.string(), TASK: pa.string(), f"{TASK}_confidence": pa.float64()})
    embeddings = np.lib.format.open_memmap(folder / "window.npy", "w+", np.float32, (rows, WIDTH))
    scores = np.lib.format.open_memmap(folder / f"window.{TASK}.scores.npy", "w+", np.float32, (rows, len(LABELS)))
    with pq.ParquetWriter(folder / "window.parquet", schema) as file:
        for start, block in _blocks(rows, random):
            there = slice(start, start + len(block.label))
            embeddings[there], scores[there] = block.embeddings, np.log(block.shares)
            columns: list[Any] = [block.text, np.array(LABELS)[block.answer], block.confidence]
            file.write_table(pa.table([pa.array(of) for of in columns], schema=schema))


def _blocks(rows: int, random: np.random.Generator) -> Iterator[tuple[int, Rows]]:
    for start in range(0, rows, ROWS_AT_ONCE):
        yield start, _drawn(min(ROWS_AT_ONCE, rows - start), random, first=start)


def _drawn(rows: int, random: np.random.Generator, first: int = 0) -> Rows:
    """Two clouds, one a label; probabilities that are right as often as they say."""
    sure = random.uniform(0.01, 0.99, rows)
    label = (random.random(rows) < sure).astype(np.int64)
    return Rows(
        source=np.full(rows, ""),
        text=np.arange(first, first + rows).astype(str),
        domain=np.full(rows, ""),
        embeddings=(random.normal(size=(rows, WIDTH)) + label[:, None]).astype(np.float32),
        shares=np.stack([1 - sure, sure], axis=1).astype(np.float32),
        label=label,
    )


if __name__ == "__main__":
    if len(sys.argv) > 2:
        write(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]))
