"""Training rows balanced and augmented; the rows that a model is judged on stay as they are, to the byte."""

import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.errors import InputError
from data_contracts.splits import TRAIN
from tasks.modeling.row_ids import id_of_made
from tasks.preparation.balancing import Balance
from tasks.preparation.settings import Preparation
from tasks.preparation.variants import Columns, KnownTexts, variants_of, with_values

logger = logging.getLogger(__name__)
TRAINING_FILE = f"{TRAIN}.parquet"
ROWS_PER_BATCH = 32_768


def prepare_rows(
    snapshot: Path,
    settings: Preparation,
    *,
    text_column: str,
    tag_columns: tuple[str, ...],
    output: Path,
    pair_column: str | None = None,
    answer_columns: tuple[str, ...] = (),
) -> dict[str, int]:
    """Writes `train.parquet` anew and copies everything else; returns the rows of each split.

    Training rows come first, in their order; then repeated ones, with `~oversample1` and so on behind their `_id`; then
    variants, kind by kind, with `~punctuation1` and so on. All else that a row holds is copied, the second text of a
    pair included. A variant that equals a text (or pair) of any split is left out, so no text to be judged on gets into
    training. A row whose text holds an answer gets no variant.

    Rows stream through in batches. What stays in memory is, to balance, ids and labels of the training rows and, to
    augment, a number for each text of every split (about 100 bytes). Raises InputError where there are no training
    rows, or no labels to balance by.
    """
    source = snapshot / TRAINING_FILE
    if not source.is_file():
        raise InputError(
            "the snapshot has no split `train`, so there is nothing to balance or augment. Add its source."
        )
    shutil.copytree(snapshot, output, ignore=shutil.ignore_patterns(TRAINING_FILE), dirs_exist_ok=True)
    times = None if settings.balance is None else _times(source, settings.balance, settings.seed)
    with pq.ParquetWriter(output / TRAINING_FILE, pq.read_schema(source)) as writer:
        for batch in _balanced(source, times, settings.balance):
            writer.write_batch(batch)
        columns = Columns(text_column, tag_columns, pair_column, answer_columns)
        for batch in _variants(snapshot, settings, times, columns):
            writer.write_batch(batch)
    return {path.stem: pq.read_metadata(path).num_rows for path in sorted(output.glob("*.parquet"))}


def _times(source: Path, balance: Balance, seed: int) -> NDArray[np.int64]:
    """How often each training row is shown."""
    types = pq.read_schema(source)
    column = balance.column
    if column not in types.names or column.startswith("_"):
        there = ", ".join(name for name in types.names if not name.startswith("_"))
        raise InputError(f"`preparation.balance.column: {column}` is no column of the rows; they have {there}.")
    if not any(
        test(types.field(column).type) for test in (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean)
    ):
        raise InputError(
            f"`preparation.balance.column: {column}` holds {types.field(column).type}, which has no labels to balance. "
            "Name a column of labels."
        )
    table = pq.read_table(source, columns=["_id", column])
    times = balance.times(table.column("_id").to_pylist(), table.column(column).to_pylist(), seed)
    logger.info("%s of %s: %d rows become %d", balance.kind, column, len(times), times.sum())
    return times


def _balanced(source: Path, times: NDArray[np.int64] | None, balance: Balance | None) -> Iterator[pa.RecordBatch]:
    """Rows in their order without those that are dropped, then what is repeated."""
    for start, batch in _batches(source):
        yield batch if times is None else batch.filter(pa.array(times[start : start + batch.num_rows] > 0))
    if balance is None or times is None or times.max(initial=1) < 2:
        return
    for start, batch in _batches(source):
        more = np.maximum(times[start : start + batch.num_rows] - 1, 0)
        rows = np.repeat(np.arange(batch.num_rows), more)
        copies = np.arange(len(rows)) - np.repeat(more.cumsum() - more, more) + 1
        for at in range(0, len(rows), ROWS_PER_BATCH):
            repeated = batch.take(pa.array(rows[at : at + ROWS_PER_BATCH]))
            names = zip(repeated.column("_id").to_pylist(), copies[at : at + ROWS_PER_BATCH], strict=True)
            yield with_values(repeated, "_id", [id_of_made(row_id, f"{balance.kind}{copy}") for row_id, copy in names])


def _batches(source: Path) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Position of the first row, and the rows."""
    start = 0
    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(ROWS_PER_BATCH):
            yield start, batch
            start += batch.num_rows


def _variants(
    snapshot: Path, settings: Preparation, times: NDArray[np.int64] | None, columns: Columns
) -> Iterator[pa.RecordBatch]:
    """Variants of the balanced rows, kind by kind; says of each kind how many there are."""
    known = KnownTexts()
    for split in sorted(snapshot.glob("*.parquet")) if settings.augment else ():
        known.read(split, columns)
    for variation in settings.augment:
        facts: Counter[str] = Counter()
        for batch in _balanced(snapshot / TRAINING_FILE, times, settings.balance):
            yield variants_of(batch, variation, settings.seed, columns, known, facts)
        logger.info("%s: %d variants of %d rows", variation.kind, facts["variants"], facts["rows"])
        if facts["tagged"]:
            logger.warning(
                "%s: %d rows drawn for it carry tags or answers, which it cannot keep, and got no variant",
                variation.kind,
                facts["tagged"],
            )
