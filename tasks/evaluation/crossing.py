"""Cross-validation: what the scores of several folds say together."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.evaluation.scoring import IN_DOMAIN, read_scores


@dataclass(frozen=True)
class CrossScore:
    """One metric over the folds: mean, standard deviation between folds, and the least and most of them."""

    task: str
    metric: str
    mean: float
    deviation: float
    lowest: float
    highest: float
    rows: int


def cross_scores(files: Sequence[Path]) -> list[CrossScore]:
    """Of every metric of every task in domain, from each fold's `scores.json`; `rows` are those of all folds.

    The deviation is of single folds, whose models share most of their rows: it says how much a score hangs on which
    rows it was learnt from and judged on, and no interval follows from it (Bengio and Grandvalet 2004, JMLR 5).
    """
    found: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for path in files:
        for score in read_scores(path):
            if score.split == IN_DOMAIN:
                found.setdefault((score.task, score.metric), []).append((score.value, score.rows))
    return [_over_folds(task, metric, pairs) for (task, metric), pairs in found.items()]


def _over_folds(task: str, metric: str, pairs: Sequence[tuple[float, int]]) -> CrossScore:
    values = np.array([value for value, _ in pairs])
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return CrossScore(
        task,
        metric,
        float(values.mean()),
        deviation,
        float(values.min()),
        float(values.max()),
        sum(rows for _, rows in pairs),
    )


def cross_table(scores: Sequence[CrossScore]) -> list[dict[str, Any]]:
    """Rows for a table, numbers rounded to three digits."""
    return [
        {name: round(value, 3) if isinstance(value, float) else value for name, value in asdict(score).items()}
        for score in scores
    ]
