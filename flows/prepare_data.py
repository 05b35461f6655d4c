"""Sources to tokens, with the contract as the gate between."""

from prefect import flow

from data_contracts.artifacts import TokenizedDataset, ValidatedSnapshot
from flows.pipeline import open_pipeline
from tasks.drift.task import find_learned_windows
from tasks.ingestion.task import find_corrections, ingest, locate_sources, plan_splits
from tasks.modeling.task import answer_columns, locate_encoder, tag_columns
from tasks.preparation.task import prepared
from tasks.registry.task_passports import keep_origin
from tasks.tokenization.task import tokenize
from tasks.validation.task import accept_data, check_contract, document_checks


@flow(flow_run_name="{pipeline}", persist_result=True)
def prepare_data(
    pipeline: str = "support", overrides: list[str] | None = None
) -> tuple[ValidatedSnapshot, TokenizedDataset]:
    """Read every source, check it against its contract, prepare the rows, and turn their texts into token ids.

    Rows that break the contract go to a quarantine; more than the contract's budget, or a broken rule about the whole,
    ends the run here.

    Args:
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    plan = open_pipeline(pipeline, overrides)
    data, contract, texts = plan.data, plan.contract, plan.tokenization
    tags, answers = tag_columns(plan.heads), answer_columns(plan.heads)
    sources = locate_sources(data, find_learned_windows(plan.name))
    lines = plan_splits(plan.name, sources, contract, data.cleaning, data.splits)
    corrections = find_corrections(plan.name)
    snapshot = ingest(sources, contract, data.cleaning, data.splits, lines, corrections)
    checked = check_contract(snapshot, sources, contract)
    accepted = accept_data(checked, contract, document_checks(checked, contract), plan.name)
    rows = prepared(accepted, plan.preparation, texts.text_column, tags, texts.pair_column, answers)
    rows = keep_origin(rows, accepted, snapshot, sources, lines, corrections, contract)
    encoder = locate_encoder(plan.encoder)
    return rows, tokenize(rows, encoder, texts, tags, answers)
