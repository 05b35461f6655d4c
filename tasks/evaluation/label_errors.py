"""Labels that are likely wrong, for a person to look at: confident learning (Northcutt et al. 2021, arXiv:1911.00068).

A row counts as of another label than its own where that one is more probable than it is on average for rows that have
it. From these counts comes how many rows of each label are likely of each other one; so many are listed, those first
whose own label has the least probability next to the best other one.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError

FOLDS = 5
SEED = 20_261


@dataclass(frozen=True)
class Suspect:
    """A row whose label is likely another one, by probabilities of a model that has not seen it."""

    id: str
    text: str
    given: str
    suggested: str
    given_probability: float
    suggested_probability: float


def suspects(
    ids: Sequence[str],
    texts: Sequence[str],
    given: NDArray[np.int64],
    shares: NDArray[np.float64],
    labels: Sequence[str],
) -> list[Suspect]:
    """Rows whose label is likely wrong, the worst first.

    `given` (rows,) are positions in `labels`; `shares` (rows, labels) are probabilities by a model that was not trained
    on these rows: for those of training `held_out_shares`, for others the model's own.
    """
    found = [
        Suspect(
            id=ids[row],
            text=texts[row],
            given=labels[int(given[row])],
            suggested=labels[int(shares[row].argmax())],
            given_probability=float(shares[row, given[row]]),
            suggested_probability=float(shares[row].max()),
        )
        for row in np.flatnonzero(likely_wrong(given, shares)).tolist()
    ]
    return sorted(found, key=lambda suspect: suspect.given_probability - suspect.suggested_probability)


def likely_wrong(given: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(rows,) whether the label is likely another one: pruned by noise rate, as the paper calls it.

    No row whose own label is the most probable one is among them.
    """
    joint = confident_joint(given, shares)
    wrong = np.zeros(len(given), dtype=bool)
    own = shares[np.arange(len(given)), given]
    for label, other in zip(*np.nonzero(joint), strict=True):
        if label == other:
            continue
        rows = np.flatnonzero(given == label)
        margins = own[rows] - shares[rows, other]
        wrong[rows[np.argsort(margins, kind="stable")[: round(joint[label, other])]]] = True
    return np.asarray(wrong & (own < shares.max(axis=1)))


def confident_joint(given: NDArray[np.int64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(labels, labels): how many rows with the first label are likely of the second, all rows of a label shared out."""
    size = shares.shape[1]
    rows = np.bincount(given, minlength=size)
    own = np.bincount(given, weights=shares[np.arange(len(given)), given], minlength=size)
    # A label that no row has is never confidently suggested.
    thresholds = np.where(rows > 0, own / np.maximum(rows, 1), np.inf)
    confident = np.where(shares >= thresholds, shares, -np.inf)
    sure = np.isfinite(confident.max(axis=1))
    counts = np.zeros((size, size))
    np.add.at(counts, (given[sure], confident[sure].argmax(axis=1)), 1)
    # A label none of whose rows counts for any is taken to be right.
    counts[np.arange(size), np.arange(size)] += (counts.sum(axis=1) == 0) & (rows > 0)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * rows[:, None])


def held_out_shares(
    states: NDArray[np.floating], given: NDArray[np.int64], labels: int, folds: int = FOLDS, seed: int = SEED
) -> NDArray[np.float64]:
    """(rows, labels) probabilities of each row by logistic regression on the other folds' states.

    States of the pre-trained encoder, not of the fine-tuned one: that has seen the wrong labels, too, and has moved
    these texts to where they say. A label of one row alone counts as right. Raises InputError for fewer rows than
    folds, and where less than two labels have two rows or more.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.preprocessing import StandardScaler

    counts = np.bincount(given, minlength=labels)
    several = int((counts > 1).sum())
    if len(given) < folds or several < 2:
        raise InputError(
            f"label errors are looked for in {len(given)} rows, with two or more of {several} label(s); that takes "
            f"{folds} rows, and two such labels. Leave the task out, or give it more rows."
        )
    found = np.zeros((len(given), labels))
    split = StratifiedKFold(min(folds, int(counts.max())), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Of a rare label the other folds hold fewer rows, which leaves its probabilities low but there.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        folds_of = list(split.split(states, given))
    for others, rows in folds_of:
        scaler = StandardScaler().fit(states[others])
        # The less closely a model fits wrong labels, the more it disagrees with them. With the usual tolerance of
        # 0.0001 it is as accurate on 12,000 rows of 150 labels, in three times the time.
        model = LogisticRegression(C=0.003, tol=0.001, max_iter=300)
        model.fit(scaler.transform(states[others]), given[others])
        found[np.ix_(rows, model.classes_)] = model.predict_proba(scaler.transform(states[rows]))
    alone = counts[given] == 1
    found[alone] = np.eye(labels)[given[alone]]
    return found


def write_suspects(path: Path, found: dict[str, list[Suspect]]) -> None:
    """Writes each task's as JSON."""
    path.write_text(json.dumps(_entries(found), indent=1, ensure_ascii=False), encoding="utf-8")


def write_suspects_of_splits(path: Path, found: dict[str, dict[str, list[Suspect]]]) -> None:
    """Writes each task's of each split as JSON, for people."""
    entries = {split: _entries(of_split) for split, of_split in found.items()}
    path.write_text(json.dumps(entries, indent=1, ensure_ascii=False), encoding="utf-8")


def read_suspects(path: Path) -> dict[str, list[Suspect]]:
    """What `write_suspects` wrote."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {task: [Suspect(**entry) for entry in of_task] for task, of_task in entries.items()}


def _entries(found: dict[str, list[Suspect]]) -> dict[str, list[dict[str, Any]]]:
    return {task: [asdict(suspect) for suspect in of_task] for task, of_task in found.items()}
