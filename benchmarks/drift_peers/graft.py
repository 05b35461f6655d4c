"""graft: what it measures of a window, against the reference that is frozen with a champion.

`Watcher` is all that the benchmark knows of `tasks.drift`.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift_peers.rows import Rows, read_rows
from benchmarks.drift_peers.scenarios import UNCHANGED
from benchmarks.drift_peers.tally import Tally, draws, many
from benchmarks.measuring import Clock, report
from data_contracts.drift import AccuracyEstimate, Monitor, Shift

TASK = "clinc150"
LEVEL = 0.05  # at which peers are tested


class Watcher:
    """A champion's reference, and the windows that are held against it."""

    def __init__(self, reference: Rows) -> None:
        from tasks.drift.decision import DriftPolicy

        self._policy = DriftPolicy()
        self._reference = _seen(reference, labelled=True)

    def shift(self, window: Rows, look: int = 1) -> Shift:
        """Layer B at the so-many-th look of a life, on which its level may depend."""
        from tasks.drift.statistics import permutation_p_value

        p_value, views = permutation_p_value(
            self._policy.statistics,
            self._reference,
            _seen(window),
            permutations=self._policy.permutations,
            seed=self._policy.seed,
        )
        effect = {"effect": np.nan, "effect_low": np.nan, "effect_high": np.nan}
        return Shift(p_value=p_value, level=self._policy.alpha, views=views, **effect)

    def estimate(self, window: Rows) -> AccuracyEstimate:
        """Accuracy without labels."""
        from tasks.drift.statistics import estimated_accuracy

        known, estimate = estimated_accuracy(self._reference, _seen(window), TASK)
        return AccuracyEstimate(reference=known, by_threshold=estimate, by_confidence=np.nan, error=np.nan)

    def monitors(self, window: Rows, before: tuple[Monitor, ...]) -> tuple[Monitor, ...]:
        """Layer C after one more window; none, where there is no such layer."""
        return ()

    def harmful(self, monitors: tuple[Monitor, ...]) -> bool:
        """Whether layer C raises the alarm."""
        return False

    def retrains(self, monitors: tuple[Monitor, ...], shift: Shift) -> bool:
        """Whether a retraining is asked for, where there are new labels enough for one and none in the window."""
        return self.harmful(monitors) and shift.significant


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
        shift, estimate = watcher.shift(window), watcher.estimate(window)
        watcher.monitors(window, ())
        seconds = started.seconds
        tally.add(f"shift, p at most {LEVEL}", scenario, shift.p_value <= LEVEL, seconds)
        tally.add("shift, at the policy's level", scenario, shift.significant, seconds)
        p_values[scenario].append(shift.p_value)
        effects[scenario].append(shift.effect)
        for way, of in errors.items():
            of[scenario].append(getattr(estimate, way) - float(window.right.mean()))
    found: dict[str, Any] = {"p_values": p_values, "effects": effects, "accuracy_errors": errors, "freezing": freezing}
    output.write_text(json.dumps({"detectors": tally.facts(), **found}), encoding="utf-8")
    report({"windows": clock.seconds}, {name: len(of) for name, of in p_values.items()}, clock.processor_seconds)


def _seen(rows: Rows, *, labelled: bool = False) -> Any:
    from tasks.drift.reference import Seen

    right = {TASK: rows.right.astype(float)} if labelled else {}
    return Seen(rows.embeddings, {TASK: rows.confidence}, right)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
