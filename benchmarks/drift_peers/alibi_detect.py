"""alibi-detect 0.13: maximum mean discrepancy, Kolmogorov-Smirnov tests and classifier uncertainty, by its defaults.

All test at 0.05, its default; those of many features divide that by their number (Bonferroni), as it does by default.
"""

import sys
from collections.abc import Callable
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

    uncertainty = {"model": lambda shares: shares, "preds_type": "probs"}
    detectors: dict[str, tuple[Detector, dict[str, int]]] = {
        "KS on softmax": (_test(lambda x: KSDrift(x, p_val=0.05), lambda rows: rows.shares), many(windows)),
        "KS on entropy": (_test(lambda x: KSDrift(x, p_val=0.05), lambda rows: rows.entropy[:, None]), many(windows)),
        "uncertainty, entropy": (_test(lambda x: ClassifierUncertaintyDrift(x, **uncertainty), lambda rows: rows.shares), many(windows)),
        "uncertainty, margin": (
            _test(lambda x: ClassifierUncertaintyDrift(x, uncertainty_type="margin", **uncertainty), lambda rows: rows.shares),
            many(windows),
        ),
        "MMD on embeddings": (_test(lambda x: MMDDrift(x, backend="pytorch"), lambda rows: rows.embeddings), few(slow_windows)),
    }
    run_detectors(file, output, detectors)


def _test(fit: Callable[[Any], Any], values: Callable[[Rows], Any]) -> Detector:
    return lambda reference, window: bool(fit(values(reference)).predict(values(window))["data"]["is_drift"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
