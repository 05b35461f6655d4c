"""A production window against the champion's reference: a decision in the ledger and, for a retraining, an event."""

from prefect import flow

from data_contracts.artifacts import ModelVersion
from data_contracts.drift import Audit, DriftDecision
from flows.pipeline import Pipeline, load_pipeline, pipeline_reference
from flows.score import tokens_for
from tasks.drift.task import (
    announce,
    decide,
    draw_rows,
    find_reason_to_roll_back,
    note_rollback,
    write_drift_report,
)
from tasks.ingestion.task import count_fresh_rows, ingest, locate_audit, locate_sources
from tasks.modeling.task import predict_rows
from tasks.registry.task import find_replaced, require_champion, roll_back_champion
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
    drawn = draw_rows(checked, plan.drift.most_rows)
    tokens = tokens_for(champion.model, drawn, plan.tokenization.text_column)
    predictions = predict_rows(champion.model, drawn, tokens)
    audit = answer_audit(plan, champion, window)
    fresh = count_fresh_rows(plan.data, window, plan.contract)
    reference, texts = pipeline_reference(pipeline), plan.tokenization.columns
    broken, rows = sum(checked.quarantined.values()), checked.rows.get("window", 0)
    decision = decide(
        plan.name, reference, window, source, drawn, predictions, champion, fresh, plan.drift, texts, broken, audit
    )
    write_drift_report(plan.name, decision, drawn, predictions, champion, plan.contract, texts, plan.drift, rows)
    worse = find_reason_to_roll_back(plan.name, champion, plan.drift)
    if worse is not None and audit is not None and audit.replaced is not None:
        roll_back_champion(champion, audit.replaced, worse)
        note_rollback(plan.name, champion, audit.replaced, worse)
        return decision
    announce(plan.name, decision)
    return decision


def answer_audit(plan: Pipeline, champion: ModelVersion, window: str) -> Audit | None:
    """Rows of the window that were drawn at random and labelled, with the answers of the champion and of the version
    that it replaced; None while there are none."""
    source = locate_audit(plan.data, window)
    if source is None:
        return None
    checked = check_contract(ingest(source, plan.contract, champion.model.cleaning), source, plan.contract)
    replaced = find_replaced(champion)
    answers = [
        predict_rows(of.model, checked, tokens_for(of.model, checked, plan.tokenization.text_column))
        for of in (champion, replaced)
        if of is not None
    ]
    return Audit(
        source=source.digest,
        checked=checked,
        answers=answers[0],
        replaced=replaced,
        replaced_answers=answers[1] if replaced is not None else None,
    )
