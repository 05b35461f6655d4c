"""graft: one window of very many rows, of which it draws some for the model, held against a reference of 5,000.

The model's part is left out: what it would say of the rows that are drawn lies on disk before the time begins.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.drift_peers.graft import TASK, frozen
from benchmarks.drift_peers.rows import Rows
from benchmarks.drift_peers.scenarios import REFERENCE_ROWS
from benchmarks.measuring import Clock, report

WIDTH, LABELS = 256, ("no", "yes")
ROWS_AT_ONCE = 50_000
SEED = 26_013
SPLIT = "window"
TEXTS = pa.schema({"_id": pa.string(), "text": pa.string()})
ANSWERS = pa.schema({"_id": pa.string(), TASK: pa.string(), f"{TASK}_confidence": pa.float64()})


def main(rows: int, drawn: int) -> None:
    """Measures a window that a process of its own has written, so that its memory is not in this one's; reports."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "benchmarks.drift_peers.memory", str(rows), str(drawn), name], check=True)
        clock = Clock()
        _measure(folder, drawn)
        report({"measure": clock.seconds}, {"window": rows, "drawn": drawn}, clock.processor_seconds)


def _measure(folder: Path, drawn: int) -> None:
    from tasks.drift.drawing import draw_window
    from tasks.drift.measuring import measure_window
    from tasks.drift.policy import DriftPolicy
    from tasks.drift.quality import TextFacts
    from tasks.drift.reference import read_reference
    from tasks.drift.seen import see
    from tasks.modeling.heads import SingleLabelHead

    (folder / "drawn").mkdir()
    rows = draw_window(folder, drawn, output=folder / "drawn")
    texts = TextFacts(np.ones(rows, dtype=np.int64), np.zeros(rows), np.zeros(rows, dtype=bool))
    seen = see(folder / "answers", SPLIT, {TASK: SingleLabelHead(column=TASK, labels=LABELS)})
    measure_window(read_reference(folder), seen, texts, 0, DriftPolicy(), look=1)


def write(rows: int, drawn: int, folder: Path) -> None:
    """The reference, a window of texts like it, and predictions for as many as are drawn, as stages leave them."""
    from tasks.drift.reference import write_frozen

    random = np.random.default_rng(SEED)
    write_frozen(frozen(_drawn(REFERENCE_ROWS, random)), folder)
    with pq.ParquetWriter(folder / f"{SPLIT}.parquet", TEXTS) as file:
        for start in range(0, rows, ROWS_AT_ONCE):
            numbers = np.arange(start, min(rows, start + ROWS_AT_ONCE)).astype(str)
            texts = [f"text number {number} of a window that goes on for very long" for number in numbers]
            file.write_table(pa.table([pa.array(numbers), pa.array(texts)], schema=TEXTS))
    answers = folder / "answers"
    answers.mkdir()
    embeddings = np.lib.format.open_memmap(answers / f"{SPLIT}.npy", "w+", np.float32, (drawn, WIDTH))
    scores = np.lib.format.open_memmap(answers / f"{SPLIT}.{TASK}.scores.npy", "w+", np.float32, (drawn, len(LABELS)))
    with pq.ParquetWriter(answers / f"{SPLIT}.parquet", ANSWERS) as file:
        for start, block in _blocks(drawn, random):
            there = slice(start, start + len(block.label))
            embeddings[there], scores[there] = block.embeddings, np.log(block.shares)
            columns: list[Any] = [block.text, np.array(LABELS)[block.answer], block.confidence]
            file.write_table(pa.table([pa.array(of) for of in columns], schema=ANSWERS))


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
    if len(sys.argv) > 3:
        write(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]), int(sys.argv[2]))
