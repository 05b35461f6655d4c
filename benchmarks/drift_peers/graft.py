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
from benchmarks.drift_peers.scenarios import UNCHANGED, Positions
from benchmarks.drift_peers.tally import Tally, draws, many
from benchmarks.measuring import Clock, report
from data_contracts.drift import AccuracyEstimate, Shift

TASK = "clinc150"
LEVEL = 0.05  # at which peers are tested


class Watcher:
    """A champion's reference, and the windows that are held against it."""

    def __init__(self, reference: Rows) -> None:
        from tasks.drift.decision import DriftPolicy

        self.policy = DriftPolicy()
        self.reference = _seen(reference, labelled=True)

    def measure(self, window: Rows) -> tuple[Shift, AccuracyEstimate]:
        """All that is measured of a window, of which these two are of interest."""
        from tasks.drift.statistics import estimated_accuracy

        known, estimate = estimated_accuracy(self.reference, _seen(window), TASK)
        found = AccuracyEstimate(reference=known, by_threshold=estimate, by_confidence=np.nan, error=np.nan)
        return self.shift(window, look=1), found

    def shift(self, window: Rows, look: int) -> Shift:
        """Layer B at the so-many-th look of a life, from 1, on which its level may depend."""
        from tasks.drift.statistics import permutation_p_value

        policy, effect = self.policy, {"effect": np.nan, "effect_low": np.nan, "effect_high": np.nan}
        p_value, views = permutation_p_value(
            policy.statistics, self.reference, _seen(window), permutations=policy.permutations, seed=policy.seed
        )
        return Shift(p_value=p_value, level=policy.alpha, views=views, **effect)


class Life:
    """Layer C over the windows of a life, which are drawn from these rows."""

    def __init__(self, watcher: Watcher, rows: Rows) -> None:
        self._watcher, self._rows = watcher, rows

    def harmed(self, window: Positions) -> bool:
        """Looks at one more window; whether the alarm is raised."""
        return False

    def retrains(self, shift: Shift) -> bool:
        """Whether that alarm asks for a retraining, with new labels enough to learn from and none in the window."""
        return shift.significant


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
