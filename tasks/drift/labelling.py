"""The rows of a window that are most worth labelling, and the file that people fill in.

Half of them are drawn at random, so that what they say of the model's accuracy holds for the window. The other half
teaches most: rows that the model is unsure of and that nothing in the reference is like, spread over what they are
about (pre-filtered, then one a cluster of a weighted k-means: Zhdanov 2019, arXiv:1901.05954).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.dataset import DatasetContract
from data_contracts.labelling import AT_RANDOM, CHOSEN, MOST_TELLING
from tasks.drift.novelty import nearest_distances

CANDIDATES_A_PLACE = 10


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
    telling = left[spread(window[left], worth, count // 2, seed)]
    chosen = [Chosen(int(of), AT_RANDOM) for of in at_random] + [Chosen(int(of), MOST_TELLING) for of in telling]
    return sorted(chosen)


def spread(embeddings: NDArray[np.float32], worth: NDArray[np.float64], count: int, seed: int) -> NDArray[np.intp]:
    """Positions of `count` rows of high worth that are not about the same."""
    from sklearn.cluster import KMeans

    best = np.argsort(-worth, kind="stable")[: CANDIDATES_A_PLACE * count]
    places = min(count, len(np.unique(embeddings[best], axis=0)))
    if places == 0:
        return best[:0]
    clusters = KMeans(places, n_init=1, random_state=seed).fit_predict(
        embeddings[best].astype(np.float64), sample_weight=np.maximum(worth[best], 1e-12)
    )
    # `best` stands in the order of worth, so the first of each cluster is its best.
    firsts = np.unique(clusters, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(best)), firsts)
    return np.asarray(best[np.concatenate([np.sort(firsts), others])[:count]])


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
    return list({text: position for position, text in reversed(list(enumerate(texts)))}.values())[::-1]


def rows_to_fill(
    rows: Sequence[Mapping[str, Any]], chosen: Sequence[Chosen], contract: DatasetContract
) -> list[dict[str, Any]]:
    """The chosen rows under the contract's columns, labels empty, with the column CHOSEN behind them."""
    names = [column.name for column in contract.columns]
    labels = {column.name for column in contract.columns if column.is_label}
    return [
        {
            **{name: None if name in labels else _as_json(rows[position].get(name)) for name in names},
            CHOSEN: why,
        }
        for position, why in chosen
    ]


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
