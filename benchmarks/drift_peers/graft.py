"""graft: what it measures of a window, against the reference that is frozen with a champion.

`Watcher` is all that the benchmark knows of `tasks.drift`.
"""

import json
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift_peers.rows import Rows, read_rows
from benchmarks.drift_peers.scenarios import UNCHANGED, Positions
from benchmarks.drift_peers.tally import Tally, draws, many
from benchmarks.measuring import Clock, report
from data_contracts.drift import AccuracyEstimate, Shift

TASK = "clinc150"
LEVEL = 0.05  # at which peers are tested


class Watcher:
    """A champion's reference, and the windows that are held against it."""

    def __init__(self, reference: Rows) -> None:
        from tasks.drift.policy import DriftPolicy

        self.policy, self.reference = DriftPolicy(), frozen(reference)

    def measure(self, window: Rows) -> tuple[Shift, AccuracyEstimate]:
        """All that is measured of a window, of which these two are of interest."""
        from tasks.drift.measuring import measure_window

        found = measure_window(*self.inputs(window), look=1)
        if found.shift is None:
            raise SystemExit(f"no test of a window of {len(window.text)} rows: {'; '.join(found.problems)}")
        return found.shift, found.estimates[TASK]

    def inputs(self, window: Rows) -> tuple[Any, ...]:
        """What `measure_window` takes: no row is against the contract."""
        return self.reference, _seen(window), _texts(window), 0, self.policy

    def shift(self, window: Rows, look: int) -> Shift:
        """Layer B at the so-many-th look of a life, from 1, on which its level depends."""
        from tasks.drift.novelty import beside
        from tasks.drift.shift import measure_shift, spent_level

        policy, seen = self.policy, self.reference.seen
        level = spent_level(look, policy.alpha, policy.looks)
        rows = beside(_seen(window), seen)
        return measure_shift(seen, rows, policy.statistics, level=level, permutations=policy.permutations)


class Life:
    """Layer C over the windows of a life, which are drawn from these rows. Nobody labels any of them."""

    def __init__(self, watcher: Watcher, rows: Rows) -> None:
        from tasks.drift.measuring import Measured
        from tasks.drift.novelty import beside

        self._watcher = watcher
        # A row is as far from the reference in every window that it is in.
        self._rows = beside(_seen(rows), watcher.reference.seen)
        self._measured = Measured(0)
        self._looks: list[Any] = []

    def harmed(self, window: Positions) -> bool:
        """Looks at one more window; whether the alarm is raised."""
        from tasks.drift.measuring import Measured, harm_counts
        from tasks.drift.monitors import alarm_levels, alarms

        policy = self._watcher.policy
        counts = dict(harm_counts(self._watcher.reference, self._rows.at(window), policy))
        self._measured = Measured(len(window), counts=counts)
        self._looks.append(self._triage(None, self._looks))
        evidence = {of.name: of.log_evidence for of in self._looks[-1].monitors}
        return bool(alarms(evidence, alarm_levels(evidence, policy.run_length)))

    def retrains(self, shift: Shift) -> bool:
        """Whether the last window's verdict is HARMFUL, with that shift and new labels enough to learn from."""
        return bool(self._triage(shift, self._looks[:-1]).verdict == "HARMFUL")

    def _triage(self, shift: Shift | None, before: list[Any]) -> Any:
        from tasks.drift.decision import triage

        # Of a decision before, nothing but its monitors is asked for, and the last one holds what all have led to.
        return triage(replace(self._measured, shift=shift), before[-1:], self._watcher.policy, fresh_rows=sys.maxsize)


def frozen(reference: Rows) -> Any:
    """As it is kept with a champion."""
    from tasks.drift.novelty import beside
    from tasks.drift.reference import Frozen

    seen = _seen(reference, labelled=True)
    return Frozen(beside(seen, seen), _texts(reference))


def main(file: Path, output: Path, unchanged: int, windows: int) -> None:
    """Measures so many windows; writes the tally, p-values, and errors of the estimated accuracy; reports."""
    rows, tally, clock = read_rows(file), Tally(), Clock()
    p_values, effects = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    errors: dict[str, dict[str, list[float]]] = {way: defaultdict(list) for way in ("by_threshold", "by_confidence")}
    freezing, number, watcher = [], -1, None
    for at, reference, scenario, window in draws(rows, {**many(windows), UNCHANGED: unchanged}):
        if watcher is None or at != number:
            started = Clock()
            watcher, number = Watcher(reference), at
            freezing.append(started.seconds)
        started = Clock()
        shift, estimate = watcher.measure(window)
        took = {"seconds": started.seconds, "processor_seconds": started.processor_seconds}
        tally.add(f"shift, p at most {LEVEL}", scenario, shift.p_value <= LEVEL, **took)
        tally.add("shift, at the policy's level", scenario, shift.significant, **took)
        p_values[scenario].append(shift.p_value)
        effects[scenario].append(shift.effect)
        for way, of in errors.items():
            of[scenario].append(getattr(estimate, way) - float(window.right.mean()))
    found: dict[str, Any] = {"p_values": p_values, "effects": effects, "accuracy_errors": errors, "freezing": freezing}
    output.write_text(json.dumps({"detectors": tally.facts(), **found}), encoding="utf-8")
    report({"windows": clock.seconds}, {name: len(of) for name, of in p_values.items()}, clock.processor_seconds)


def _seen(rows: Rows, *, labelled: bool = False) -> Any:
    from tasks.drift.seen import OfTask, Seen

    right = rows.right.astype(float) if labelled else None
    return Seen(rows.embeddings, {TASK: OfTask(rows.confidence, rows.shares, right)})


def _texts(rows: Rows) -> Any:
    """Facts of the texts, words standing for tokens: the tokenizer's work is done before a window is measured."""
    from tasks.drift.quality import TextFacts

    first = np.zeros(len(rows.text), dtype=bool)
    first[np.unique(rows.text, return_index=True)[1]] = True
    return TextFacts(np.char.count(rows.text, " ") + 1, np.zeros(len(first)), ~first)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
