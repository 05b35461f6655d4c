"""Tokens to a model."""

from prefect import flow

from data_contracts.artifacts import TokenizedDataset, TrainedModel, ValidatedSnapshot
from flows.pipeline import load_pipeline
from tasks.training.task import Lesson, train


@flow(flow_run_name="{pipeline}", persist_result=True)
def fine_tune(
    snapshot: ValidatedSnapshot,
    tokens: TokenizedDataset,
    pipeline: str = "support",
    overrides: list[str] | None = None,
) -> TrainedModel:
    """Fine-tune one encoder for all tasks of the pipeline.

    Args:
        snapshot: The checked rows, as prepare_data returns them.
        tokens: Their token ids.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    plan = load_pipeline(pipeline, overrides)
    return train(snapshot, tokens, Lesson(heads=plan.heads, recipe=plan.training))
