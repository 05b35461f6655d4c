"""How good a model is: several tasks on one encoder, beside each task alone, and beside published figures.

CLINC150, SNIPS, HWU64 and WNUT17, each training by the default recipe, which validation chooses the epoch of. What was
trained is kept, so that a run that was cut short goes on. The last line is one JSON object with all figures.
"""

import argparse
import json
import statistics
import sys
import tempfile
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import ENVIRONMENTS, at_least, run_contestant
from benchmarks.quality_peers.work import OUT_OF_SCOPE, TASKS, digest_of_work, name_of_run

# Larson et al. 2019 (CLINC150: in scope accuracy, out-of-scope recall), and the JointBERT implementation (SNIPS).
PUBLISHED = {
    "clinc150": "BERT-large 96.9 (out-of-scope recall 40.3), 96.7 (59.2)",
    "snips_intent": "BERT 99.1, DistilBERT 98.0",
    "snips_slots": "BERT 96.9, DistilBERT 96.1",
    "wnut17": "RoBERTa-large 53.8",
}
PLAIN = "plain"


def main() -> None:
    """Entry point of `python -m benchmarks.quality`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--seeds", type=at_least(0), nargs="+", default=[13, 14, 15])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--epochs", type=at_least(1), default=10, help="of every training, at most")
    parser.add_argument("--rows", type=at_least(1), help="training rows at most, drawn at random, for a quick look")
    parser.add_argument("--recipe", type=_recipe, default={}, help="JSON of other settings, to try them on validation")
    parser.add_argument("--without-single", action="store_true", help="leaves out the trainings of one task each")
    parser.add_argument("--plain", action="store_true", help="also a plain loop, for labels of texts, six epochs")
    parser.add_argument("--test", action="store_true", help="reads the test split; without, scores are of validation")
    chosen = parser.parse_args()
    together = [] if len(chosen.tasks) == 1 else [chosen.tasks]
    alone = [] if chosen.without_single and together else [[task] for task in chosen.tasks]
    of_texts = [[task] for task in chosen.tasks if not TASKS[task].of_words]
    runs = {
        (program, tuple(tasks), seed): _run(program, tasks, seed, chosen)
        for seed in chosen.seeds
        for program, sets in (("graft", [*together, *alone]), (PLAIN, of_texts if chosen.plain else []))
        for tasks in sets
    }
    figures = {"split": "test" if chosen.test else "validation", "seeds": chosen.seeds, "epochs": chosen.epochs}
    columns = {"several tasks": ("graft", None), "one task": ("graft", 1), "plain loop": (PLAIN, 1)}
    print(f"\nmean of {len(chosen.seeds)} seed(s), {figures['split']} split")
    print(f"{'':26}" + "".join(f"{name:>16}" for name in columns) + "   published")
    for metric in dict.fromkeys(metric for found in runs.values() for metric in found):
        shown = {}
        for name, (program, size) in columns.items():
            values = [
                found[metric]
                for (by, tasks, _), found in runs.items()
                if by == program and metric in found and (len(tasks) == 1) == (size == 1)
            ]
            if values:
                shown[name] = 100 * statistics.mean(values)
        cells = "".join(f"{shown[name]:16.2f}" if name in shown else f"{'':16}" for name in columns)
        print(f"{metric:26}{cells}   {PUBLISHED.get(metric, '')}")
        figures[metric] = shown
    print(json.dumps(figures))


def trained_model(text: str) -> Path:
    """Type of an argument: the folder of a model that answers CLINC150."""
    folder = Path(text).resolve()
    if not (file := folder / "model.json").is_file():
        raise ArgumentTypeError(f"{folder} holds no model of graft: there is no model.json in it")
    tasks = json.loads(file.read_text(encoding="utf-8"))["heads"]
    if OUT_OF_SCOPE not in tasks:
        raise ArgumentTypeError(f"the model in {folder} answers {', '.join(tasks)}; it has to answer {OUT_OF_SCOPE}")
    return folder


def kept_run(program: str, tasks: Sequence[str], settings: dict[str, Any]) -> Path:
    """The folder of one training, which is done in a process of its own where it is not there yet."""
    kept = ENVIRONMENTS / "quality" / name_of_run(program, tasks, settings)
    if not kept.exists():
        print(f"{program}, {', '.join(tasks)}, seed {settings['seed']}", file=sys.stderr)
        draft = kept.with_name(f"{kept.name}.draft")
        draft.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", f"benchmarks.quality_peers.{program}", folder, str(draft), *tasks]
            run_contestant(program, [*command, "--settings", json.dumps(settings)])
        draft.rename(kept)
    return kept


def _recipe(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ArgumentTypeError(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ArgumentTypeError(f'{text} is no JSON object, such as {{"weight_decay": 0.1}}')
    if taken := sorted({"epochs", "seed"} & found.keys()):
        raise ArgumentTypeError(f"{', '.join(taken)} in it: they have options of their own, --epochs and --seeds")
    return found


def _run(program: str, tasks: Sequence[str], seed: int, chosen: argparse.Namespace) -> dict[str, float]:
    """{metric: value} of one training, from where it is kept or from a process of its own."""
    settings = {"epochs": chosen.epochs, "rows": chosen.rows, "recipe": chosen.recipe, "seed": seed}
    kept = kept_run(program, tasks, settings)
    split = "test" if chosen.test else "validation"
    # The code that scores may change while the model stays.
    file = kept / f"{split}-{digest_of_work(tasks, 'evaluation', 'modeling', 'tokenization')}.json"
    if not file.exists():
        command = [sys.executable, "-m", "benchmarks.quality_peers.scores", str(kept / "model"), split, str(file)]
        run_contestant(program, [*command, *tasks])
    found: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    main()
