"""alibi-detect 0.13: maximum mean discrepancy, Kolmogorov-Smirnov tests and classifier uncertainty, by its defaults.

All test at 0.05, its default; those of many features divide that by their number (Bonferroni), as it does by default.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.drift_peers.rows import Rows
from benchmarks.drift_peers.tally import Detector, few, many, run_detectors

# It asks for numpy below 2 and transformers below 5; without pins, a resolver chooses a release of years ago.
PACKAGES = [
    "alibi-detect==0.13.0",
    "numpy==1.26.4",
    "pandas==2.3.3",
    "transformers==4.57.6",
    "torch==2.13.0",
]


def main(file: Path, output: Path, windows: int, slow_windows: int) -> None:
    """Runs its detectors; MMD, which takes half a minute a window, on fewer windows."""
    from alibi_detect.cd import ClassifierUncertaintyDrift, KSDrift, MMDDrift

    def uncertainty(shares: Any, kind: str) -> Any:
        return ClassifierUncertaintyDrift(shares, lambda x: x, preds_type="probs", uncertainty_type=kind)

    fast: dict[str, Detector] = {
        "KS on softmax": _detector(lambda rows: rows.shares, KSDrift),
        "KS on entropy": _detector(lambda rows: rows.entropy[:, None], KSDrift),
        "uncertainty, entropy": _detector(lambda rows: rows.shares, partial(uncertainty, kind="entropy")),
        "uncertainty, margin": _detector(lambda rows: rows.shares, partial(uncertainty, kind="margin")),
    }
    slow = {"MMD on embeddings": _detector(lambda rows: rows.embeddings, partial(MMDDrift, backend="pytorch"))}
    run_detectors(
        file,
        output,
        {name: (detector, many(windows)) for name, detector in fast.items()}
        | {name: (detector, few(slow_windows)) for name, detector in slow.items()},
    )


def _detector(values: Callable[[Rows], Any], fitted: Callable[[Any], Any]) -> Detector:
    return lambda reference, window: bool(fitted(values(reference)).predict(values(window))["data"]["is_drift"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
