"""Data on its way to training: read, check, divide and tokenize, beside the same written straight on a pandas frame.

Peers: Great Expectations and pandera on one frame. Same rows, same rules, same tokenizer, one process each. The last
line is one JSON object with all figures.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.data_peers.task import write_rows
from benchmarks.measuring import Outcome, at_least, environment_of, run_contestant

MIB = 1 << 20
STAGES = ("read and divide", "check", "tokenize", "import the library")


def main() -> None:
    """Entry point of `python -m benchmarks.data`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("--rows", type=at_least(1), default=1_000_000, help="rows of the comparison")
    parser.add_argument(
        "--ingest-rows", type=at_least(0), default=5_000_000, help="rows of the run that only reads; 0: none"
    )
    parser.add_argument(
        "--repeats", type=at_least(1), default=1, help="runs of each contestant, in turn; the fastest counts"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"writing {chosen.rows:,} rows", file=sys.stderr)
        write_rows(folder / "rows.jsonl", chosen.rows)
        found = _compare(folder, chosen.repeats)
        alone = run_contestant("tokenizers", _module("tokenizers_alone", str(folder / "graft-0" / "checked")))
        large = _ingest(folder, chosen.ingest_rows) if chosen.ingest_rows else None
    _show(found, alone, large, chosen.ingest_rows)
    print(json.dumps(_figures(found, alone, large, chosen.rows, chosen.ingest_rows)))


def _compare(folder: Path, repeats: int) -> dict[str, Outcome]:
    pandera = environment_of("pandera", ["pandera[pandas]==0.35.0"])
    rows, found = str(folder / "rows.jsonl"), dict[str, Outcome]()
    for turn in range(repeats):
        for name, command in (
            ("graft", _module("graft", rows, str(_new(folder, f"graft-{turn}")), "all")),
            ("Great Expectations", _module("frame", rows, str(_new(folder, f"gx-{turn}")), "great_expectations")),
            ("pandera", _module("frame", rows, str(_new(folder, f"pandera-{turn}")), "pandera", python=pandera)),
        ):
            print(f"{name}, run {turn + 1} of {repeats}", file=sys.stderr)
            outcome = run_contestant(name, command)
            found[name] = min(found.get(name, outcome), outcome, key=lambda of: of.total)
    return found


def _ingest(folder: Path, rows: int) -> Outcome:
    print(f"writing and reading {rows:,} rows", file=sys.stderr)
    write_rows(folder / "large.jsonl", rows)
    return run_contestant("graft", _module("graft", str(folder / "large.jsonl"), str(_new(folder, "large")), "read"))


def _module(name: str, *arguments: str, python: str = sys.executable) -> list[str]:
    return [python, "-m", f"benchmarks.data_peers.{name}", *arguments]


def _new(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def _show(found: dict[str, Outcome], alone: Outcome, large: Outcome | None, ingest_rows: int) -> None:
    ours = found["graft"]
    print(f"\n{'':22}{''.join(f'{stage:>20}' for stage in STAGES)}{'total s':>10}{'rows/s':>10}{'peak MiB':>10}")
    for name, outcome in found.items():
        stages = "".join(f"{outcome.seconds.get(stage, 0):20.1f}" for stage in STAGES)
        rate = sum(outcome.rows.values()) / outcome.total
        print(f"{name:22}{stages}{outcome.total:10.1f}{rate:10.0f}{outcome.peak_bytes / MIB:10.0f}")
    print("\ngraft in proportion to      time    memory")
    for name, outcome in found.items():
        if name != "graft":
            print(f"{name:24}{ours.total / outcome.total:8.2f}{ours.peak_bytes / outcome.peak_bytes:10.2f}")
    ratio = alone.seconds["graft"] / alone.seconds["tokenizers alone"]
    print(f"\ntokenization, in proportion to `tokenizers` called alone: {ratio:.2f}")
    if large is not None:
        print(
            f"reading {ingest_rows:,} rows: {ingest_rows / large.total:,.0f} rows/s, "
            f"peak {large.peak_bytes / MIB:.0f} MiB"
        )


def _figures(
    found: dict[str, Outcome], alone: Outcome, large: Outcome | None, rows: int, ingest_rows: int
) -> dict[str, object]:
    ours = found["graft"]
    figures: dict[str, object] = {
        "rows": rows,
        "contestants": {
            name: {"seconds": of.seconds, "peak_mib": of.peak_bytes / MIB, "rows": of.rows}
            for name, of in found.items()
        },
        "time_ratio": {name: ours.total / of.total for name, of in found.items() if name != "graft"},
        "memory_ratio": {name: ours.peak_bytes / of.peak_bytes for name, of in found.items() if name != "graft"},
        "tokenization_ratio": alone.seconds["graft"] / alone.seconds["tokenizers alone"],
    }
    if large is not None:
        figures |= {"ingest_rows": ingest_rows, "ingest_rows_per_second": ingest_rows / large.total}
        figures |= {"ingest_peak_mib": large.peak_bytes / MIB}
    return figures


if __name__ == "__main__":
    main()
