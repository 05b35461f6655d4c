"""Scores of answers against labels, through `evaluate` and the metric modules that ship with the project."""

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_contracts.splits import TEST
from tasks.evaluation.clusters import Clusters, read_clusters
from tasks.evaluation.finite import check_finite
from tasks.evaluation.known_labels import read_known_labels
from tasks.evaluation.resampling import score_interval
from tasks.modeling.answers import Answers, read_answers
from tasks.modeling.heads import AnyHead
from tasks.modeling.scores import auroc

METRICS = Path(__file__).parent / "metrics"
SCORES = "scores.json"
IN_DOMAIN = TEST


@dataclass(frozen=True)
class Score:
    """One number: `low` and `high` bound its 95% bootstrap interval where it is a task's primary metric."""

    task: str
    split: str
    metric: str
    value: float
    rows: int
    primary: bool = False
    low: float | None = None
    high: float | None = None


def score_splits(
    snapshot: Path,
    answers: Path,
    heads: Mapping[str, AnyHead],
    splits: Iterable[str],
    group_column: str | None = None,
) -> list[Score]:
    """Every metric of every task on every split that has labels for it.

    A split whose rows have no label for a classifier is out of its scope: there the confidence is judged, as the
    area under the ROC curve between the labelled in-domain rows and these (`out_of_scope_auroc`). Not so where a text
    may have no label at all, which is then the sure answer to such rows.
    A task without a column in the snapshot, and rows with labels that a head does not know, are left out: a champion of
    yesterday may have either. For an interval, rows with the same value of `group_column` are drawn together. Raises
    InputError, naming task and row, where the answers hold NaN.
    """
    found: list[Score] = []
    columns = pq.read_schema(snapshot / f"{IN_DOMAIN}.parquet").names
    heads = {task: head for task, head in heads.items() if head.column in columns}
    inside = read_answers(answers / f"{IN_DOMAIN}.parquet", heads)
    check_finite(inside, IN_DOMAIN)
    in_scope = _confidences_in_scope(inside, read_known_labels(snapshot, IN_DOMAIN, heads))
    for split in splits:
        labels, answered = read_known_labels(snapshot, split, heads), read_answers(answers / f"{split}.parquet", heads)
        check_finite(answered, split)
        clusters = read_clusters(snapshot, split, group_column)
        for task, head in heads.items():
            rows = [row for row, label in enumerate(labels[task]) if label is not None]
            if rows:
                found += _score_task(task, split, head, answered, labels[task], rows, clusters)
            elif head.one_label and in_scope[task] and labels[task]:
                value = auroc(in_scope[task], answered.confidences[task])
                found.append(Score(task, split, "out_of_scope_auroc", value, len(labels[task]), primary=True))
    return found


def primary_scores(scores: Iterable[Score]) -> dict[str, dict[str, float]]:
    """{task: {split: primary metric}}, to six digits."""
    found: dict[str, dict[str, float]] = {}
    for score in scores:
        if score.primary:
            found.setdefault(score.task, {})[score.split] = round(score.value, 6)
    return found


def write_scores(path: Path, scores: list[Score]) -> None:
    """Writes the scores as JSON."""
    path.write_text(json.dumps([asdict(score) for score in scores], indent=1), encoding="utf-8")


def read_scores(path: Path) -> list[Score]:
    """What `write_scores` wrote."""
    return [Score(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def _confidences_in_scope(inside: Answers, labels: Mapping[str, list[Any]]) -> dict[str, list[float]]:
    """Of the in-domain rows that have a label for the task: any other may be as much out of scope as those outside."""
    return {
        task: [sure for sure, label in zip(inside.confidences[task], of_task, strict=True) if label is not None]
        for task, of_task in labels.items()
    }


def _score_task(
    task: str,
    split: str,
    head: AnyHead,
    answered: Answers,
    labels: list[Any],
    rows: list[int],
    clusters: Clusters | None,
) -> list[Score]:
    answers, references = [answered.answers[task][row] for row in rows], [labels[row] for row in rows]
    confidences = [answered.confidences[task][row] for row in rows]
    values: dict[str, float] = {}
    for module, (predictions, truths) in head.metric_inputs(answers, references, confidences).items():
        values |= _load_metric(module).compute(predictions=predictions, references=truths)
    of_rows = None if clusters is None else clusters[rows]
    low, high = score_interval(head.score_of_sums, head.statistics(answers, references), of_rows)
    found = [Score(task, split, name, float(value), len(rows)) for name, value in values.items()]
    first = found[0]
    return [Score(task, split, first.metric, first.value, len(rows), True, low, high), *found[1:]]


@functools.cache
def _load_metric(module: str) -> Any:
    import evaluate

    return evaluate.load(str(METRICS / module), experiment_id=f"graft-{module}")
