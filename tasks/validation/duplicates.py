"""Rows whose text another row has already, letter for letter or nearly, inside a split and across splits."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tasks.validation.near_duplicates import near_pairs, starts_of_runs

# What an empty text has in place of a fingerprint; it is nobody's duplicate.
EMPTY = np.uint64(0)

Rows = npt.NDArray[np.int64]


class Duplicates(NamedTuple):
    """For every row the row it repeats, or -1, whether their words are the same, and the first row with its words."""

    of: Rows
    exact: npt.NDArray[np.bool_]
    first: Rows


def fingerprints(texts: Any) -> npt.NDArray[np.uint64]:
    """64-bit hashes, the same in every run and on every machine; `EMPTY` for empty and missing texts.

    Two of a million different texts share one with a probability of 3e-8.
    """
    if isinstance(texts, pa.ChunkedArray):
        return np.concatenate([np.empty(0, dtype=np.uint64), *map(fingerprints, texts.chunks)])
    filled = pc.fill_null(texts, "")
    hashes: npt.NDArray[np.uint64] = pd.util.hash_array(
        filled.to_numpy(zero_copy_only=False).astype(object), categorize=False
    )
    hashes[hashes == EMPTY] = 1
    hashes[pc.equal(pc.binary_length(filled), 0).to_numpy(zero_copy_only=False)] = EMPTY
    return hashes


def exact_groups(prints: npt.NDArray[np.uint64], priority: npt.NDArray[np.integer[Any]]) -> Rows:
    """For every row the first row of its fingerprint: of the highest priority, then in order. Itself where alone."""
    order = np.lexsort((-priority.astype(np.int64), prints))
    first = np.empty(len(prints), dtype=np.int64)
    first[order] = order[starts_of_runs(prints[order])]
    return np.where(prints == EMPTY, np.arange(len(prints)), first)


def find_duplicates(
    texts: Iterable[Any],
    priority: npt.NDArray[np.integer[Any]],
    similarity: float | None,
    scratch: Path,
) -> Duplicates:
    """Duplicates among texts of words alone, given as Arrow arrays of all splits one after the other.

    A row repeats the first row, by higher `priority` and then by order, that has its text or, from a Jaccard
    `similarity` of their shingles on, nearly its text. Of its own priority only rows that repeat nothing count, so
    dropping all duplicates leaves one of each; of a higher one (the test split's, seen from training) all count.
    With `similarity` None only equal texts are duplicates; else the folder `scratch` is filled with working files.
    """
    prints = _read(texts, None if similarity is None else scratch / "texts.arrow")
    if len(prints) != len(priority):
        raise ValueError(f"{len(prints)} texts but {len(priority)} priorities")
    rows = np.arange(len(prints))
    first = exact_groups(prints, priority)
    near = np.full(len(prints), -1)
    if similarity is not None:
        distinct = np.flatnonzero((first == rows) & (prints != EMPTY))
        ranked = distinct[np.argsort(-priority[distinct].astype(np.int64), kind="stable")]
        near = _first_kept(near_pairs(scratch / "texts.arrow", ranked, similarity, scratch), priority)
    copies = first != rows
    # A copy of a row that is itself near to another one repeats that one, unless the copied row is of another split.
    exact = copies & ((near[first] < 0) | (priority[first] > priority))
    return Duplicates(of=np.where(exact, first, near[first]), exact=exact, first=first)


def _read(texts: Iterable[Any], copy: Path | None) -> npt.NDArray[np.uint64]:
    """Fingerprints of all texts, which are written to the Arrow file `copy` on the way."""
    prints = [np.empty(0, dtype=np.uint64)]
    if copy is None:
        prints += [fingerprints(batch) for batch in texts]
    else:
        with pa.ipc.new_file(copy, pa.schema([("text", pa.large_string())])) as file:
            for batch in texts:
                prints.append(fingerprints(batch))
                file.write_table(pa.table({"text": pc.cast(pc.fill_null(batch, ""), pa.large_string())}))
    return np.concatenate(prints)


def _first_kept(pairs: Rows, priority: npt.NDArray[np.integer[Any]]) -> Rows:
    """For every row the first one it is near to among those that are kept or of higher priority, or -1.

    Pairs come in the order of their later row, so that it is known of the earlier one whether it is kept.
    """
    near, level = [-1] * len(priority), priority.tolist()
    for earlier, later in pairs.tolist():
        if near[later] < 0 and (near[earlier] < 0 or level[earlier] > level[later]):
            near[later] = earlier
    return np.array(near, dtype=np.int64)
