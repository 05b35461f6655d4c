"""The rows of a window that are most worth labelling, and the file that people fill in.

Half of them are drawn at random, so that what they say of the model's accuracy holds for the window. The other half
teaches most: rows that the model is unsure of and that nothing in the reference is like, spread over what they are
about (greedy k-centre: Sener and Savarese 2018, arXiv:1708.00489).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_contracts.dataset import DatasetContract
from data_contracts.labelling import AT_RANDOM, CHOSEN, MOST_TELLING
from data_contracts.splits import WINDOW
from tasks.drift.evidence import EvidenceFolders, drawn_positions, read_seen, rows_at
from tasks.drift.novelty import nearest_distances
from tasks.modeling.heads import AnyHead

SEED = 20_264


class Chosen(NamedTuple):
    """A row by its position, and why it is worth labelling: MOST_TELLING or AT_RANDOM."""

    position: int
    why: str


def choose_rows(
    window: NDArray[np.float32],
    reference: NDArray[np.float32],
    uncertainty: NDArray[np.float64],
    *,
    count: int,
    seed: int,
) -> list[Chosen]:
    """`count` rows of (rows, width) embeddings, or all where there are no more, in the order of the window.

    `uncertainty` is (rows,), 0 to 1. The random half is drawn first and from all rows: what is left over by the other
    would be no fair sample.
    """
    at_random = np.random.default_rng(seed).permutation(len(window))[: count - count // 2]
    left = np.setdiff1d(np.arange(len(window)), at_random)
    worth = ranks(uncertainty[left]) * ranks(nearest_distances(window[left], reference))
    telling = left[spread(window[left], worth, count // 2)]
    chosen = [Chosen(int(of), AT_RANDOM) for of in at_random] + [Chosen(int(of), MOST_TELLING) for of in telling]
    return sorted(chosen)


def spread(embeddings: NDArray[np.float32], worth: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Positions of `count` rows, or of all: one after the other the row worth most for being unlike those before it.

    Farther than a row usually is from the mean of all counts as no farther, so that odd ones do not come first.
    """
    usual = max(float(np.median(_distances(embeddings, embeddings.mean(axis=0)))), 1e-12) if len(embeddings) else 1.0
    unlike = np.ones(len(embeddings))
    free = np.ones(len(embeddings), dtype=bool)
    taken: list[int] = []
    for _ in range(min(count, len(embeddings))):
        best = int(np.argmax(np.where(free, worth * unlike, -1.0)))
        taken.append(best)
        free[best] = False
        unlike = np.minimum(unlike, _distances(embeddings, embeddings[best]) / usual)
    return np.array(taken, dtype=np.intp)


def uncertainties(confidences: Mapping[str, NDArray[np.float64]], rows: int) -> NDArray[np.float64]:
    """(rows,) 0 to 1: how unsure the model is of a row beside the others, on average over its tasks.

    By rank, since confidences of two tasks do not compare; a row without a confidence is the least sure.
    """
    known = [ranks(1 - np.nan_to_num(values, nan=-1.0)) for values in confidences.values()]
    return np.mean(known, axis=0) if known else np.ones(rows)


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Above 0, up to 1: the share of values that are no larger, with ties at their mean."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values) / max(len(values), 1))


def first_of_each(texts: Sequence[str]) -> list[int]:
    """Positions of texts that did not come before."""
    firsts: dict[str, int] = {}
    for position, text in enumerate(texts):
        firsts.setdefault(text, position)
    return list(firsts.values())


def rows_worth_labelling(
    folders: EvidenceFolders,
    heads: Mapping[str, AnyHead],
    contract: DatasetContract,
    columns: Sequence[str],
    *,
    count: int,
    seed: int = SEED,
) -> list[dict[str, Any]]:
    """`count` rows of a window to be labelled, each distinct text once; `columns` are those of texts.

    Of a window of more than MOST_ROWS rows, as many drawn at random are looked at.
    """
    path = folders.checked / f"{WINDOW}.parquet"
    window, reference = read_seen(folders, heads, columns)
    if not len(window.embeddings):
        return []
    (positions,) = drawn_positions([pq.read_metadata(path).num_rows])
    firsts = np.array(first_of_each(window.shown))
    unsure = uncertainties(window.confidences, len(positions))[firsts]
    chosen = choose_rows(window.embeddings[firsts], reference.embeddings, unsure, count=count, seed=seed)
    rows = rows_at(path, positions[firsts[[position for position, _ in chosen]]]).to_pylist()
    return rows_to_fill(rows, [why for _, why in chosen], contract)


def rows_to_fill(
    rows: Sequence[Mapping[str, Any]], reasons: Sequence[str], contract: DatasetContract
) -> list[dict[str, Any]]:
    """Rows under the contract's columns, labels empty, with why each was chosen in the column CHOSEN behind them."""
    columns = {column.name: column.is_label for column in contract.columns}
    return [
        {name: None if empty else _as_json(row.get(name)) for name, empty in columns.items()} | {CHOSEN: why}
        for row, why in zip(rows, reasons, strict=True)
    ]


def _distances(embeddings: NDArray[np.float32], place: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(embeddings - place, axis=1), dtype=np.float64)


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
