"""Limits that hold whatever the champion does: floors, calibration error, size, latency.

A limit whose measurement is missing is not kept.
"""

from collections.abc import Mapping
from pathlib import Path

from tasks.evaluation.checks import Check
from tasks.evaluation.latency import read_cost
from tasks.evaluation.policy import GatePolicy
from tasks.evaluation.scoring import IN_DOMAIN, Score, read_scores
from tasks.modeling.answers import Answers
from tasks.modeling.heads import AnyHead

CALIBRATION = "expected_calibration_error"
BYTES_PER_MEGABYTE = 1e6


def floor_checks(
    heads: Mapping[str, AnyHead], labels: Mapping[str, list[object]], found: Answers, policy: GatePolicy
) -> list[Check]:
    """The primary metric of each task that has a floor, on the in-domain rows that these labels are of."""
    checks = []
    for task, floor in policy.floors.items():
        name, limit = f"{task} in domain, floor", f"{floor:.3f} at least"
        known = [row for row, label in enumerate(labels.get(task, [])) if label is not None]
        if not known:
            checks.append(Check(name, "no labelled row", limit, False))
            continue
        table = heads[task].statistics([found.answers[task][r] for r in known], [labels[task][r] for r in known])
        value = float(heads[task].score_of_sums(table.sum(axis=0)[None])[0])
        checks.append(Check(name, f"{value:.3f}", limit, value >= floor))
    return checks


def calibration_checks(heads: Mapping[str, AnyHead], scores: Path | None, policy: GatePolicy) -> list[Check]:
    """The calibration error of each task that has a limit; a limit for all is one for every task with confidences."""
    errors = policy.max_calibration_error
    if errors is None:
        return []
    measured = _calibration_errors(read_scores(scores)) if scores is not None and scores.is_file() else {}
    if not isinstance(errors, dict):
        calibrated = [task for task, head in heads.items() if head.has_confidence and not head.of_words]
        errors = dict.fromkeys(calibrated, errors)
    return [
        _at_most(f"{task} in domain, calibration error", measured.get(task), limit, "")
        for task, limit in errors.items()
    ]


def cost_checks(cost: Path | None, policy: GatePolicy) -> list[Check]:
    """Size and latency, from what `write_cost` wrote; None where the model was not measured."""
    found = read_cost(cost) if cost is not None and cost.is_file() else None
    checks = []
    if policy.max_megabytes is not None:
        size = None if found is None else found.bytes / BYTES_PER_MEGABYTE
        checks.append(_at_most("size of the model", size, policy.max_megabytes, " MB"))
    if policy.max_latency_ms is not None:
        single = None if found is None else found.latency(1)
        name = "99th percentile of the latency of one text"
        name += f" on {found.device}" if found is not None else ""
        checks.append(_at_most(name, None if single is None else single.p99_ms, policy.max_latency_ms, " ms"))
    return checks


def _calibration_errors(scores: list[Score]) -> dict[str, float]:
    return {score.task: score.value for score in scores if score.metric == CALIBRATION and score.split == IN_DOMAIN}


def _at_most(name: str, value: float | None, limit: float, unit: str) -> Check:
    if value is None:
        return Check(name, "not measured", f"{limit:g}{unit} at most", False)
    shown = f"{value:.3f}" if not unit else f"{value:.1f}"
    # NaN is not within any limit.
    return Check(name, f"{shown}{unit}", f"{limit:g}{unit} at most", value <= limit)
