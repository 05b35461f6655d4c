"""A model to its scores in and out of domain: what the gate compares two models by."""

from prefect import flow

from data_contracts.artifacts import Assessment, Predictions, TokenizedDataset, TrainedModel, ValidatedSnapshot
from flows.pipeline import load_pipeline
from tasks.evaluation.task import score_predictions
from tasks.modeling.task import answer_columns_of, predict_rows, tag_columns_of
from tasks.tokenization.task import tokenization_of, tokenize


@flow(flow_run_name="{pipeline}", persist_result=True)
def score(
    model: TrainedModel, snapshot: ValidatedSnapshot, pipeline: str = "support", overrides: list[str] | None = None
) -> tuple[Predictions, Assessment]:
    """Let a model answer every evaluation row, and score the answers.

    Args:
        model: The candidate, or the champion that it is judged against.
        snapshot: The checked rows, as prepare_data returns them.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    plan = load_pipeline(pipeline, overrides)
    texts = plan.tokenization
    predictions = predict_rows(model, snapshot, tokens_for(model, snapshot, texts.text_column))
    return predictions, score_predictions(predictions, snapshot, model, texts.columns, plan.group_column)


def tokens_for(model: TrainedModel, snapshot: ValidatedSnapshot, text_column: str) -> TokenizedDataset:
    """The rows' token ids as that model reads them; a champion may have other heads and another tokenizer."""
    settings = tokenization_of(model, text_column)
    return tokenize(snapshot, model.encoder, settings, tag_columns_of(model), answer_columns_of(model))
