"""What a window is: measured in three layers kept apart, quality, shift and harm, then triaged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.drift import DriftVerdict
from tasks.drift.governor import Governor
from tasks.drift.reference import read_reference, see
from tasks.drift.statistics import (
    ConfidenceShift,
    DriftStatistic,
    EmbeddingDistance,
    estimated_accuracy,
    permutation_p_value,
)
from tasks.modeling.heads import AnyHead


class DriftPolicy(BaseModel):
    """When a window counts as drifted, and when that is worth a retraining."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statistics: tuple[DriftStatistic, ...] = Field((EmbeddingDistance(), ConfidenceShift()), min_length=1)
    permutations: int = Field(999, ge=99)
    alpha: float = Field(0.005, gt=0, lt=1, description="of the shift test, per window")
    accuracy_drop: float = Field(
        0.05, gt=0, lt=1, description="estimated loss of accuracy of any task that counts as harm"
    )
    broken_share: float = Field(0.1, gt=0, lt=1, description="rows against the contract that make a window bad data")
    minimum_rows: int = Field(50, gt=0, description="a window with fewer good rows is not judged")
    minimum_fresh_rows: int = Field(50, ge=0, description="freshly labelled rows a retraining needs")
    governor: Governor = Governor()
    seed: int = 11


@dataclass(frozen=True)
class WindowCounts:
    """Rows of a window, and rows labelled since that a retraining could learn from."""

    accepted: int
    broken: int
    fresh: int

    def broken_share(self) -> float:
        """Rows against the contract, as a share of all; 1 for an empty window."""
        rows = self.accepted + self.broken
        return self.broken / rows if rows else 1.0

    def can_be_measured(self, policy: DriftPolicy) -> bool:
        """Whether the window is good enough, and large enough, to be held against the reference."""
        return self.broken_share() <= policy.broken_share and self.accepted >= policy.minimum_rows


def measure_window(
    reference: Path, answers: Path, heads: Mapping[str, AnyHead], policy: DriftPolicy
) -> dict[str, float]:
    """Shift (p-value, z-score of each statistic) and estimated share of rows answered right, reference and window."""
    before, window = read_reference(reference), see(answers, "window", heads)
    p_value, scores = permutation_p_value(
        policy.statistics, before, window, permutations=policy.permutations, seed=policy.seed
    )
    measures = {"shift_p_value": p_value, **scores}
    for task in before.right:
        known, estimate = estimated_accuracy(before, window, task)
        measures |= {f"accuracy_{task}_reference": known, f"accuracy_{task}_estimated": estimate}
    return measures


def triage(
    counts: WindowCounts, measures: Mapping[str, float], policy: DriftPolicy
) -> tuple[DriftVerdict, bool, list[str]]:
    """Verdict, whether to retrain, and why."""
    if counts.broken_share() > policy.broken_share:
        rows = counts.accepted + counts.broken
        return "BAD_DATA", False, [f"{counts.broken} of {rows} rows break the contract ({counts.broken_share():.0%})"]
    if not counts.can_be_measured(policy):
        return "UNKNOWN", False, [f"{counts.accepted} good rows are too few to judge; {policy.minimum_rows} are needed"]
    shift = f"shift p = {measures['shift_p_value']:.4f}"
    if measures["shift_p_value"] > policy.alpha:
        return "QUIET", False, [f"{shift}, above alpha {policy.alpha}: the window looks like the reference"]
    drops = _drops(measures)
    harmed = [task for task, drop in drops.items() if drop >= policy.accuracy_drop]
    reasons = [f"{shift}, at most alpha {policy.alpha}: the window differs from the reference"]
    reasons += [f"estimated accuracy of {task} {0 - drop:+.3f}" for task, drop in drops.items()]
    if not harmed:
        return "BENIGN", False, [*reasons, f"no task loses {policy.accuracy_drop} or more: nothing to retrain for"]
    if counts.fresh < policy.minimum_fresh_rows:
        wanted = (
            f"{counts.fresh} freshly labelled rows, {policy.minimum_fresh_rows} are needed: label some of the window"
        )
        return "UNKNOWN", False, [*reasons, wanted]
    return (
        "HARMFUL",
        True,
        [*reasons, f"harm to {', '.join(harmed)}, and {counts.fresh} freshly labelled rows to learn from"],
    )


def _drops(measures: Mapping[str, float]) -> dict[str, float]:
    tasks = [name[len("accuracy_") : -len("_reference")] for name in measures if name.endswith("_reference")]
    return {task: measures[f"accuracy_{task}_reference"] - measures[f"accuracy_{task}_estimated"] for task in tasks}
