"""Training one encoder for several tasks: graft beside transformers' Trainer, tasknet and SetFit.

Same rows, encoder weights, rows a step, epochs, and a head of the same kind for each set; one process each. Real tokens
(padding not counted) a second, of wall time and of processor time, and the share of what the device multiplies at most.
Each in the precision that it takes by itself: graft in bf16 where the device is faster in it, its peers in fp32. The
last line is one JSON object with all figures.
"""

import argparse
import json
import os
import sys
import tempfile

from benchmarks.measuring import Outcome, at_least, environment_of, run_contestant

# accelerate is Trainer's wish, which graft does without.
PACKAGES = {
    "trainer": ["accelerate==1.15.0"],
    "tasknet": ["accelerate==1.15.0", "tasknet==1.60"],
    "setfit": ["accelerate==1.15.0", "setfit==1.2.0", "sentence-transformers==6.2.0"],
}
CONTESTANTS = {
    "Trainer, dynamic padding": ("trainer", "random", "fp32"),
    "Trainer, length grouping": ("trainer", "group_by_length", "fp32"),
    "tasknet": ("tasknet",),
    "SetFit, end to end, a model a set": ("setfit",),
    "graft": ("graft", "auto"),
}
IN_OTHER_PRECISIONS = {
    "Trainer, dynamic padding, by request": ("trainer", "random", "bf16"),
    "Trainer, length grouping, by request": ("trainer", "group_by_length", "bf16"),
}
OURS = "graft"


def main() -> None:
    """Entry point of `python -m benchmarks.training`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--rows", type=at_least(1), default=4_000, help="training rows over all sets")
    parser.add_argument("--epochs", type=at_least(1), default=1)
    parser.add_argument(
        "--repeats", type=at_least(1), default=1, help="runs of each contestant, in turn; the fastest counts"
    )
    parser.add_argument(
        "--threads", type=at_least(1), default=os.cpu_count(), help="of each contestant; 1 where others run"
    )
    parser.add_argument("--precisions", action="store_true", help="also Trainer in bf16, and graft in what it leaves")
    parser.add_argument("--only", nargs="+", choices=list(PACKAGES), help="beside graft, in place of all")
    chosen = parser.parse_args()
    # Read by torch when it is imported, which is in the processes of the contestants.
    os.environ["OMP_NUM_THREADS"] = str(chosen.threads)
    contestants = CONTESTANTS | (_in_other_precisions() if chosen.precisions else {})
    if chosen.only:
        contestants = {name: of for name, of in contestants.items() if of[0] in (*chosen.only, OURS)}
    # All of them before the first contestant runs: what cannot be installed is found out at once.
    pythons = {program: _python_of(program) for program, *_ in contestants.values()}
    found: dict[str, list[Outcome]] = {name: [] for name in contestants}
    for turn in range(chosen.repeats):
        for name, (program, *settings) in contestants.items():
            print(f"{name}, run {turn + 1} of {chosen.repeats}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                module = f"benchmarks.training_peers.{program}"
                work = [folder, str(chosen.rows), str(chosen.epochs)]
                command = [pythons[program], "-m", module, *work, *settings]
                found[name].append(run_contestant(name, command))
    wall = {name: max(of.rows["tokens"] / of.total for of in runs) for name, runs in found.items()}
    used = {name: max(of.rows["tokens"] / of.processor_seconds for of in runs) for name, runs in found.items()}
    precisions = {name: _precision(settings) for name, (_, *settings) in contestants.items()}
    peaks = {precision: _peak(precision) for precision in sorted(set(precisions.values()))}
    of_peak = {name: rate / peaks[precisions[name]] for name, rate in wall.items()}
    columns = ("wall", "graft is", "processor", "graft is", "of peak", "peak MiB")
    print(f"\n{'real tokens a second':38}{'':6}" + "".join(f"{name:>11}" for name in columns))
    for name, runs in found.items():
        ratios = (wall[OURS] / wall[name], used[OURS] / used[name])
        peak = max(of.peak_bytes for of in runs) / 2**20
        rates = f"{wall[name]:11.0f}{ratios[0]:10.2f}x{used[name]:11.0f}{ratios[1]:10.2f}x"
        print(f"{name:38}{precisions[name]:6}{rates}{of_peak[name]:11.0%}{peak:11.0f}")
    figures = {
        "rows": chosen.rows,
        "epochs": chosen.epochs,
        "threads": chosen.threads,
        "precisions": precisions,
        "tokens_per_second": wall,
        "tokens_per_processor_second": used,
        "graft_is_times": {name: wall[OURS] / rate for name, rate in wall.items() if name != OURS},
        "graft_is_times_by_processor": {name: used[OURS] / rate for name, rate in used.items() if name != OURS},
        "share_of_peak": of_peak,
        "peak_mib": {name: max(of.peak_bytes for of in runs) / 2**20 for name, runs in found.items()},
    }
    print(json.dumps(figures))


def _in_other_precisions() -> dict[str, tuple[str, ...]]:
    own = _precision(list(CONTESTANTS[OURS]))
    return IN_OTHER_PRECISIONS | {f"{OURS}, by request": (OURS, "fp32" if own == "bf16" else "bf16")}


def _precision(settings: list[str]) -> str:
    """What a contestant with these settings computes in; those that are told nothing do so in fp32."""
    asked = settings[-1] if settings else "fp32"
    if asked != "auto":
        return asked
    from tasks.modeling.inference import device_of_choice
    from tasks.training.loop import has_fast_bf16

    return "bf16" if has_fast_bf16(device_of_choice()) else "fp32"


def _peak(precision: str) -> float:
    """Tokens a second at most, were training nothing but the multiplications of large matrices."""
    found = run_contestant("peak", [sys.executable, "-m", "benchmarks.training_peers.peak", precision]).rows
    return found["operations_per_second"] / found["operations_per_token"]


def _python_of(program: str) -> str:
    return environment_of(program, PACKAGES[program]) if program in PACKAGES else sys.executable


if __name__ == "__main__":
    main()
