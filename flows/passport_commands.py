"""Commands about a version: what made it, whether that still holds, what sets it apart, and the same once more."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_contracts.errors import InputError
from flows.options import DEBUG, PIPELINE
from flows.terminal import failures

if TYPE_CHECKING:
    from data_contracts.dataset import DatasetContract
    from tasks.registry.task_passports import Passport

VERSION = Annotated[int | None, typer.Argument(help="Number of the version; the champion, if not given.")]


def add_commands(app: typer.Typer) -> None:
    """Adds the commands of this module to those of `graft`."""
    for command in (verify, explain, reproduce, export):
        app.command()(command)


def verify(pipeline: PIPELINE, version: VERSION = None, debug: DEBUG = False) -> None:
    """Recompute a version's chain from source files to verdict. Exits with 2 at a broken link, which it names first."""
    with failures(debug):
        from flows.passport_tables import show_links
        from flows.pipeline import open_pipeline
        from tasks.ingestion.task import digest_of_sources, digest_today
        from tasks.registry.task_passports import first_broken, links_of
        from tasks.registry.task_versions import version_numbered

        name = open_pipeline(pipeline).name
        found = version_numbered(name, version)
        links = links_of(found, _settings_of(pipeline), digest_today, digest_of_sources)
        show_links(f"{name} version {found.version}", links)
        if first_broken(links) is not None:
            raise SystemExit(2)


def explain(
    pipeline: PIPELINE,
    before: Annotated[int, typer.Argument(metavar="A", help="Number of the version to start from.")],
    after: Annotated[int, typer.Argument(metavar="B", help="Number of the version to compare with it.")],
    debug: DEBUG = False,
) -> None:
    """Say what differs between two versions (rows, contract, settings, code, packages), and which scores moved."""
    with failures(debug):
        from flows.passport_tables import show_changes, show_movements
        from flows.pipeline import open_pipeline
        from tasks.evaluation.task import moved_scores
        from tasks.registry.task_passports import changes_between, passport_of
        from tasks.registry.task_versions import version_numbered

        plan = open_pipeline(pipeline)
        name = plan.name
        old, new = (passport_of(version_numbered(name, number)) for number in (before, after))
        show_changes(name, (before, after), (old, new), changes_between(old, new))
        show_movements((before, after), moved_scores(old.assessment, new.assessment, plan.group_column))


def reproduce(
    pipeline: PIPELINE,
    version: VERSION = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    output: Annotated[Path | None, typer.Option(help="Keep the model in this new folder.")] = None,
    debug: DEBUG = False,
) -> None:
    """Train a version again from what the store kept, and compare the weights. Exits with 1 where they differ."""
    with failures(debug):
        from flows.server import configure_environment
        from tasks.storage.home import open_home

        configure_environment(open_home(), None, debug=debug)
        from flows.passport_tables import show_conditions, show_reproduction
        from flows.pipeline import open_pipeline
        from tasks.registry.task_passports import code_changes, passport_of
        from tasks.registry.task_versions import version_numbered
        from tasks.training.task import environment_today, lesson_of

        if output is not None and output.exists():
            raise InputError(f"{output} exists already. Choose another --output.")
        name = open_pipeline(pipeline).name
        found = version_numbered(name, version)
        passport = passport_of(found)
        lesson = lesson_of(passport.settings)
        title = f"{name} version {found.version}"
        show_conditions(title, passport, code_changes(passport), environment_today())
        if dry_run:
            print("Nothing was trained, for this was a dry run.")
            return
        with tempfile.TemporaryDirectory(prefix="graft-reproduced-") as scratch:
            folder = output or Path(scratch, "model")
            folder.mkdir(parents=True)
            equal = show_reproduction(title, *_trained_again(passport, lesson, folder, Path(scratch)), passport)
        if not equal:
            raise SystemExit(1)


def export(
    pipeline: PIPELINE,
    version: VERSION = None,
    output: Annotated[
        str, typer.Option(help="A folder, s3://bucket/folder, or hf://owner/name; each task gets a folder in it.")
    ] = "exported",
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    debug: DEBUG = False,
) -> None:
    """Write a version's tasks as model folders that transformers' pipelines load, each with a model card."""
    with failures(debug):
        from flows.pipeline import open_pipeline
        from tasks.registry.task_passports import check_export, export_version
        from tasks.registry.task_versions import version_numbered

        name = open_pipeline(pipeline).name
        found = version_numbered(name, version)
        places = check_export(found, task, output, force)
        export_version(found, places)
        left_out = sorted(set(found.model.tasks) - set(places))
        for exported, place in places.items():
            print(f"{exported}: {place}")
        if task is None and left_out:
            print(f"left out, because transformers has no pipeline for them: {', '.join(left_out)}")


def _trained_again(passport: "Passport", lesson: Any, folder: Path, scratch: Path) -> tuple[Any, Any]:
    """What sets the weights apart, and the scores of the new ones; equal weights have the same scores."""
    from flows.terminal import show_steps
    from tasks.evaluation.task import score_once
    from tasks.modeling.task import answer_once
    from tasks.registry.task_passports import compare_with_weights
    from tasks.training.task import train_once

    show_steps()
    train_once(passport.model, lesson, folder)
    difference = compare_with_weights(passport, folder)
    if difference.equal:
        return difference, passport.assessment.scores
    answers = scratch / "answers"
    answers.mkdir()
    answer_once(folder, passport.assessment.snapshot, passport.tokens, answers)
    return difference, score_once(folder, passport.assessment.snapshot, answers)


def _settings_of(pipeline: str) -> "Callable[[Passport], tuple[dict[str, Any], DatasetContract] | None]":
    """The settings and the contract that the pipeline has today, with the overrides of a passport."""
    from flows.pipeline import load_pipeline

    def today(passport: "Passport") -> "tuple[dict[str, Any], DatasetContract] | None":
        try:
            plan = load_pipeline(pipeline, list(passport.overrides))
        except InputError:
            return None
        return plan.model_dump(mode="json"), plan.contract

    return today
