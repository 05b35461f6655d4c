"""graft: what it measures of a window, against the reference that is frozen with a champion.

`Watcher` is all that the benchmark knows of `tasks.drift`.
"""

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
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
        from tasks.drift.reference import read_reference

        self.policy = DriftPolicy()
        with tempfile.TemporaryDirectory() as folder:
            write_reference_of(reference, Path(folder))
            self.reference = read_reference(Path(folder))

    def measure(self, window: Rows) -> tuple[Shift, AccuracyEstimate]:
        """All that is measured of a window, of which these two are of interest."""
        from tasks.drift.measuring import measure_window

        labels = {TASK: [str(place) for place in range(window.shares.shape[1])]}
        found = measure_window(self.reference, _seen(window), _texts(window), 0, self.policy, look=1, labels=labels)
        if found.shift is None:
            raise SystemExit(f"no test of a window of {len(window.text)} rows: {'; '.join(found.problems)}")
        return found.shift, found.estimates[TASK]

    def shift(self, window: Rows, look: int) -> Shift:
        """Layer B at the so-many-th look of a life, from 1, on which its level depends."""
        from tasks.drift.measuring import compared
        from tasks.drift.shift import measure_shift, spent_level

        policy, seen = self.policy, self.reference.seen
        level = spent_level(look, policy.alpha, policy.looks)
        rows = compared(_seen(window), seen)
        return measure_shift(seen, rows, policy.statistics, level=level, permutations=policy.permutations)


class Life:
    """Layer C over the windows of a life, which are drawn from these rows."""

    def __init__(self, watcher: Watcher, rows: Rows) -> None:
        from tasks.drift.measuring import compared

        self._watcher = watcher
        # A row is as far from the reference in every window that it is in.
        self._rows = compared(_seen(rows), watcher.reference.seen)
        self._looks: list[Any] = []

    def harmed(self, window: Positions) -> bool:
        """Looks at one more window; whether the alarm is raised."""
        from tasks.drift.measuring import Measured, harm_counts
        from tasks.drift.monitors import alarms

        policy = self._watcher.policy
        counts = dict(harm_counts(self._watcher.reference, self._rows.at(window), policy))
        self._measured, self._before = Measured(len(window), counts=counts), self._looks[-1:]
        self._looks.append(self._triage(None))
        return bool(alarms({of.name: of.log_evidence for of in self._looks[-1].monitors}, policy.run_length))

    def retrains(self, shift: Shift) -> bool:
        """Whether the last window's verdict is HARMFUL, with that shift and new labels enough to learn from."""
        return bool(self._triage(shift).verdict == "HARMFUL")

    def _triage(self, shift: Shift | None) -> Any:
        from tasks.drift.decision import triage

        measured = replace(self._measured, shift=shift)
        return triage(measured, self._before, self._watcher.policy, fresh_rows=sys.maxsize)


def write_reference_of(rows: Rows, folder: Path) -> None:
    """As it is frozen with a champion."""
    from tasks.drift.reference import write_reference

    write_reference(_seen(rows, labelled=True), _texts(rows), folder)


def measure_predictions(folder: Path, labels: Sequence[str], rows: int) -> None:
    """A window of that many rows, each of another text, whose predictions lie in the folder with the reference."""
    from tasks.drift.measuring import measure_window
    from tasks.drift.policy import DriftPolicy
    from tasks.drift.quality import TextFacts
    from tasks.drift.reference import read_reference
    from tasks.drift.seen import see
    from tasks.modeling.heads import SingleLabelHead

    heads = {TASK: SingleLabelHead(column=TASK, labels=tuple(labels))}
    texts = TextFacts(np.ones(rows, dtype=np.int64), np.zeros(rows), np.zeros(rows, dtype=bool))
    reference, window = read_reference(folder), see(folder, "window", heads)
    measure_window(reference, window, texts, 0, DriftPolicy(), look=1, labels={TASK: labels})


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
