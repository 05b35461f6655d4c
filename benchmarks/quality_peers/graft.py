"""graft: its default recipe, on the tasks that are named."""

import argparse
import json
from pathlib import Path

from benchmarks.measuring import Clock, report
from benchmarks.quality_peers.work import empty_folder, heads_of, write_data


def main() -> None:
    """Trains on rows that it writes to FOLDER, or goes on with what lies in KEPT, and leaves the model there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("kept", type=Path)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--settings", type=json.loads, required=True)
    given = parser.parse_args()

    from tasks.training.loop import fine_tune
    from tasks.training.recipe import Recipe

    settings = given.settings
    encoder = write_data(given.folder, given.tasks, ("train", "validation"), settings["rows"])
    recipe = Recipe(epochs=settings["epochs"], seed=settings["seed"], **settings["recipe"])
    clock = Clock()
    facts = fine_tune(
        given.folder / "snapshot",
        given.folder / "tokens",
        encoder,
        heads_of(given.tasks),
        recipe,
        checkpoints=given.kept / "checkpoints",
        curves=given.kept / "curves",
        output=empty_folder(given.kept / "model"),
    )
    (given.kept / "facts.json").write_text(json.dumps({**vars(facts), "seconds": clock.seconds}), encoding="utf-8")
    report({"train": clock.seconds}, {"epochs": facts.epochs}, clock.processor_seconds)


if __name__ == "__main__":
    main()
