"""graft over whole lives of a champion: a reference that stays, and one window after another held against it."""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.drift_peers.graft import Watcher
from benchmarks.drift_peers.rows import Rows, read_rows
from benchmarks.drift_peers.scenarios import BENIGN_MIX, LIVES, UNCHANGED, Positions, life_of, reference_of
from benchmarks.measuring import Clock, report

LOOKS = 100
# After a change that does harm it is of interest how soon it is found, not what comes after.
LOOKS_AFTER_HARM = 20


def main(file: Path, output: Path, unchanged: int, benign: int, harmed: int) -> None:
    """Lives through so many of each; writes at which looks the layers spoke, and reports."""
    rows, clock = read_rows(file), Clock()
    wanted = {name: harmed for name in LIVES} | {UNCHANGED: unchanged, BENIGN_MIX: benign}
    found = {
        name: [_live(rows, name, number, LOOKS if name in (UNCHANGED, BENIGN_MIX) else LOOKS_AFTER_HARM) for number in range(lives)]
        for name, lives in wanted.items()
    }
    output.write_text(json.dumps(found), encoding="utf-8")
    report({"lives": clock.seconds}, {name: len(of) for name, of in found.items()}, clock.processor_seconds)


def _live(rows: Rows, name: str, number: int, looks: int) -> dict[str, Any]:
    """{shift, harm, retraining: the look, from 1 on, at which each first came, or None}, and the true change of
    accuracy. A life ends with its retraining."""
    chosen, rest = reference_of(rows, number)
    watcher, first = Watcher(rows.take(chosen)), dict[str, int | None](shift=None, harm=None, retraining=None)
    before: tuple[Any, ...] = ()
    seen: list[Positions] = []
    for look, positions in enumerate(life_of(rows, rest, name, number, looks), start=1):
        window = rows.take(positions)
        seen.append(positions)
        before = watcher.monitors(window, before)
        harmful = watcher.harmful(before)
        # The shift's test takes nearly all the time of a look, so it is left out where nothing hangs on it.
        if harmful or (name == BENIGN_MIX and first["shift"] is None):
            shift = watcher.shift(window, look)
            if shift.significant:
                first["shift"] = first["shift"] or look
            if harmful:
                first["harm"] = first["harm"] or look
            if watcher.retrains(before, shift):
                first["retraining"] = look
                break
    right = rows.right
    change = sum(float(right[positions].mean()) for positions in seen) / len(seen) - float(right[chosen].mean())
    return {**first, "accuracy_change": change}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
