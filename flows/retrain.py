"""What a confirmed drift starts: the main job on all rows so far and those labelled since."""

from typing import Any

from prefect import Flow, State, flow
from prefect.client.schemas.objects import FlowRun

from data_contracts.artifacts import Release
from data_contracts.drift import DriftDecision
from flows.data_to_model import data_to_model
from flows.pipeline import load_pipeline
from tasks.drift.task_retraining import finish, note_failure, take_up


def keep_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Hook: the ledger hears of a run that failed, crashed or was cancelled. What no hook sees, reconcile finds."""
    drift = DriftDecision.model_validate(flow_run.parameters["drift"])
    note_failure(load_pipeline(drift.pipeline).name, drift, str(flow_run.id))


@flow(
    flow_run_name="{drift.pipeline} {drift.window}",
    persist_result=True,
    on_failure=[keep_failure],
    on_crashed=[keep_failure],
    on_cancellation=[keep_failure],
)
def retrain(drift: DriftDecision) -> Release | None:
    """Train again because of a drift decision; nothing happens where another run already does.

    Taking the decision up in the ledger makes the window's fresh rows part of training, beside the old ones.

    Args:
        drift: The decision, as watch_drift returns it and its event carries it.
    """
    plan = load_pipeline(drift.pipeline)
    if not take_up(plan.name, drift):
        return None
    released = data_to_model(drift.pipeline)
    finish(plan.name, drift, released)
    return released
