"""graft over whole lives of a champion: a reference that stays, and one window after another held against it."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drift_peers.graft import Life, Watcher
from benchmarks.drift_peers.rows import Rows, read_rows
from benchmarks.drift_peers.scenarios import BENIGN_MIX, LIVES, UNCHANGED, life_of, reference_of
from benchmarks.measuring import Clock, report

LOOKS = 100
# After a change that does harm it is of interest how soon it is found, not what comes after.
LOOKS_AFTER_HARM = 20


def main(file: Path, output: Path, unchanged: int, benign: int, harmed: int) -> None:
    """Lives through so many of each; writes at which looks the layers spoke, and reports."""
    rows, clock = read_rows(file), Clock()
    right, wanted = rows.right, dict.fromkeys(LIVES, (harmed, LOOKS_AFTER_HARM))
    wanted |= {UNCHANGED: (unchanged, LOOKS), BENIGN_MIX: (benign, LOOKS)}
    found = {
        name: [_live(rows, right, name, number, looks) for number in range(lives)]
        for name, (lives, looks) in wanted.items()
    }
    output.write_text(json.dumps(found), encoding="utf-8")
    report({"lives": clock.seconds}, {name: len(of) for name, of in found.items()}, clock.processor_seconds)


def _live(rows: Rows, right: Any, name: str, number: int, looks: int) -> dict[str, Any]:
    """{shift, harm, retraining: the look, from 1 on, at which each first came, or None}, and how far the answers of all
    its windows are from those on the reference. A life ends with its retraining."""
    chosen, rest = reference_of(rows, number)
    watcher = Watcher(rows.take(chosen))
    windows = list(life_of(rows, rest, name, number, looks))
    drawn = np.unique(windows)
    life, first = Life(watcher, rows.take(drawn)), dict[str, int | None](shift=None, harm=None, retraining=None)
    for look, window in enumerate(windows, start=1):
        harmed = life.harmed(np.searchsorted(drawn, window))
        if harmed:
            first["harm"] = first["harm"] or look
        # The shift's test takes nearly all the time of a look, and is left out where nothing hangs on it.
        if harmed or (name == BENIGN_MIX and first["shift"] is None):
            shift = watcher.shift(rows.take(window), look)
            if shift.significant:
                first["shift"] = first["shift"] or look
            if harmed and life.retrains(shift):
                first["retraining"] = look
                break
    return {**first, "accuracy_change": float(np.mean(right[windows]) - right[chosen].mean())}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
