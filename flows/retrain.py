"""What a confirmed drift starts: the main job on all rows so far and those labelled since."""

from prefect import flow

from data_contracts.artifacts import Release
from data_contracts.drift import DriftDecision
from flows.data_to_model import data_to_model
from flows.pipeline import load_pipeline
from tasks.drift.task import take_up


@flow(flow_run_name="{drift.pipeline} {drift.window}", persist_result=True)
def retrain(drift: DriftDecision) -> Release | None:
    """Train again because of a drift decision; nothing happens where another run already does.

    Taking the decision up in the ledger makes the window's fresh rows part of training, beside the old ones.

    Args:
        drift: The decision, as watch_drift returns it and its event carries it.
    """
    plan = load_pipeline(drift.pipeline)
    if not take_up(plan.name, drift):
        return None
    return data_to_model(drift.pipeline)
