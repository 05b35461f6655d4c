"""Whether drift is heard, and how often an alarm is false: windows of known change, beside Evidently and alibi-detect.

A champion on CLINC150 by the default recipe, which benchmarks.quality keeps; foreign text from HWU64 and CLINC150's
rows out of scope; a reference of 5,000 rows and windows of 500 that it lacks, drawn anew for each draw. Peers run with
their own defaults on the same windows, fewer of them, in environments that are made for them. Then whole lives of
graft's layers. The last line is one JSON object with all figures.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any

from benchmarks.drift_peers import alibi_detect, evidently
from benchmarks.drift_peers.aims import Aim, life_aims, mean_error, memory_aims, middle_look, rate, window_aims
from benchmarks.drift_peers.scenarios import SCENARIOS
from benchmarks.measuring import at_least, environment_of, run_contestant
from benchmarks.quality import kept_run, trained_model
from benchmarks.quality_peers.work import OUT_OF_SCOPE as TASK

PEERS = {"Evidently": evidently, "alibi-detect": alibi_detect}
BY_SOURCE = [name for name in SCENARIOS if name.startswith(("hwu64", "oos"))]


def main() -> None:
    """Entry point of `python -m benchmarks.drift`."""
    chosen = _parser().parse_args()
    if chosen.memory:
        counts = {"rows": chosen.memory_rows, "drawn": min(chosen.memory_rows, chosen.memory_drawn)}
        found = run_contestant("graft", _module("memory", *map(str, counts.values())))
        aims = memory_aims(**counts, seconds=found.total, peak_bytes=found.peak_bytes)
        _end({**counts, "seconds": found.total, "peak_bytes": found.peak_bytes}, aims)
        return
    rows = _rows_of(chosen)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        windows = [str(chosen.null_windows), str(chosen.windows)]
        graft = _run("graft", _module("graft", str(rows), str(folder / "graft.json"), *windows), folder / "graft.json")
        lives = _lives(rows, folder, chosen)
        peers = {} if chosen.without_peers else _peers(rows, folder, chosen)
    tallies = {"graft": graft["detectors"], **peers}
    _show_alarms(tallies)
    _show_errors(graft["accuracy_errors"])
    _show_lives(lives)
    figures = {
        "detectors": {
            library: {
                name: {
                    "alarm_rate": {scenario: rate(alarms) for scenario, alarms in of["alarms"].items()},
                    "windows": {scenario: len(alarms) for scenario, alarms in of["alarms"].items()},
                    "seconds_a_window": statistics.median(of["seconds"]),
                    "processor_seconds_a_window": statistics.median(of["processor_seconds"]),
                }
                for name, of in tally.items()
            }
            for library, tally in tallies.items()
        },
        "seconds_a_reference": statistics.median(graft["freezing"]),
        "median_p_value": {name: statistics.median(of) for name, of in graft["p_values"].items()},
        "median_effect": {name: statistics.median(of) for name, of in graft["effects"].items()},
        "accuracy_error": {
            way: {name: mean_error(errors) for name, errors in of.items()}
            for way, of in graft["accuracy_errors"].items()
        },
        "lives": {name: _of_lives(of) for name, of in lives.items()},
    }
    _end(figures, [*window_aims(graft, peers), *(life_aims(lives) if lives else [])])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument(
        "--model", type=trained_model, help="folder of a trained model; by default one is trained or taken up"
    )
    parser.add_argument("--seed", type=at_least(0), default=13)
    parser.add_argument("--epochs", type=at_least(1), default=10, help="of the training, at most")
    parser.add_argument("--rows", type=at_least(1), help="training rows at most, drawn at random, for a quick look")
    parser.add_argument("--windows", type=at_least(1), default=100, help="of each shift")
    parser.add_argument(
        "--null-windows", type=at_least(1), default=1000, help="unchanged ones; peers have three times theirs"
    )
    parser.add_argument("--peer-windows", type=at_least(1), default=30, help="of each shift, for peers")
    parser.add_argument(
        "--slow-windows", type=at_least(0), default=4, help="for peers that take half a minute a window"
    )
    parser.add_argument(
        "--lives", type=at_least(0), default=300, help="unchanged lives of 100 looks; 0: no lives at all"
    )
    parser.add_argument("--changed-lives", type=at_least(1), default=60, help="of each change")
    parser.add_argument("--without-peers", action="store_true", help="graft alone")
    parser.add_argument("--memory", action="store_true", help="nothing but one window of very many rows")
    parser.add_argument("--memory-rows", type=at_least(1), default=1_000_000, help="its rows")
    parser.add_argument("--memory-drawn", type=at_least(1), default=20_000, help="of which the model sees so many")
    return parser


def _rows_of(chosen: argparse.Namespace) -> Path:
    """The file of what the champion makes of all rows, written where it is not there."""
    from benchmarks.drift_peers.arrays import file_of

    settings = {"epochs": chosen.epochs, "rows": chosen.rows, "recipe": {}, "seed": chosen.seed}
    model = chosen.model or kept_run("graft", [TASK], settings) / "model"
    file = file_of(model)
    if not file.exists():
        print("embedding and scoring all rows", file=sys.stderr)
        run_contestant("graft", _module("arrays", str(model), str(file)))
    return file


def _lives(rows: Path, folder: Path, chosen: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    if not chosen.lives:
        return {}
    output = folder / "lives.json"
    counts = [str(chosen.lives), str(chosen.changed_lives), str(chosen.changed_lives)]
    found: dict[str, list[dict[str, Any]]] = _run(
        "graft's lives", _module("lives", str(rows), str(output), *counts), output
    )
    return found


def _peers(rows: Path, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """{library: its tally}, of those for which an environment can be made, and which run in it."""
    found = {}
    for library, module in PEERS.items():
        name = module.__name__.rpartition(".")[2]
        output = folder / f"{name}.json"
        counts = [str(chosen.peer_windows), str(chosen.slow_windows)]
        try:
            python = environment_of(library.lower(), module.PACKAGES)
            found[library] = _run(library, _module(name, str(rows), str(output), *counts, python=python), output)
        except SystemExit as failed:
            print(f"{library} is left out: {failed}", file=sys.stderr)
    return found


def _run(name: str, command: list[str], output: Path) -> Any:
    print(name, file=sys.stderr)
    run_contestant(name, command)
    return json.loads(output.read_text(encoding="utf-8"))


def _module(name: str, *arguments: str, python: str = sys.executable) -> list[str]:
    return [python, "-m", f"benchmarks.drift_peers.{name}", *arguments]


def _show_alarms(tallies: dict[str, dict[str, Any]]) -> None:
    for title, names in (
        ("share of windows with an alarm", [name for name in SCENARIOS if name not in BY_SOURCE]),
        ("the same, foreign text of one source", BY_SOURCE),
    ):
        parts = [name.rpartition(" ") for name in names]
        print(f"\n{title:40}" + "".join(f"{first:>10}" for first, *_ in parts) + f"{'seconds':>10}")
        print(f"{'':40}" + "".join(f"{last:>10}" for *_, last in parts) + f"{'a window':>10}")
        for library, tally in tallies.items():
            for name, of in tally.items():
                shown = (rate(of["alarms"].get(scenario, [])) for scenario in names)
                cells = "".join(f"{'':10}" if found != found else f"{found:10.3f}" for found in shown)
                print(f"{library + ': ' + name:40}{cells}{statistics.median(of['seconds']):10.3f}")


def _show_errors(errors: dict[str, dict[str, list[float]]]) -> None:
    print(f"\n{'mean error of accuracy without labels':40}" + "".join(f"{way:>16}" for way in errors))
    for name in SCENARIOS:
        if any(name in of for of in errors.values()):
            print(f"{name:40}" + "".join(f"{mean_error(of[name]):16.4f}" for of in errors.values()))


def _show_lives(lives: dict[str, list[dict[str, Any]]]) -> None:
    if lives:
        layers = "".join(f"{layer:>12}" for layer in ("lives", "shift", "harm", "retraining"))
        print(f"\n{'lives in which a layer spoke':30}{layers}{'median look of harm':>22}{'true accuracy':>16}")
    for name, of in lives.items():
        found = _of_lives(of)
        cells = "".join(f"{found[layer]:12.3f}" for layer in ("shift", "harm", "retraining"))
        print(f"{name:30}{len(of):12}{cells}{found['median_look_of_harm'] or '-':>22}{found['accuracy_change']:+16.4f}")


def _of_lives(lives: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares of lives in which each layer spoke."""
    middle = middle_look(lives, "harm")
    return {
        "lives": len(lives),
        **{layer: rate([life[layer] is not None for life in lives]) for layer in ("shift", "harm", "retraining")},
        "median_look_of_harm": None if middle == float("inf") else middle,
        "accuracy_change": statistics.mean(life["accuracy_change"] for life in lives),
    }


def _end(figures: dict[str, Any], aims: Iterable[Aim]) -> None:
    """The aims beside what was found, and the line of all figures."""
    held = list(aims)
    print(f"\n{'aim':76}{'found':>10}{'allowed':>18}")
    for aim in held:
        print(f"{aim.text:76}{aim.found:10.3f}{aim.allowed:>18}   {'met' if aim.met else 'MISSED'}")
    # JSON has no infinity.
    found = {aim.text: aim.found if isfinite(aim.found) else None for aim in held}
    shown = [{"aim": aim.text, "found": found[aim.text], "allowed": aim.allowed, "met": aim.met} for aim in held]
    print(json.dumps({**figures, "aims": shown}))


if __name__ == "__main__":
    main()
