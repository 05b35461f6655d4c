"""What a report about a window is made from, and how it is read from folders of the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.drift import DriftDecision
from data_contracts.splits import WINDOW
from tasks.drift.reference import HELD_OUT, read_reference
from tasks.modeling.answers import CONFIDENCE
from tasks.modeling.heads import AnyHead

MOST_ROWS = 20_000
SEED = 20_263


@dataclass(frozen=True)
class SeenRows:
    """Rows and what a model makes of them: texts, embeddings (rows, width), and by task the answers and the confidences
    (rows,); `seconds` are the second texts where rows are pairs, `others` what else rows say, by column. What is not
    known is empty."""

    texts: Sequence[str] = ()
    embeddings: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    confidences: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    seconds: Sequence[str] = ()
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def shown(self) -> list[str]:
        """The text of each row; of a pair both, one behind the other."""
        if not self.seconds:
            return list(self.texts)
        return [" / ".join(filter(None, pair)) for pair in zip(self.texts, self.seconds, strict=True)]


@dataclass(frozen=True)
class WindowEvidence:
    """A decision on a window, and what it was taken on.

    `rows` is how many the window has, of which `window` may hold a part. `earlier` are decisions with the same model
    version, oldest first; `levels` are the log evidence at which each monitor raises an alarm. The parts of `reference`
    need not be of the same rows: texts and answers tell how rows used to be, embeddings what is near. `proportions` are
    {task: {label: estimated share}} of the window.
    """

    decision: DriftDecision
    heads: Mapping[str, AnyHead]
    rows: int
    window: SeenRows = SeenRows()
    reference: SeenRows = SeenRows()
    earlier: Sequence[DriftDecision] = ()
    levels: Mapping[str, float] = field(default_factory=dict)
    proportions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class EvidenceFolders:
    """Folders of the store that a report is made from; the last two are None where the store holds them no more.

    checked: the window's rows. answers: the model's answers to them. held_out_rows: checked rows in domain that the
    model was not trained on, and held_out_answers its answers to those.
    """

    checked: Path
    answers: Path
    reference: Path
    held_out_rows: Path | None = None
    held_out_answers: Path | None = None


def read_seen(
    folders: EvidenceFolders, heads: Mapping[str, AnyHead], columns: Sequence[str], others: Sequence[str] = ()
) -> tuple[SeenRows, SeenRows]:
    """Window and reference; `columns` are those of texts, one or two, and `others` those of which slices are made."""
    window = read_rows_seen(folders.checked, folders.answers, (WINDOW,), heads, columns, others)
    before = SeenRows()
    if folders.held_out_rows is not None:
        before = read_rows_seen(folders.held_out_rows, folders.held_out_answers, HELD_OUT, heads, columns, others)
    # What the window was held against, which stays where held-out rows are gone.
    kept = read_reference(folders.reference).seen.embeddings
    (positions,) = drawn_positions([len(kept)])
    return window, replace(before, embeddings=kept[positions])


def read_rows_seen(
    snapshot: Path,
    answers: Path | None,
    splits: Sequence[str],
    heads: Mapping[str, AnyHead],
    columns: Sequence[str],
    others: Sequence[str] = (),
) -> SeenRows:
    """The rows of some splits through a model, of which MOST_ROWS drawn at random where there are more.

    `columns` are those of texts, one or two, and `others` are kept as words. Splits without a row are not there, and
    are left out.
    """
    drawn = _drawn_from(snapshot, splits)
    texts, *seconds = (
        [text or "" for path, positions in drawn for text in rows_at(path, positions, [column]).column(0).to_pylist()]
        for column in columns
    )
    tables = [rows_at(path, positions, others) for path, positions in drawn]
    kept = {name: _words(tables, name) for name in others if all(name in table.column_names for table in tables)}
    seen = SeenRows(texts, seconds=seconds[0] if seconds else (), others=kept)
    drawn = _drawn_from(answers, splits) if answers else []
    if not drawn:
        return seen
    names = [name for task in heads for name in (task, f"{task}{CONFIDENCE}")]
    given = pa.concat_tables([rows_at(path, positions, names) for path, positions in drawn], promote_options="default")
    return replace(
        seen,
        embeddings=np.concatenate([_embeddings_at(path.with_suffix(".npy"), positions) for path, positions in drawn]),
        answers={task: given.column(task).to_pylist() for task in heads},
        confidences={
            task: given.column(f"{task}{CONFIDENCE}").to_numpy().astype(np.float64)
            for task, head in heads.items()
            if head.has_confidence
        },
    )


def drawn_positions(sizes: Sequence[int]) -> list[NDArray[np.intp]]:
    """Positions in each of some files of so many rows: all, or MOST_ROWS of them drawn at random from all together."""
    total = sum(sizes)
    chosen = np.arange(total)
    if total > MOST_ROWS:
        chosen = np.sort(np.random.default_rng(SEED).choice(total, size=MOST_ROWS, replace=False))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)
    return [chosen[(chosen >= low) & (chosen < high)] - low for low, high in pairwise(starts)]


def rows_at(path: Path, positions: NDArray[np.intp], columns: Sequence[str] | None = None) -> pa.Table:
    """Rows of a Parquet file by position (sorted), batch by batch, so that memory does not grow with the file."""
    taken = []
    with pq.ParquetFile(path) as file:
        there = [name for name in columns if name in file.schema_arrow.names] if columns is not None else None
        schema = file.schema_arrow if there is None else pa.schema([file.schema_arrow.field(name) for name in there])
        start = 0
        for batch in file.iter_batches(columns=there):
            low, high = np.searchsorted(positions, [start, start + batch.num_rows])
            taken += [batch.take(pa.array(positions[low:high] - start))] if high > low else []
            start += batch.num_rows
    return pa.Table.from_batches(taken, schema=schema)


def _words(tables: Sequence[pa.Table], name: str) -> list[str]:
    return [str(value) for table in tables for value in table.column(name).to_pylist() if value is not None]


def _drawn_from(folder: Path, splits: Sequence[str]) -> list[tuple[Path, NDArray[np.intp]]]:
    """Files of the splits that are there, with the positions drawn from each."""
    paths = [path for split in splits if (path := folder / f"{split}.parquet").is_file()]
    return list(zip(paths, drawn_positions([pq.read_metadata(path).num_rows for path in paths]), strict=True))


def _embeddings_at(path: Path, positions: NDArray[np.intp]) -> NDArray[np.float32]:
    kept = np.load(path, mmap_mode="r", allow_pickle=False)
    return np.asarray(kept[positions], np.float32)
