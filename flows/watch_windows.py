"""All windows that came since the last time, one after the other: what a schedule runs."""

from prefect import flow

from data_contracts.drift import DriftDecision
from flows.pipeline import load_pipeline
from flows.watch_drift import watch_drift
from tasks.drift.task import find_learned_windows, find_windows_to_watch
from tasks.ingestion.task import find_windows, with_rows
from tasks.registry.task import require_champion
from tasks.registry.task_passports import windows_learnt


@flow(flow_run_name="{pipeline}", persist_result=True)
def watch_windows(pipeline: str = "support", overrides: list[str] | None = None) -> list[DriftDecision]:
    """Watch every window that nobody has judged yet, in the order of their names, and those that labels came for since.

    A window without rows is left for later.

    Args:
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `drift.alpha=0.01`.
    """
    plan = load_pipeline(pipeline, overrides)
    windows, labelled, fresh = find_windows(plan.data)
    champion = require_champion(plan.name)
    learnt = windows_learnt(champion, find_learned_windows(plan.name))
    due = with_rows(plan.data, find_windows_to_watch(plan.name, windows, labelled, fresh, champion, learnt))
    # A window that cannot be read, which fails in the end, keeps nobody from hearing of the others.
    judged = [watch_drift(window, pipeline, overrides, return_state=True) for window in due]
    return [state.result() for state in judged]
