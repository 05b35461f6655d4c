"""A model of each task alone, beside the one that has learnt all of them: which tasks lose by learning together."""

from prefect import flow

from data_contracts.artifacts import Predictions, TokenizedDataset, TrainedModel, Transfers, ValidatedSnapshot
from flows.pipeline import Pipeline, load_pipeline
from flows.score import tokens_for
from tasks.evaluation.task import compare_with_single_tasks, show_transfers
from tasks.modeling.task import predict_rows
from tasks.training.task import Lesson, train


@flow(flow_run_name="{pipeline}", persist_result=True)
def single_tasks(
    model: TrainedModel, snapshot: ValidatedSnapshot, pipeline: str = "support", overrides: list[str] | None = None
) -> Transfers:
    """Train a model of each task alone by the same recipe, and compare its answers with those of the model of all.

    It costs a training a task, so it is not part of the main job. None of these models is registered.

    Args:
        model: The model of all tasks, as fine_tune returns it.
        snapshot: The checked rows, as prepare_data returns them.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    plan = load_pipeline(pipeline, overrides)
    tokens = tokens_for(model, snapshot, plan.tokenization.text_column)
    alone = {task: _answers_alone(task, plan, snapshot, tokens) for task in plan.heads}
    together = predict_rows(model, snapshot, tokens)
    transfers = compare_with_single_tasks(together, alone, snapshot, model, plan.group_column)
    show_transfers(plan.name, transfers)
    return transfers


def _answers_alone(task: str, plan: Pipeline, snapshot: ValidatedSnapshot, tokens: TokenizedDataset) -> Predictions:
    lesson = Lesson(heads={task: plan.heads[task]}, recipe=plan.training.alone(task))
    return predict_rows(train(snapshot, tokens, lesson), snapshot, tokens)
