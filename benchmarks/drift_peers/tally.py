"""What a contestant found, window by window, as a file that the benchmark reads."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.drift_peers.rows import Rows, read_rows
from benchmarks.drift_peers.scenarios import SCENARIOS, UNCHANGED, reference_of, window_of
from benchmarks.measuring import Clock, report

# Says of (reference, window) whether it alarms, as it comes: no setting of ours.
Detector = Callable[[Rows, Rows], bool]


class Tally:
    """Alarms of each detector by scenario, in the order of the draws, and its seconds a window."""

    def __init__(self) -> None:
        self._alarms: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        self._seconds: dict[str, list[float]] = defaultdict(list)
        self._processor: dict[str, list[float]] = defaultdict(list)

    def add(self, detector: str, scenario: str, alarm: bool, *, seconds: float, processor_seconds: float) -> None:
        """One window."""
        self._alarms[detector][scenario].append(bool(alarm))
        self._seconds[detector].append(seconds)
        self._processor[detector].append(processor_seconds)

    def facts(self) -> dict[str, Any]:
        """{detector: {alarms: {scenario: [whether it alarmed]}, seconds and processor_seconds of every window}}."""
        return {
            name: {"alarms": alarms, "seconds": self._seconds[name], "processor_seconds": self._processor[name]}
            for name, alarms in self._alarms.items()
        }


def draws(rows: Rows, windows: dict[str, int]) -> Iterator[tuple[int, Rows, str, Rows]]:
    """(number, reference, scenario, window), so many windows of each scenario that is named.

    A reference is drawn anew for each number, and stands against one window of each scenario.
    """
    for number in range(max(windows.values(), default=0)):
        chosen, rest = reference_of(rows, number)
        reference = rows.take(chosen)
        for name, wanted in windows.items():
            if number < wanted:
                yield number, reference, name, rows.take(window_of(rows, rest, name, number))


def many(windows: int) -> dict[str, int]:
    """So many windows of every shift, and three times as many that are unchanged: false alarms are the rarer ones."""
    return {name: windows * (3 if name == UNCHANGED else 1) for name in SCENARIOS}


def few(windows: int) -> dict[str, int]:
    """As `many`, of foreign text alone, for detectors that take half a minute a window."""
    return {name: wanted for name, wanted in many(windows).items() if name == UNCHANGED or name.startswith("foreign")}


def run_detectors(file: Path, output: Path, detectors: dict[str, tuple[Detector, dict[str, int]]]) -> None:
    """Every detector on the windows that stand beside it; writes the tally and reports."""
    rows, tally, clock = read_rows(file), Tally(), Clock()
    for name, (detector, windows) in detectors.items():
        for _, reference, scenario, window in draws(rows, windows):
            started = Clock()
            alarm = detector(reference, window)
            seconds, processor = started.seconds, started.processor_seconds
            tally.add(name, scenario, alarm, seconds=seconds, processor_seconds=processor)
        print(f"{name}: {clock.seconds:.0f} s", file=sys.stderr)
    output.write_text(json.dumps(tally.facts()), encoding="utf-8")
    report({"windows": clock.seconds}, {name: len(of["seconds"]) for name, of in tally.facts().items()})
