"""How well texts that no label fits are told from those in domain, by every detector.

A split none of whose rows has a label for a task is out of its scope. The detector and its threshold are chosen on
validation rows alone; of splits out of scope, those whose name ends in `validation` are for that and are not judged on.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_contracts.splits import TRAIN, VALIDATION
from tasks.evaluation.detectors import Fitting, Readings, Scorer, fit_detectors, scores_of
from tasks.evaluation.known_labels import read_known_labels
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.modeling.answers import read_embeddings, read_ids
from tasks.modeling.heads import AnyHead
from tasks.modeling.label_scores import read_label_scores
from tasks.modeling.scores import auroc

KEPT = 0.95
# The first that is there is taken where no validation row is out of scope. On CLINC150's, neighbours are told best
# (AUROC 0.981; energy 0.974, softmax 0.962), and no scores of a poor model mislead them.
RECOMMENDED = ("nearest_neighbours_1", "maximum_softmax")


@dataclass(frozen=True)
class Detection:
    """How well a detector of a task tells the `outside` rows of a split from `inside` rows in domain.

    auroc: that a row in domain scores higher than one out of scope, ties counting half.
    aupr: average precision with rows out of scope as what is to be found.
    fpr_at_95_tpr: share of rows out of scope that pass where 95% of those in domain do.
    recall, kept: share of rows out of scope below `threshold`, and of rows in domain from it on.
    """

    task: str
    split: str
    detector: str
    chosen: bool
    auroc: float
    aupr: float
    fpr_at_95_tpr: float
    threshold: float
    recall: float
    kept: float
    inside: int
    outside: int


def judge_detectors(
    snapshot: Path, answers: Path, heads: Mapping[str, AnyHead], splits: Iterable[str]
) -> list[Detection]:
    """Every detector of every head of one label, on every one of `splits` that is out of its scope.

    Detectors that compare states need answers for `train`, which may be those of a sample of its rows.
    """
    found = []
    others = [split for split in splits if split not in (TRAIN, VALIDATION, IN_DOMAIN)]
    # Of rows in domain alone, nothing is out of scope.
    names = [VALIDATION, IN_DOMAIN, *others] if others else []
    labels = {split: read_known_labels(snapshot, split, heads) for split in names}
    for task, head in heads.items():
        outside = [split for split in names if all(label is None for label in labels[split][task])]
        judged = [split for split in outside if labels[split][task] and not split.endswith(VALIDATION)]
        if not head.one_label or not judged or IN_DOMAIN in outside or VALIDATION in outside:
            continue
        readings = {split: read_readings(answers, split, task) for split in names}
        for split in (VALIDATION, IN_DOMAIN):
            known = [row for row, label in enumerate(labels[split][task]) if label is not None]
            readings[split] = Readings(readings[split].scores[known], readings[split].states[known])
        found += compare_detectors(
            task,
            fit_detectors(known_rows(snapshot, answers, task, head)),
            readings[VALIDATION],
            [readings[split] for split in outside if split.endswith(VALIDATION)],
            readings[IN_DOMAIN],
            {split: readings[split] for split in judged},
        )
    return found


def compare_detectors(
    task: str,
    scorers: Mapping[str, Scorer],
    validation: Readings,
    validation_outside: Iterable[Readings],
    inside: Readings,
    outside: Mapping[str, Readings],
) -> list[Detection]:
    """Every detector on every split of `outside`; the same one is chosen for all of them."""
    without = list(validation_outside)
    ready = {name: scores_of(name, scorer, validation, VALIDATION) for name, scorer in scorers.items()}
    rejected = {
        name: np.concatenate([scores_of(name, scorer, readings, f"{VALIDATION}, out of scope") for readings in without])
        for name, scorer in scorers.items()
        if without
    }
    chosen = next(name for name in RECOMMENDED if name in scorers)
    if without:
        chosen = max(rejected, key=lambda name: auroc(list(ready[name]), list(rejected[name])))
    found = []
    for name, scorer in scorers.items():
        threshold = threshold_between(ready[name], rejected[name]) if without else threshold_keeping(ready[name], KEPT)
        in_domain = scores_of(name, scorer, inside, IN_DOMAIN)
        for split, readings in outside.items():
            scores = scores_of(name, scorer, readings, split)
            found.append(_detection(task, split, name, in_domain, scores, threshold, chosen=name == chosen))
    return found


def read_readings(answers: Path, split: str, task: str) -> Readings:
    """What a model made of the rows of a split."""
    return Readings(read_label_scores(answers, split, task), read_embeddings(answers / f"{split}.npy"))


def known_rows(snapshot: Path, answers: Path, task: str, head: AnyHead) -> Fitting:
    """Rows of training that the model answered and whose label the head knows; none where it answered no such row."""
    temperature = float(getattr(head, "temperature", 1.0))
    if not (answers / f"{TRAIN}.parquet").exists():
        return Fitting(np.zeros((0, 0)), np.zeros(0, dtype=np.int64), temperature)
    positions = {label: position for position, label in enumerate(head.labels)}
    labels = read_known_labels(snapshot, TRAIN, {task: head})[task]
    given = dict(zip(read_ids(snapshot, TRAIN), labels, strict=True))
    wanted = [given[row] for row in read_ids(answers, TRAIN)]
    known = [row for row, label in enumerate(wanted) if label is not None]
    states = read_embeddings(answers / f"{TRAIN}.npy")[known]
    return Fitting(states, np.array([positions[wanted[row]] for row in known], dtype=np.int64), temperature)


def average_precision(inside: NDArray[np.floating], outside: NDArray[np.floating]) -> float:
    """Average precision with rows out of scope as what is to be found, the lowest score first.

    As in uncertainty-baselines (clinc_intent), whose AUPR has out-of-scope queries as its positive class.
    """
    from sklearn.metrics import average_precision_score

    return float(average_precision_score([0] * len(inside) + [1] * len(outside), -np.concatenate([inside, outside])))


def threshold_keeping(inside: NDArray[np.floating], share: float) -> float:
    """The highest threshold from which on at least that share of rows lies."""
    # Rounded, for 0.05 of 20 rows is a little less than one row or a little more.
    return float(np.sort(inside)[int(round((1 - share) * len(inside), 6))])


def threshold_between(inside: NDArray[np.floating], outside: NDArray[np.floating]) -> float:
    """The threshold of the best balanced accuracy, half way between two neighbouring scores."""
    values = np.unique(np.concatenate([inside, outside]))
    if len(values) == 1:
        return float(values[0])
    between = (values[1:] + values[:-1]) / 2
    kept = 1 - np.searchsorted(np.sort(inside), between) / len(inside)
    recall = np.searchsorted(np.sort(outside), between) / len(outside)
    return float(between[int(np.argmax(kept + recall))])


def write_detections(path: Path, found: list[Detection]) -> None:
    """Writes them as JSON."""
    path.write_text(json.dumps([asdict(detection) for detection in found], indent=1), encoding="utf-8")


def read_detections(path: Path) -> list[Detection]:
    """What `write_detections` wrote."""
    return [Detection(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def _detection(
    task: str,
    split: str,
    detector: str,
    inside: NDArray[np.float64],
    outside: NDArray[np.float64],
    threshold: float,
    *,
    chosen: bool,
) -> Detection:
    return Detection(
        task=task,
        split=split,
        detector=detector,
        chosen=chosen,
        auroc=auroc(list(inside), list(outside)),
        aupr=average_precision(inside, outside),
        fpr_at_95_tpr=float((outside >= threshold_keeping(inside, KEPT)).mean()),
        threshold=threshold,
        recall=float((outside < threshold).mean()),
        kept=float((inside >= threshold).mean()),
        inside=len(inside),
        outside=len(outside),
    )
