"""Which scores moved from one model to another, with the paired interval where both answered the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.evaluation.clusters import read_clusters
from tasks.evaluation.differences import PairedRows, interval_of_difference
from tasks.evaluation.scoring import SCORES, Score, read_scores
from tasks.modeling.answers import read_answers, read_ids, read_labels
from tasks.modeling.heads import AnyHead


@dataclass(frozen=True)
class Scored:
    """Folders of one model's scores and answers and of the rows they are of, and its heads."""

    scores: Path
    answers: Path
    snapshot: Path
    heads: Mapping[str, AnyHead]


@dataclass(frozen=True)
class Movement:
    """A task's primary score on a split, before and after; None where it was not scored.

    `low` and `high` bound the 95% bootstrap interval of the change, by the same draw of the same rows for both; they
    are None where there is no such thing.
    """

    task: str
    split: str
    metric: str
    before: float | None
    after: float | None
    low: float | None = None
    high: float | None = None

    @property
    def change(self) -> float | None:
        """After less before."""
        return None if self.before is None or self.after is None else self.after - self.before


def movements(before: Scored, after: Scored, group_column: str | None = None) -> list[Movement]:
    """Every primary score of either, in the order of the newer one.

    For an interval, rows with the same value of `group_column` are drawn together.
    """
    old, new = _primary(before), _primary(after)
    found = []
    for key in new | old:
        was, became = old.get(key), new.get(key)
        interval = _paired(before, after, key[0], key[1], group_column) if was and became else None
        low, high = interval or (None, None)
        found.append(Movement(*key, was.value if was else None, became.value if became else None, low, high))
    return found


def _primary(scored: Scored) -> dict[tuple[str, str, str], Score]:
    scores = read_scores(scored.scores / SCORES)
    return {(score.task, score.split, score.metric): score for score in scores if score.primary}


def _paired(
    before: Scored, after: Scored, task: str, split: str, group_column: str | None
) -> tuple[float, float] | None:
    heads = [scored.heads[task] for scored in (before, after) if task in scored.heads]
    if len({head.kind for head in heads}) != 1 or len(heads) != 2:
        return None
    rows = [_labelled(scored, task, split) for scored in (before, after)]
    labels = [{row: label for row, (_, label) in of_model.items()} for of_model in rows]
    if not labels[0] or labels[0] != labels[1]:
        return None
    # In the order of the ids, so that a draw takes the same rows of both.
    tables = [
        head.statistics(*zip(*(of_model[row] for row in sorted(of_model)), strict=True))
        for head, of_model in zip(heads, rows, strict=True)
    ]
    clusters = read_clusters(after.snapshot, split, group_column)
    if clusters is not None:
        of_row = dict(zip(read_ids(after.snapshot, split), clusters, strict=True))
        clusters = np.array([of_row[row] for row in sorted(rows[1])], dtype=np.int64)
    known = np.ones(len(tables[1]), dtype=bool)
    return interval_of_difference(PairedRows(heads[1].score_of_sums, tables[1], tables[0], known, clusters))


def _labelled(scored: Scored, task: str, split: str) -> dict[str, tuple[Any, Any]]:
    """{id: (answer, label)} of the rows that have a label."""
    path = scored.answers / f"{split}.parquet"
    if not path.is_file() or not (scored.snapshot / f"{split}.parquet").is_file():
        return {}
    head = {task: scored.heads[task]}
    answers = read_answers(path, head).answers[task]
    labels = read_labels(scored.snapshot, split, head)[task]
    known = zip(read_ids(scored.snapshot, split), answers, labels, strict=True)
    return {row: (answer, label) for row, answer, label in known if label is not None}
