"""What more tasks and more rows cost: seconds and peak memory of one epoch on one encoder.

The last line is one JSON object with all figures.
"""

import argparse
import json
import sys
import tempfile

from benchmarks.measuring import Outcome, at_least, run_contestant
from benchmarks.training_peers.scaled import SET
from benchmarks.training_peers.work import load_work

TASKS = (1, 2, 4, 8)
TIMES = (1, 2, 4)
MIB = 1 << 20


def main() -> None:
    """Entry point of `python -m benchmarks.scaling`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument(
        "--rows", type=at_least(1), default=2_000, help="rows of the comparison of tasks, and the fewest"
    )
    rows = parser.parse_args().rows
    # More rows than there are are refused before the first training, not at the last one.
    load_work(rows * max(TIMES), [SET])
    by_tasks = {tasks: _run(rows, tasks) for tasks in TASKS}
    by_rows = {times: by_tasks[1] if times == 1 else _run(rows * times, 1) for times in TIMES}
    print(f"\n{'':24}{'seconds':>10}{'processor':>11}{'in proportion':>15}{'peak MiB':>10}")
    for tasks, of in by_tasks.items():
        _show(f"{tasks} tasks, {rows:,} rows", of, by_tasks[1])
    for times, of in by_rows.items():
        _show(f"1 task, {rows * times:,} rows", of, by_rows[1])
    figures = {
        "rows": rows,
        "by_tasks": {tasks: _figures(of) for tasks, of in by_tasks.items()},
        "by_rows": {times: _figures(of) for times, of in by_rows.items()},
    }
    print(json.dumps(figures))


def _run(rows: int, tasks: int) -> Outcome:
    print(f"{tasks} tasks, {rows:,} rows", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.training_peers.scaled", folder, str(rows), str(tasks)]
        return run_contestant("graft", command)


def _show(name: str, outcome: Outcome, first: Outcome) -> None:
    # By processor seconds, which others on the machine lengthen less.
    share = outcome.processor_seconds / first.processor_seconds
    print(f"{name:24}{outcome.total:10.1f}{outcome.processor_seconds:11.1f}{share:15.2f}{_mib(outcome):10.0f}")


def _figures(outcome: Outcome) -> dict[str, float]:
    used = outcome.processor_seconds
    return {"seconds": outcome.total, "processor_seconds": used, "peak_mib": _mib(outcome)}


def _mib(outcome: Outcome) -> float:
    return outcome.peak_bytes / MIB


if __name__ == "__main__":
    main()
