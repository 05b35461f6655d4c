"""`graft drift`: what the windows of a pipeline were found to be, and what was done about it."""

from typing import Annotated

import typer

from flows import terminal
from flows.terminal import failures

PIPELINE = Annotated[str, typer.Argument(help="Name of a pipeline in flows/pipelines, or the path of a YAML file.")]
DEBUG = Annotated[bool, typer.Option("--debug", help="After an error, show the traceback.")]


def drift(pipeline: PIPELINE = "support", debug: DEBUG = False) -> None:
    """List what windows were found to be, newest first, whether the model was trained again, and what came of it."""
    with failures(debug):
        from flows.pipeline import load_pipeline
        from tasks.drift.task import read_ledger_rows

        name = load_pipeline(pipeline).name
        columns = ("at (UTC)", "window", "version", "verdict", "retraining", "what became of it")
        nothing = f"No window of {name} was judged yet. `graft watch {pipeline} --window NAME` judges one."
        terminal.show_rows(columns, read_ledger_rows(name), nothing)
