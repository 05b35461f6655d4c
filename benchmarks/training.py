"""Training one encoder for several tasks: graft beside transformers' Trainer, with and without length grouping.

Same rows, encoder weights, heads, rows a step and epochs; one process each. Real tokens (padding not counted) a second
of wall time. The last line is one JSON object with all figures.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import Outcome, environment_of, run_contestant

CONTESTANTS = {
    "Trainer, dynamic padding, fp32": ("trainer", "random", "fp32"),
    "Trainer, length grouping, fp32": ("trainer", "group_by_length", "fp32"),
    "Trainer, dynamic padding, bf16": ("trainer", "random", "bf16"),
    "Trainer, length grouping, bf16": ("trainer", "group_by_length", "bf16"),
    "graft, fp32": ("graft", "fp32"),
    "graft, as it comes": ("graft", "auto"),
}
OURS = "graft, as it comes"


def main() -> None:
    """Entry point of `python -m benchmarks.training`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000, help="training rows over all sets")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=1, help="runs of each contestant, in turn; the fastest counts")
    chosen = parser.parse_args()
    found: dict[str, Outcome] = {}
    for turn in range(chosen.repeats):
        for name, (program, *settings) in CONTESTANTS.items():
            print(f"{name}, run {turn + 1} of {chosen.repeats}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                outcome = run_contestant(name, _command(program, Path(folder), chosen.rows, chosen.epochs, settings))
            found[name] = min(found.get(name, outcome), outcome, key=lambda of: of.total)
    rates = {name: of.rows["tokens"] / of.total for name, of in found.items()}
    print(f"\n{'':34}{'seconds':>10}{'real tokens/s':>16}{'graft is':>12}{'peak MiB':>10}")
    for name, of in found.items():
        times = f"{rates[OURS] / rates[name]:11.2f}x"
        print(f"{name:34}{of.total:10.1f}{rates[name]:16.0f}{times}{of.peak_bytes / 2**20:10.0f}")
    figures = {
        "rows": chosen.rows,
        "epochs": chosen.epochs,
        "tokens_per_second": rates,
        "graft_is_times": {name: rates[OURS] / rate for name, rate in rates.items() if name != OURS},
        "peak_mib": {name: of.peak_bytes / 2**20 for name, of in found.items()},
    }
    print(json.dumps(figures))


def _command(program: str, folder: Path, rows: int, epochs: int, settings: list[str]) -> list[str]:
    # Trainer wants accelerate, which graft does without.
    python = environment_of("trainer", ["accelerate==1.15.0"]) if program == "trainer" else sys.executable
    return [python, "-m", f"benchmarks.training_peers.{program}", str(folder), str(rows), str(epochs), *settings]


if __name__ == "__main__":
    main()
