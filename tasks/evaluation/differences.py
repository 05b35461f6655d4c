"""Differences between two models on the same rows, with intervals and chances from the paired bootstrap.

A difference is the candidate's primary metric less the opponent's; a draw takes the same rows for both (Efron and
Tibshirani 1993, chapter 13). Two rows are added to those of a split: one that only the candidate answers rightly, and
one that only the opponent does. Without them two models that differ on none of 50 rows would be taken for equal beyond
chance, and a model that errs two points more often would pass so in one case of three. For right and wrong answers that
is the interval of Bonett and Price (2012, Journal of Educational and Behavioral Statistics 37, 479-488), which stays
honest for few rows; for other metrics a row's weight is the same, the metric's range over the rows. Where rows hang
together in clusters, whole clusters are drawn.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.clusters import Clusters, sums_of_clusters
from tasks.evaluation.policy import SKILL, GatePolicy
from tasks.evaluation.resampling import DRAWS, INTERVAL, resampled_sums
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.modeling.heads import AnyHead

# Scores that are the same come as sums in another order.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Difference:
    """Candidate less opponent on one task of one split; task `skill` is the mean over the tasks.

    `chance_if_not_better` is how often a model that is not better would look so much better (a one-sided p-value), and
    `chance_if_not_worse` how often one that is worse by the margin at most would look so bad.
    """

    opponent: str
    task: str
    split: str
    value: float
    low: float
    high: float
    rows: int
    chance_if_not_better: float = 1.0
    chance_if_not_worse: float = 1.0

    @property
    def in_words(self) -> str:
        """For people: `intent in domain`."""
        return f"{self.task} in domain" if self.split == IN_DOMAIN else f"{self.task} on {self.split}"

    @property
    def shown(self) -> str:
        """For people: the value and its interval."""
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


class PairedRows(NamedTuple):
    """What two models make of the rows of one task, as (rows, k) statistics from whose sums `score` gives the metric.

    Rows without a label are not `known`. Rows of one of the `clusters` are drawn together; without them each is alone.
    """

    score: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    candidate: NDArray[np.float64]
    opponent: NDArray[np.float64]
    known: NDArray[np.bool_]
    clusters: Clusters | None = None


def paired_rows(
    head: AnyHead,
    labels: list[Any],
    candidate: list[Any],
    opponent: list[Any],
    clusters: Clusters | None = None,
) -> PairedRows:
    """The statistics of both models' answers to those rows; a label that is None is not known."""
    known = np.array([label is not None for label in labels], dtype=bool)
    at = np.flatnonzero(known).tolist()
    references = [labels[row] for row in at]
    tables: list[NDArray[np.float64]] = []
    for answers in (candidate, opponent):
        of_known = head.statistics([answers[row] for row in at], references) if at else np.zeros((0, 1))
        table = np.zeros((len(labels), of_known.shape[1]))
        table[known] = of_known
        tables.append(table)
    return PairedRows(head.score_of_sums, tables[0], tables[1], known, clusters)


def differences(opponent: str, split: str, tasks: Mapping[str, PairedRows], policy: GatePolicy) -> list[Difference]:
    """The difference of every task with a known row, and of the mean over these tasks; all are of the same rows.

    `low` and `high` bound the two-sided interval of `policy.confidence`.
    """
    tasks = {task: paired for task, paired in tasks.items() if paired.known.any()}
    if not tasks:
        return []
    found = []
    values = {task: _value(paired) for task, paired in tasks.items()}
    drawn = dict(zip(tasks, _draws(list(tasks.values()), policy.draws), strict=True))
    for task, paired in tasks.items():
        found.append(_difference(opponent, task, split, values[task], drawn[task], int(paired.known.sum()), policy))
    rows = len(next(iter(tasks.values())).known)
    mean = float(np.mean(list(values.values())))
    return [*found, _difference(opponent, SKILL, split, mean, np.mean(list(drawn.values()), axis=0), rows, policy)]


def interval_of_difference(paired: PairedRows) -> tuple[float, float]:
    """Two-sided 95% interval of the candidate's score less the opponent's, where no gate asks for another."""
    (drawn,) = _draws([paired], DRAWS)
    low, high = np.quantile(drawn, INTERVAL)
    return float(low), float(high)


def write_evidence(path: Path, evidence: list[Difference]) -> None:
    """Writes the differences as JSON."""
    path.write_text(json.dumps([asdict(difference) for difference in evidence], indent=1), encoding="utf-8")


def read_evidence(path: Path) -> list[Difference]:
    """What `write_evidence` wrote."""
    return [Difference(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def _value(paired: PairedRows) -> float:
    of_each = [paired.score(table.sum(axis=0)[None])[0] for table in (paired.candidate, paired.opponent)]
    return float(of_each[0] - of_each[1])


def _draws(tasks: list[PairedRows], draws: int) -> list[NDArray[np.float64]]:
    """(draws,) differences of each task."""
    columns = [np.column_stack([task.candidate, task.opponent, task.known]) for task in tasks]
    units = sums_of_clusters(np.concatenate(columns, axis=1), tasks[0].clusters)
    rows = len(units)
    # The last two columns count the two that are added.
    table = np.zeros((rows + 2, units.shape[1] + 2))
    table[:rows, :-2] = units
    table[rows, -2] = table[rows + 1, -1] = 1
    sums = resampled_sums(table, draws)
    found = []
    start = 0
    for task, part in zip(tasks, columns, strict=True):
        own = sums[:, start : start + part.shape[1]]
        start += part.shape[1]
        # An added row stands for a cluster, and is as many rows as one has on average.
        gained, lost = (sums[:, -2:] * task.known.sum() / np.count_nonzero(units[:, start - 1])).T
        width, known = task.candidate.shape[1], own[:, -1]
        # A draw may take no row that has a label for the task: then the added rows alone speak.
        with np.errstate(invalid="ignore", divide="ignore"):
            scores = [np.nan_to_num(task.score(of)) for of in (own[:, :width], own[:, width:-1])]
        total = known * (scores[0] - scores[1]) + gained - lost
        found.append(np.asarray(total / np.maximum(known + gained + lost, 1)))
    return found


def _difference(
    opponent: str, task: str, split: str, value: float, drawn: NDArray[np.float64], rows: int, policy: GatePolicy
) -> Difference:
    low, high = np.quantile(drawn, (policy.alpha, 1 - policy.alpha))
    return Difference(
        opponent,
        task,
        split,
        value,
        float(low),
        float(high),
        rows,
        _chance(drawn <= ROUNDING),
        _chance(drawn >= -policy.margin_of(task) - ROUNDING),
    )


def _chance(against: NDArray[np.bool_]) -> float:
    """One draw more than were taken counts against it, so that no chance is 0 (Davison and Hinkley 1997, 4.2.2)."""
    return (1 + int(against.sum())) / (1 + len(against))
