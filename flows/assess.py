"""A model to its scores in and out of domain, and to the reference that drift is measured against."""

from prefect import flow

from data_contracts.artifacts import Assessment, Reference, TokenizedDataset, TrainedModel, ValidatedSnapshot
from flows.pipeline import load_pipeline
from tasks.drift.task import keep_reference
from tasks.evaluation.task import measure_cost, score_predictions
from tasks.modeling.task import answer_columns_of, predict_rows, tag_columns_of
from tasks.tokenization.task import tokenization_of, tokenize


@flow(flow_run_name="{pipeline}", persist_result=True)
def assess(
    model: TrainedModel, snapshot: ValidatedSnapshot, pipeline: str = "support", overrides: list[str] | None = None
) -> tuple[Assessment, Reference]:
    """Let a model answer every evaluation row, score the answers, and keep what held-out rows look like to it.

    Args:
        model: The model, as fine_tune returns it.
        snapshot: The checked rows, as prepare_data returns them.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    plan = load_pipeline(pipeline, overrides)
    tokens = tokens_for(model, snapshot, plan.tokenization.text_column)
    predictions = predict_rows(model, snapshot, tokens)
    cost = measure_cost(model, snapshot, plan.tokenization.text_column, model.pair_column)
    assessment = score_predictions(predictions, snapshot, model, cost, plan.tokenization.columns)
    return assessment, keep_reference(model, predictions, snapshot)


def tokens_for(model: TrainedModel, snapshot: ValidatedSnapshot, text_column: str) -> TokenizedDataset:
    """The rows' token ids as that model reads them; a champion may have other heads and another tokenizer."""
    settings = tokenization_of(model, text_column)
    return tokenize(snapshot, model.encoder, settings, tag_columns_of(model), answer_columns_of(model))
