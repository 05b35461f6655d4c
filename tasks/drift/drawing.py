"""Of a window of millions of rows, as many as a model need answer to tell what the window is."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.splits import WINDOW

FILE = f"{WINDOW}.parquet"
SEED = 20_267


def draw_window(snapshot: Path, most_rows: int, output: Path) -> int:
    """Writes so many of the window's rows, in order, drawn at random; returns their number.

    Rows are read batch by batch, so memory grows with what is drawn and not with the window.
    """
    with pq.ParquetFile(snapshot / FILE) as file:
        rows = file.metadata.num_rows
        wanted = np.sort(np.random.default_rng(SEED).choice(rows, min(rows, most_rows), replace=False))
        with pq.ParquetWriter(output / FILE, file.schema_arrow) as writer:
            start = 0
            for batch in file.iter_batches():
                low, high = np.searchsorted(wanted, [start, start + batch.num_rows])
                if high > low:
                    writer.write_batch(batch.take(pa.array(wanted[low:high] - start)))
                start += batch.num_rows
    return len(wanted)
