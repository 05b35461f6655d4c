"""Evidently 0.7: its ways to compare embeddings and columns, each with its own defaults."""

import os
import sys
from pathlib import Path
from typing import Any

# Before it is imported: it sends usage statistics otherwise.
os.environ["DO_NOT_TRACK"] = "1"

from benchmarks.drift_peers.rows import Rows
from benchmarks.drift_peers.tally import Detector, few, many, run_detectors

PACKAGES = ["evidently==0.7.23", "pandas==2.3.3"]  # it does not import with pandas 3


def main(file: Path, output: Path, windows: int, slow_windows: int) -> None:
    """Runs its detectors; the bootstrap of MMD, which takes many times as long, on fewer windows."""
    from evidently.metrics.embeddings import (
        DistanceDriftMethod,
        MMDDriftMethod,
        ModelDriftMethod,
        RatioDriftMethod,
    )

    detectors: dict[str, tuple[Detector, dict[str, int]]] = {
        "embeddings, model": (_embeddings(ModelDriftMethod()), many(windows)),
        "embeddings, ratio": (_embeddings(RatioDriftMethod()), many(windows)),
        "embeddings, distance": (_embeddings(DistanceDriftMethod()), many(windows)),
        "embeddings, MMD": (_embeddings(MMDDriftMethod()), many(windows)),
        "embeddings, MMD bootstrap": (_embeddings(MMDDriftMethod(bootstrap=True)), few(slow_windows)),
        "prediction column": (_column("cat", lambda rows: rows.answer.astype(str)), many(windows)),
        "confidence column": (_column("num", lambda rows: rows.confidence), many(windows)),
        "text column": (_column("text", lambda rows: rows.text), many(windows)),
    }
    run_detectors(file, output, detectors)


def _embeddings(method: Any) -> Detector:
    import pandas as pd

    def alarms(reference: Rows, window: Rows) -> bool:
        # Frames made anew: a method may write a column into them.
        _, drifted, _ = method(pd.DataFrame(window.embeddings), pd.DataFrame(reference.embeddings))
        return bool(drifted)

    return alarms


def _column(kind: str, values: Any) -> Detector:
    """The test that Evidently chooses for a column of this kind and length, at its own threshold."""
    import pandas as pd
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    def alarms(reference: Rows, window: Rows) -> bool:
        before, after = pd.Series(values(reference)), pd.Series(values(window))
        test = get_stattest(before, after, ColumnType(kind), None)
        return bool(test(before, after, ColumnType(kind), None).drifted)

    return alarms


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
