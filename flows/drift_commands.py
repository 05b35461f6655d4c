"""`graft drift`: what the windows of a pipeline were found to be, and what was done about it."""

from typing import Annotated

import typer

from flows import terminal
from flows.options import BY, DEBUG, PIPELINE
from flows.terminal import failures
from flows.version_commands import current_user


def drift(pipeline: PIPELINE = "support", debug: DEBUG = False) -> None:
    """List what windows were found to be, newest first, whether the model was trained again, and what came of it."""
    with failures(debug):
        from flows.pipeline import open_pipeline
        from tasks.drift.task import read_ledger_rows

        name = open_pipeline(pipeline).name
        columns = ("at (UTC)", "window", "version", "verdict", "retraining", "what became of it")
        nothing = f"No window of {name} was judged yet. `graft watch {name} --window NAME` judges one."
        terminal.show_rows(columns, read_ledger_rows(name), nothing)


def rebaseline(
    window: Annotated[str, typer.Option("--window", help="A window that was watched and found BENIGN.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is what is normal now; kept in the ledger.")],
    pipeline: PIPELINE = "support",
    by: BY = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    debug: DEBUG = False,
) -> None:
    """Take a benign window for what is normal: shift is measured against the reference with its rows from then on.

    Harm is still measured against the reference alone, and the next champion brings a reference of its own.
    """
    with failures(debug):
        from flows.pipeline import open_pipeline
        from tasks.drift.task_reports import take_for_normal

        name = open_pipeline(pipeline).name
        done = take_for_normal(name, window, by or current_user(), reason, dry_run=dry_run)
        print(f"{name}: {'would be' if dry_run else 'from now on'} {done}")
