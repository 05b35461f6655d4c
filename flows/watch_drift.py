"""A production window against the champion's reference: a decision in the ledger and, for a retraining, an event."""

from prefect import flow

from data_contracts.artifacts import ModelVersion
from data_contracts.drift import Audit, DriftDecision, WatchedWindow
from data_contracts.splits import WINDOW
from flows.pipeline import Pipeline, load_pipeline, pipeline_reference
from flows.score import tokens_for
from tasks.drift.task import (
    decide,
    draw_rows,
    find_learned_windows,
    find_reason_to_roll_back,
    note_rollback,
)
from tasks.drift.task_reports import show_drift_report, write_drift_report
from tasks.drift.task_retraining import announce
from tasks.ingestion.task import DataSettings, count_fresh_rows, ingest, locate_audit, locate_sources
from tasks.modeling.task import predict_rows
from tasks.registry.task import find_replaced, require_champion, roll_back_champion
from tasks.registry.task_passports import windows_learnt
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
    watched = answer_window(plan, plan.data, champion, window)
    texts = plan.tokenization.columns
    decision = decide(plan.name, pipeline_reference(pipeline), watched, champion, plan.drift, texts)
    report = write_drift_report(plan.name, decision, watched, champion, plan.contract, texts, plan.drift)
    show_drift_report(plan.name, decision, report)
    replaced = find_replaced(champion)
    worse = find_reason_to_roll_back(plan.name, champion, replaced, plan.drift)
    if replaced is not None and worse is not None and roll_back_champion(replaced, worse):
        note_rollback(plan.name, replaced, worse)
    announce(plan.name, decision)
    return decision


def answer_window(plan: Pipeline, data: DataSettings, champion: ModelVersion, window: str) -> WatchedWindow:
    """The window's rows that satisfy the contract, with the champion's answers, and what people have labelled of it."""
    contract, cleaning = plan.contract.without_labels(), champion.model.cleaning
    source = locate_sources(data, window=window)
    checked = check_contract(ingest(source, contract, cleaning), source, contract)
    drawn = draw_rows(checked, plan.drift.most_rows)
    tokens = tokens_for(champion.model, drawn, plan.tokenization.text_column)
    learnt = has_learnt(plan, champion, window)
    return WatchedWindow(
        name=window,
        source=source.digest,
        drawn=drawn,
        answers=predict_rows(champion.model, drawn, tokens),
        rows=checked.rows.get(WINDOW, 0),
        broken=sum(checked.quarantined.values()),
        fresh_rows=count_fresh_rows(data, window, plan.contract),
        learnt=learnt,
        # Rows that training has seen say nothing of how good the answers to others are.
        audit=None if learnt else answer_audit(plan, data, champion, window),
    )


def has_learnt(plan: Pipeline, version: ModelVersion, window: str) -> bool:
    """Whether the version was trained with labelled rows of the window; of one whose passport does not say, whether
    any retraining took the window up."""
    return window in windows_learnt(version, find_learned_windows(plan.name))


def answer_audit(plan: Pipeline, data: DataSettings, champion: ModelVersion, window: str) -> Audit | None:
    """Rows of the window that were drawn at random and labelled, with the answers of the champion and of the version
    that it replaced; None while there are none."""
    source = locate_audit(data, window)
    if source is None:
        return None
    checked = check_contract(ingest(source, plan.contract, champion.model.cleaning), source, plan.contract)
    replaced = find_replaced(champion)
    if replaced is not None and has_learnt(plan, replaced.version, window):
        replaced = None
    answers = [
        predict_rows(of.model, checked, tokens_for(of.model, checked, plan.tokenization.text_column))
        for of in (champion, replaced.version if replaced else None)
        if of is not None
    ]
    return Audit(
        source=source.digest,
        checked=checked,
        answers=answers[0],
        replaced=replaced,
        replaced_answers=answers[1] if replaced is not None else None,
    )
