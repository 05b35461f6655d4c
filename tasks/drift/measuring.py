"""A window measured in three layers kept apart: quality, shift and harm. What follows from it is for `decision.py`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_contracts.drift import AccuracyEstimate, Shift
from tasks.drift.accuracy import doubt_about, estimate_accuracy, like_labelled
from tasks.drift.label_shift import estimate_label_shares
from tasks.drift.monitors import allowed_share
from tasks.drift.novelty import beside, scope_threshold
from tasks.drift.policy import DriftPolicy
from tasks.drift.quality import TextFacts, quality_measures, quality_problems
from tasks.drift.reference import Frozen
from tasks.drift.seen import Seen
from tasks.drift.shift import measure_shift, spent_level
from tasks.modeling.heads import AnyHead


@dataclass(frozen=True)
class Count:
    """Rows of a window that speak against the model, of how many, and the share that is allowed."""

    bad: int
    rows: int
    allowed: float


@dataclass(frozen=True)
class Measured:
    """What one window was measured to be.

    `problems` say why it is bad data, in which case nothing else was measured. Of a window too small for the test there
    is no `shift`, and nothing is estimated. `counts` are for the monitors, by name.
    """

    rows: int
    problems: Sequence[str] = ()
    shift: Shift | None = None
    counts: Mapping[str, Count] = field(default_factory=dict)
    estimates: Mapping[str, AccuracyEstimate] = field(default_factory=dict)
    measures: Mapping[str, float] = field(default_factory=dict)


def measure_window(
    reference: Frozen,
    window: Seen,
    texts: TextFacts,
    broken: int,
    policy: DriftPolicy,
    *,
    look: int,
    baseline: Seen | None = None,
) -> Measured:
    """The window against the reference; each text of it counts once, so that one that comes again is no evidence.

    `broken` rows were against the contract. `look` is the number of this test in the model's life, from 1. Shift is
    measured against `baseline` where a person gave one.
    """
    lost = int((~window.finite).sum())
    quality = quality_measures(reference.texts, texts, broken, lost)
    problems = quality_problems(policy.quality, quality, len(texts))
    rows = beside(window.at(np.flatnonzero(window.finite & ~texts.repeated)), reference.seen)
    if problems or not len(rows):
        return Measured(len(rows), problems or ["no row is left to measure"], measures=quality)
    shift, estimates = None, {}
    if len(rows) >= policy.minimum_rows:
        estimates = dict(_estimates(reference.seen, rows))
        usual = baseline if baseline is not None else reference.seen
        level = spent_level(look, policy.alpha, policy.looks)
        shift = measure_shift(usual, rows, policy.statistics, level=level, permutations=policy.permutations)
    return Measured(
        rows=len(rows),
        shift=shift,
        counts=dict(harm_counts(reference, rows, policy)),
        estimates=estimates,
        measures=quality,
    )


def _estimates(reference: Seen, rows: Seen) -> Iterator[tuple[str, AccuracyEstimate]]:
    for task in rows.tasks:
        found = estimate_accuracy(reference, rows, task) if task in reference.tasks else None
        if found is not None:
            yield task, found


def label_proportions(reference: Seen, window: Seen, heads: Mapping[str, AnyHead]) -> dict[str, dict[str, float]]:
    """{task: {label: estimated share of the window}}, of tasks whose answer is one label."""
    known, found = reference.tasks, window.at(np.flatnonzero(window.finite)).tasks
    return {
        task: dict(zip(head.labels, estimate_label_shares(known[task], found[task]).tolist(), strict=True))
        for task, head in heads.items()
        if head.one_label and task in known and task in found and len(found[task].confidences)
    }


def harm_counts(reference: Frozen, rows: Seen, policy: DriftPolicy) -> Iterator[tuple[str, Count]]:
    """For the monitors that need no labels: doubted answers by task, and texts out of scope."""
    for task in rows.tasks:
        doubt = doubt_about(reference.seen, task) if task in reference.seen.tasks else None
        asked = rows.at(like_labelled(reference.seen, rows, task)) if doubt is not None else rows
        if doubt is not None and len(asked):
            allowed = allowed_share(doubt.doubted, doubt.rows, policy.tolerated_drop)
            yield f"accuracy/{task}", Count(int(doubt.of(asked, task).sum()), len(asked), allowed)
    usual, found = reference.seen.distances, rows.distances
    if usual is not None and found is not None:
        far = scope_threshold(usual)
        allowed = allowed_share(int((usual > far).sum()), len(usual), policy.tolerated_out_of_scope)
        yield "out_of_scope", Count(int((found > far).sum()), len(rows), allowed)
