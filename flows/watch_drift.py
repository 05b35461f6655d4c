"""A production window against the champion's reference: a decision in the ledger and, for a retraining, an event."""

from prefect import flow

from data_contracts.drift import DriftDecision
from flows.pipeline import load_pipeline, pipeline_reference
from flows.score import tokens_for
from tasks.drift.task import announce, decide, show_decision
from tasks.ingestion.task import count_fresh_rows, ingest, locate_sources
from tasks.modeling.task import predict_rows
from tasks.registry.task import require_champion
from tasks.validation.task import check_contract


@flow(flow_run_name="{pipeline} {window}", persist_result=True)
def watch_drift(window: str, pipeline: str = "support", overrides: list[str] | None = None) -> DriftDecision:
    """Measure a window of production texts; a confirmed, harmful drift starts `retrain` through the server's trigger.

    Args:
        window: Name of the window, which stands for {window} in the pipeline's `data.windows`.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `drift.alpha=0.01`.
    """
    plan = load_pipeline(pipeline, overrides)
    champion = require_champion(plan.name)
    contract = plan.contract.without_labels()
    source = locate_sources(plan.data, window=window)
    checked = check_contract(ingest(source, contract, champion.model.cleaning), source, contract)
    tokens = tokens_for(champion.model, checked, plan.tokenization.text_column)
    predictions = predict_rows(champion.model, checked, tokens)
    fresh = count_fresh_rows(plan.data, window)
    reference = pipeline_reference(pipeline)
    decision = decide(plan.name, reference, window, source, checked, predictions, champion, fresh, plan.drift)
    show_decision(plan.name, decision)
    announce(plan.name, decision)
    return decision
