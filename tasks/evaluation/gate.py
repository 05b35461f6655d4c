"""The gate: whether a candidate becomes champion, from paired bootstrap intervals on the same rows.

A difference is the candidate's primary metric less the opponent's, with the interval of that difference when the rows
of a split are drawn again with replacement, the same draw for both (Efron and Tibshirani 1993, chapter 13).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from data_contracts.artifacts import Verdict
from tasks.evaluation.baselines import BASELINES
from tasks.evaluation.scoring import IN_DOMAIN, TRAINING_SPLITS, bootstrap_weights
from tasks.modeling.answers import read_answers, read_labels
from tasks.modeling.heads import AnyHead

SKILL = "skill"
# A new task that beats its baselines is a gain, so it lifts a HOLD of the others.
STRICTEST_FIRST: tuple[Verdict, ...] = ("REJECT", "INCONCLUSIVE", "PROMOTE", "HOLD")
NOTHING_COMPARED = "no labelled row in domain to compare on"


class GatePolicy(BaseModel):
    """What a candidate has to show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: float = Field(0.02, ge=0, lt=1, description="how much worse in domain still counts as not worse")
    confidence: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="of the two-sided bootstrap intervals; at 0.9 each end is passed once in 20 by chance",
    )
    draws: int = Field(2000, ge=200)
    floors: dict[str, float] = Field({}, description="task: least primary metric in domain")


@dataclass(frozen=True)
class Difference:
    """Candidate less opponent on one task of one split; task `skill` is the mean over the tasks."""

    opponent: str
    task: str
    split: str
    value: float
    low: float
    high: float
    rows: int


def judge(
    snapshot: Path,
    heads: Mapping[str, AnyHead],
    candidate: Path,
    champion: Path | None,
    baselines: Path,
    policy: GatePolicy,
) -> tuple[Verdict, list[str], list[Difference]]:
    """Verdict, reasons and evidence. All folders hold answers for the splits of `snapshot`.

    Tasks that the champion does not answer are judged as those of a first model.
    """
    below = _below_floors(snapshot, heads, candidate, policy)
    shared = _answered_by(champion, heads) if champion else {}
    new = {task: head for task, head in heads.items() if task not in shared}
    verdicts: list[Verdict] = ["REJECT"] if below else []
    reasons = below
    evidence: list[Difference] = []
    if champion and shared:
        splits = sorted(p.stem for p in candidate.glob("*.parquet") if p.stem not in TRAINING_SPLITS)
        evidence += compare(snapshot, shared, candidate, champion, "champion", splits, policy)
        verdict, why = later_verdict(evidence, policy.margin)
        verdicts, reasons = [*verdicts, verdict], [*reasons, *why]
    if new:
        against = {name: baselines / name for name in BASELINES}
        first = [d for n, p in against.items() for d in compare(snapshot, new, candidate, p, n, [IN_DOMAIN], policy)]
        verdict, why = first_verdict([d for d in first if d.task != SKILL])
        verdicts, reasons, evidence = [*verdicts, verdict], [*reasons, *why], [*evidence, *first]
    return min(verdicts, key=STRICTEST_FIRST.index), reasons, evidence


def first_verdict(evidence: list[Difference]) -> tuple[Verdict, list[str]]:
    """A first model has to be above every baseline on every task in domain, beyond chance."""
    reasons = [f"{_about(d)} ({_place(d)} baseline {d.opponent})" for d in evidence]
    if not evidence:
        return "INCONCLUSIVE", [NOTHING_COMPARED]
    if any(d.high <= 0 for d in evidence):
        return "REJECT", reasons
    if all(d.low > 0 for d in evidence):
        return "PROMOTE", reasons
    return "INCONCLUSIVE", reasons


def later_verdict(evidence: list[Difference], margin: float) -> tuple[Verdict, list[str]]:
    """A later model must be clearly worse nowhere, not worse in domain, and better somewhere.

    REJECT: some task on some split is worse by more than the margin beyond chance, or so is the skill in domain.
    INCONCLUSIVE: the skill in domain may be worse by more than the margin. HOLD: nothing is better.
    """
    worse = [d for d in evidence if d.high < -margin]
    if worse:
        return "REJECT", [f"{_about(d)}: worse beyond chance and margin {margin}" for d in worse]
    inside = next((d for d in evidence if d.task == SKILL and d.split == IN_DOMAIN), None)
    if inside is None:
        return "INCONCLUSIVE", [NOTHING_COMPARED]
    if inside.low < -margin:
        return "INCONCLUSIVE", [f"{_about(inside)}: may be worse by more than the margin {margin}"]
    better = [d for d in evidence if d.task == SKILL and d.low > 0]
    not_worse = f"{_about(inside)}: not worse by more than {margin}"
    if better:
        return "PROMOTE", [not_worse, *(f"{_about(d)}: better beyond chance" for d in better)]
    return "HOLD", [not_worse, "better beyond chance on no split, so the champion stays"]


def compare(
    snapshot: Path,
    heads: Mapping[str, AnyHead],
    candidate: Path,
    opponent: Path,
    name: str,
    splits: list[str],
    policy: GatePolicy,
) -> list[Difference]:
    """Differences of every task that a split has labels for, and of the mean over these, on every split."""
    found = []
    for split in splits:
        labels = read_labels(snapshot, split, heads)
        answers = [read_answers(folder / f"{split}.parquet", heads) for folder in (candidate, opponent)]
        rows = len(next(iter(labels.values())))
        weights = bootstrap_weights(rows, policy.draws)
        values, draws = [], []
        for task, head in heads.items():
            known = np.array([row for row, label in enumerate(labels[task]) if label is not None], dtype=int)
            if not len(known):
                continue
            statistics = [
                head.statistics([a.answers[task][row] for row in known], [labels[task][row] for row in known])
                for a in answers
            ]
            value, drawn = _paired(head, statistics, weights[:, known])
            values.append(value)
            draws.append(drawn)
            found.append(_difference(name, task, split, value, drawn, len(known), policy))
        if values:
            found.append(_difference(name, SKILL, split, float(np.mean(values)), np.mean(draws, axis=0), rows, policy))
    return found


def write_evidence(path: Path, evidence: list[Difference]) -> None:
    """Writes the differences as JSON."""
    path.write_text(json.dumps([asdict(difference) for difference in evidence], indent=1), encoding="utf-8")


def read_evidence(path: Path) -> list[Difference]:
    """What `write_evidence` wrote."""
    return [Difference(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def _paired(head: AnyHead, statistics: list[Any], weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    whole = [head.score_of_sums(table.sum(axis=0)[None])[0] for table in statistics]
    # A draw may take no row that has a label for the task: it says nothing, so it counts as no difference.
    with np.errstate(invalid="ignore"):
        drawn = [np.nan_to_num(head.score_of_sums(weights @ table)) for table in statistics]
    return float(whole[0] - whole[1]), np.asarray(drawn[0] - drawn[1])


def _difference(
    opponent: str, task: str, split: str, value: float, drawn: NDArray[np.float64], rows: int, policy: GatePolicy
) -> Difference:
    tail = (1 - policy.confidence) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Difference(opponent, task, split, value, float(low), float(high), rows)


def _below_floors(snapshot: Path, heads: Mapping[str, AnyHead], candidate: Path, policy: GatePolicy) -> list[str]:
    labels = read_labels(snapshot, IN_DOMAIN, heads)
    answers = read_answers(candidate / f"{IN_DOMAIN}.parquet", heads)
    found = []
    for task, floor in policy.floors.items():
        known = [row for row, label in enumerate(labels[task]) if label is not None]
        if not known:
            found.append(f"{task} has the floor {floor:.3f}, but no labelled row in domain to measure it on")
            continue
        table = heads[task].statistics([answers.answers[task][r] for r in known], [labels[task][r] for r in known])
        value = float(heads[task].score_of_sums(table.sum(axis=0)[None])[0])
        if value < floor:
            found.append(f"{task} in domain is {value:.3f}, below its floor {floor:.3f}")
    return found


def _answered_by(champion: Path, heads: Mapping[str, AnyHead]) -> dict[str, AnyHead]:
    answered = pq.read_schema(champion / f"{IN_DOMAIN}.parquet").names
    return {task: head for task, head in heads.items() if task in answered}


def _about(difference: Difference) -> str:
    place = "in domain" if difference.split == IN_DOMAIN else f"on {difference.split}"
    return f"{difference.task} {place} {difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _place(difference: Difference) -> str:
    if difference.low > 0:
        return "above"
    return "below" if difference.high <= 0 else "not clearly above"
