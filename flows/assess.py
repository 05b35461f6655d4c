"""A model to its scores in and out of domain, and to the reference that drift is measured against."""

from prefect import flow

from data_contracts.artifacts import Assessment, Reference, TokenizedDataset, TrainedModel, ValidatedSnapshot
from flows.pipeline import load_pipeline
from tasks.drift.task import keep_reference
from tasks.evaluation.task import find_label_errors, measure_cost, probe_model, score_predictions
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
    texts = plan.tokenization
    tokens = tokens_for(model, snapshot, texts.text_column)
    predictions = predict_rows(model, snapshot, tokens)
    probes = probe_model(model, predictions, snapshot, plan.probes, plan.evaluation.probe_rows, texts.text_column)
    cost = measure_cost(model, snapshot, texts.text_column, model.pair_column)
    suspected = find_label_errors(snapshot, plan.heads, model.encoder, texts.limit, texts.columns)
    assessment = score_predictions(predictions, snapshot, model, texts.columns, cost, probes, suspected)
    return assessment, keep_reference(model, predictions, snapshot)


def tokens_for(model: TrainedModel, snapshot: ValidatedSnapshot, text_column: str) -> TokenizedDataset:
    """The rows' token ids as that model reads them; a champion may have other heads and another tokenizer."""
    settings = tokenization_of(model, text_column)
    return tokenize(snapshot, model.encoder, settings, tag_columns_of(model), answer_columns_of(model))
