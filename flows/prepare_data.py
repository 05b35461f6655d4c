"""Sources to tokens, with the contract as the gate between."""

from prefect import flow

from data_contracts.artifacts import TokenizedDataset, ValidatedSnapshot
from flows.pipeline import load_pipeline
from tasks.drift.task import find_learned_windows
from tasks.ingestion.task import ingest, locate_sources
from tasks.modeling.task import locate_encoder, tag_columns
from tasks.tokenization.task import tokenize
from tasks.validation.task import check_contract, enforce_budget


@flow(flow_run_name="{pipeline}", persist_result=True)
def prepare_data(
    pipeline: str = "support", overrides: list[str] | None = None
) -> tuple[ValidatedSnapshot, TokenizedDataset]:
    """Read every source, check it against its contract, and turn its texts into token ids.

    Rows that break the contract go to a quarantine file; more than the contract's budget ends the run here.

    Args:
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    plan = load_pipeline(pipeline, overrides)
    sources = locate_sources(plan.data, find_learned_windows(plan.name))
    snapshot = ingest(sources, plan.contract)
    checked = enforce_budget(check_contract(snapshot, plan.contract), plan.contract)
    encoder = locate_encoder(plan.encoder)
    return checked, tokenize(checked, encoder, plan.tokenization, tag_columns(plan.heads))
