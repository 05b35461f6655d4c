"""The command line: `graft`, or `python -m flows`.

Prefect reads its settings when it is imported, so the flows are imported inside the commands, after the environment
is set.
"""

import gc
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_contracts.errors import InputError
from flows import (
    contract_commands,
    drift_commands,
    labelling_commands,
    passport_commands,
    quarantine_commands,
    shadow_commands,
    terminal,
    version_commands,
)
from flows.options import PIPELINE
from flows.server import tell_nobody
from flows.terminal import failures

if TYPE_CHECKING:
    from prefect import State

app = typer.Typer(
    help="Scheduled, validated, gated transfer learning: several text tasks on one encoder.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(contract_commands.app, name="contract")
app.add_typer(quarantine_commands.app, name="quarantine")
SET = Annotated[
    list[str] | None, typer.Option("--set", help="Change one setting, as in --set training.epochs=3. Repeatable.")
]
DEBUG = Annotated[bool, typer.Option("--debug", help="Show Prefect's log and, after an error, the traceback.")]


@app.command()
def run(pipeline: PIPELINE = "support", overrides: SET = None, debug: DEBUG = False) -> None:
    """Run the main job: raw rows in, a judged model version out. Steps whose inputs did not change are reused."""
    from flows.pipeline import open_pipeline

    def call() -> "State[Any]":
        from flows.data_to_model import data_to_model

        return data_to_model(pipeline, overrides, return_state=True)

    with failures(debug):
        name = open_pipeline(pipeline, overrides).name
        started = time.monotonic()
        released, page = run_flow(debug, call)
        terminal.show_release(name, released, page, time.monotonic() - started)


@app.command()
def prepare(pipeline: PIPELINE = "support", overrides: SET = None, debug: DEBUG = False) -> None:
    """Read, check and tokenize a pipeline's data as `run` does, and stop before training."""
    from flows.pipeline import open_pipeline

    def call() -> "State[Any]":
        from flows.prepare_data import prepare_data

        return prepare_data(pipeline, overrides, return_state=True)

    with failures(debug):
        name = open_pipeline(pipeline, overrides).name
        (snapshot, tokens), page = run_flow(debug, call)
        terminal.show_prepared(name, snapshot, tokens, page)


@app.command("cross-validate")
def cross_validate(
    pipeline: PIPELINE = "support",
    folds: Annotated[int, typer.Option(help="Parts of the rows in domain; a model is trained for each.", min=3)] = 5,
    overrides: SET = None,
    debug: DEBUG = False,
) -> None:
    """Judge every row in domain once, for data too small for one test split. Nothing is registered."""
    from flows.pipeline import open_pipeline

    def call() -> "State[Any]":
        from flows.cross_validate import cross_validate as cross_validate_flow

        return cross_validate_flow(pipeline, folds, overrides, return_state=True)

    with failures(debug):
        name = open_pipeline(pipeline, overrides).name
        found, page = run_flow(debug, call)
        terminal.show_folds(name, found, page)


@app.command()
def watch(
    pipeline: PIPELINE = "support",
    window: Annotated[
        str | None, typer.Option("--window", help="Name of a window, as in week_2; by default all that came since.")
    ] = None,
    overrides: SET = None,
    debug: DEBUG = False,
) -> None:
    """Measure a window of production texts against the champion's reference; harmful drift starts a retraining."""
    from flows.pipeline import open_pipeline
    from flows.preconditions import check_watch

    def call() -> "State[Any]":
        if window is None:
            from flows.watch_windows import watch_windows

            return watch_windows(pipeline, overrides, return_state=True)
        from flows.watch_drift import watch_drift

        return watch_drift(window, pipeline, overrides, return_state=True)

    with failures(debug):
        # What is wrong with it is said before a server is started.
        plan = open_pipeline(pipeline, overrides)
        check_watch(plan, window)
        found, page = run_flow(debug, call)
        if window is None and not found:
            print(f"Every window of {plan.name} was judged before, and no labels came since: nothing to do.")
        for decision in [found] if window is not None else found:
            terminal.show_decision(plan.name, decision, page)


@app.command()
def reconcile(
    pipeline: Annotated[
        str | None, typer.Argument(help="A pipeline's name or YAML file; without it, all that have a drift ledger.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    debug: DEBUG = False,
) -> None:
    """Send the events of drift decisions that nobody took up, and close retrainings that died."""
    from flows.pipeline import open_pipeline
    from flows.server import running_server
    from tasks.storage.home import open_home

    def call() -> "State[Any]":
        from flows.reconcile import reconcile as reconcile_flow

        return reconcile_flow(pipeline, dry_run=dry_run, return_state=True)

    with failures(debug):
        if pipeline is not None:
            open_pipeline(pipeline)
        if running_server(open_home()) is None:
            raise InputError(
                "no server is up that would hear an event. `graft up` starts one, and its deployment `reconcile` does "
                "this every ten minutes."
            )
        done, page = run_flow(debug, call)
        for line in done or ["nothing to do: no event is due, and no retraining died"]:
            print(line)
        print(f"Run:    {page}")


@app.command()
def backtest(
    pipeline: PIPELINE = "support",
    windows: Annotated[
        str | None,
        typer.Option(
            help="Folder of files, one a window, like those of `data.windows`, or .jsonl; by default `data.windows`."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Folder of labelled rows of those windows; by default `data.audit`, if any.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="What `drift` may hold, as YAML. Repeatable; by default the pipeline's own."),
    ] = None,
    days: Annotated[float, typer.Option(help="Days from one window to the next.", min=0.001)] = 7.0,
    hours: Annotated[float, typer.Option(help="Hours that a retraining takes.", min=0.0)] = 1.0,
    output: Annotated[str, typer.Option(help="Where the page goes.")] = "backtest.html",
    debug: DEBUG = False,
) -> None:
    """Replay past windows under one or several drift policies, to choose one by; nothing is trained or decided."""
    from flows.pipeline import open_pipeline
    from flows.preconditions import check_backtest
    from tasks.storage.home import open_store

    def call() -> "State[Any]":
        from flows.backtest import backtest as backtest_flow

        return backtest_flow(pipeline, windows, labels, policy, days, hours, return_state=True)

    with failures(debug):
        check_backtest(open_pipeline(pipeline), windows, labels, policy or (), output)
        (rows, report), page = run_flow(debug, call)
        terminal.show_backtest(rows, open_store().directory(report.digest), output, page)


@app.command()
def predict(
    input_path: Annotated[
        str, typer.Option("--input", help="Rows with the pipeline's texts, read like its own files that end alike.")
    ],
    output_path: Annotated[
        str, typer.Option("--output", help="Where the rows go as JSON Lines, with `predictions` added.")
    ],
    pipeline: PIPELINE = "support",
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
    debug: DEBUG = False,
) -> None:
    """Score texts with the champion."""
    from flows.pipeline import open_pipeline
    from flows.preconditions import check_prediction

    def call() -> "State[Any]":
        from flows.predict import predict as predict_flow

        return predict_flow(input_path, output_path, pipeline, return_state=True)

    with failures(debug):
        check_prediction(open_pipeline(pipeline), input_path, output_path, force)
        count, _ = run_flow(debug, call)
        print(f"{count} rows scored; the answers are in {output_path}")


@app.command()
def up(
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of the server on loopback; by default that of last time, at first 4200.", min=1, max=65535
        ),
    ] = None,
    pipelines: Annotated[
        list[str] | None,
        typer.Option(
            "--pipeline",
            help="A pipeline to run every night and watch every day, and no others than those named. Repeatable; by "
            "default those that are scheduled already, at first `support`.",
        ),
    ] = None,
    debug: DEBUG = False,
) -> None:
    """Start (or find) server, pools, deployments and a worker for each pool. `graft down` stops them."""
    from flows.server import pages_of
    from flows.services import up as start_services
    from tasks.storage.home import open_home

    with failures(debug):
        url = start_services(open_home(), port, pipelines or (), print)
        print(f"\nPages: {pages_of(url)}   Logs: {open_home().services}   Stop: graft down")


@app.command()
def down(debug: DEBUG = False) -> None:
    """Stop what `graft up` started, workers first."""
    from flows.services import down as stop_services
    from tasks.storage.home import open_home

    with failures(debug):
        stop_services(open_home(), print)


for command in (version_commands.models, version_commands.rollback, version_commands.promote):
    app.command()(command)
app.command()(drift_commands.drift)
app.command()(drift_commands.rebaseline)
app.command()(labelling_commands.label)
app.command()(shadow_commands.shadow)
app.command()(shadow_commands.ab)
passport_commands.add_commands(app)


def run_flow(debug: bool, call: "Callable[[], State[Any]]") -> "tuple[Any, str]":
    """Runs a flow beside a server; returns its result and where the run is to be seen.

    `call` imports the flow, which has to happen after the environment is set, and calls it for its state.
    """
    from flows.processes import last_port
    from flows.server import pages_of, server_for_a_run
    from tasks.storage.home import open_home

    terminal.show_steps()
    with server_for_a_run(open_home(), debug=debug) as server:
        terminal.say(f"server: {server.about} at {server.url}")
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

        server.wait()
        # Heartbeats are for runs that nobody watches; they make the end of every flow wait up to a second.
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            state = call()
        page = f"v2/runs/flow-run/{state.state_details.flow_run_id}"
        result = state.result()
    if server.lasting:
        return result, f"{pages_of(server.url)}/{page}"
    return result, f"graft up, then http://127.0.0.1:{last_port(open_home())}/{page}"


def main() -> None:
    """Entry point of the console script."""
    # Of every command: those that need no server import Prefect, too.
    tell_nobody()
    # What an import makes stays for good: looking through it for garbage is a fifth of the time until the first step.
    gc.set_threshold(100_000, 20, 20)
    try:
        app()
    finally:
        # Nor need the interpreter look through it once more on its way out.
        gc.freeze()


if __name__ == "__main__":
    main()
