"""A candidate to all that is known of it, and to the reference that drift is measured against."""

from prefect import flow

from data_contracts.artifacts import Assessment, Reference, TrainedModel, ValidatedSnapshot
from flows.pipeline import load_pipeline
from flows.score import score
from tasks.drift.task import keep_reference
from tasks.evaluation.task import find_label_errors, measure_cost, probe_model, with_findings


@flow(flow_run_name="{pipeline}", persist_result=True)
def assess(
    model: TrainedModel, snapshot: ValidatedSnapshot, pipeline: str = "support", overrides: list[str] | None = None
) -> tuple[Assessment, Reference]:
    """Score a candidate, try it with probes, time it, and keep what held-out rows look like to it.

    Args:
        model: The model, as fine_tune returns it.
        snapshot: The checked rows, as prepare_data returns them.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    plan = load_pipeline(pipeline, overrides)
    texts = plan.tokenization
    predictions, scores = score(model, snapshot, pipeline, overrides)
    asked = (plan.probes, plan.evaluation.probe_rows, texts.text_column, plan.group_column)
    probes = probe_model(model, predictions, snapshot, *asked)
    cost = measure_cost(model, snapshot, texts.text_column, model.pair_column)
    suspected = find_label_errors(snapshot, plan.heads, model.encoder, texts.limit, texts.columns)
    return with_findings(scores, cost, probes, suspected), keep_reference(model, predictions, snapshot, texts.columns)
