"""Policies of drift on windows of the past, to choose one by."""

from prefect import flow

from data_contracts.drift import DriftReport
from flows.pipeline import load_pipeline
from flows.watch_drift import answer_window
from tasks.drift.task import replay_policies
from tasks.ingestion.task import past_windows
from tasks.registry.task import require_champion


@flow(flow_run_name="{pipeline}", persist_result=True)
def backtest(
    pipeline: str = "support",
    windows: str | None = None,
    labels: str | None = None,
    policies: list[str] | None = None,
    days: float = 7.0,
    hours: float = 1.0,
) -> tuple[list[tuple[str, ...]], DriftReport]:
    """Replay past windows under several policies; nothing is decided, trained or noted in the ledger.

    Args:
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        windows: Folder of files, one a window, in the order of their names, like those of `data.windows`, or JSON
            Lines; by default `data.windows` itself.
        labels: Folder of labelled rows of those windows, under the same names; by default `data.audit`, if any.
        policies: YAML files that each hold what a pipeline's `drift` may; by default the pipeline's own alone.
        days: Time from one window to the next.
        hours: What a retraining takes.
    """
    plan = load_pipeline(pipeline)
    champion = require_champion(plan.name)
    data, names = past_windows(plan.data, windows, labels)
    watched = [answer_window(plan, data, champion, name) for name in names]
    texts = plan.tokenization.columns
    return replay_policies(plan.name, champion, watched, plan.drift, policies or [], texts, days, hours)
