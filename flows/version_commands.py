"""`graft models`, `rollback` and `promote`: a pipeline's versions, and a person's word on which is champion."""

import getpass
from typing import Annotated

import typer

from data_contracts.errors import InputError
from flows import terminal
from flows.options import BY, DEBUG, PIPELINE
from flows.terminal import failures
from tasks.storage.home import open_store


def models(
    pipeline: PIPELINE = "support",
    history: Annotated[bool, typer.Option("--history", help="Show when who made what champion, and why.")] = False,
    debug: DEBUG = False,
) -> None:
    """List a pipeline's model versions, newest first."""
    with failures(debug):
        from flows.pipeline import open_pipeline
        from tasks.registry.promotions import PromotionLedger

        name = open_pipeline(pipeline).name
        # The store tells of promotions; importing MLflow, which has the versions, takes seconds.
        if history and (promotions := PromotionLedger(open_store(), name).entries()):
            terminal.show_promotions(name, promotions)
            return
        from tasks.registry.task_versions import open_registry

        registry = open_registry(name)
        if history:
            terminal.show_promotions(name, registry.ledger.entries())
        else:
            terminal.show_versions(name, registry.versions(), registry.ledger.entries())


def rollback(
    pipeline: PIPELINE = "support",
    to: Annotated[int | None, typer.Option("--to", help="An earlier champion; by default the previous one.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the promotion.")] = "",
    by: BY = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    debug: DEBUG = False,
) -> None:
    """Make the previous champion champion again."""
    with failures(debug):
        from flows.pipeline import open_pipeline
        from tasks.registry.task_versions import roll_back

        name = open_pipeline(pipeline).name
        entry = roll_back(name, to, by or current_user(), reason, dry_run=dry_run)
        if dry_run:
            print(f"{name}: version {entry.version} would be champion again, version {entry.previous} `previous`")
        else:
            print(f"{name}: version {entry.version} is champion again, version {entry.previous} is now `previous`")


def promote(
    pipeline: PIPELINE,
    version: Annotated[int, typer.Argument(help="Number of the version, as in `graft models`.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the promotion, and shown in the history.")],
    by: BY = None,
    debug: DEBUG = False,
) -> None:
    """Make a version champion whatever the gate said of it."""
    with failures(debug):
        from flows.pipeline import open_pipeline
        from tasks.registry.task_versions import promote_by_hand

        name = open_pipeline(pipeline).name
        entry = promote_by_hand(name, version, by or current_user(), reason)
        before = f"; version {entry.previous} is now `previous`" if entry.previous else ""
        print(f"{name}: version {entry.version} is champion{before}. Kept: {entry.kind} by {entry.by}: {entry.reason}")


def current_user() -> str:
    """The user who is logged in. Raises InputError where the system does not know, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as error:
        raise InputError("the system does not say who you are; give your name with --by") from error
