"""A pipeline on data too small for one test split: every row in domain judged once, by a model that has not seen it."""

from prefect import flow

from data_contracts.artifacts import Assessment, CrossValidation, ValidatedSnapshot
from flows.fine_tune import fine_tune
from flows.pipeline import Pipeline, load_pipeline
from flows.prepare_data import prepare_data
from flows.score import score
from tasks.evaluation.task import cross_scores
from tasks.modeling.task import answer_columns, locate_encoder, tag_columns
from tasks.preparation.task import Folding, cut_fold, prepared
from tasks.tokenization.task import tokenize

WITHOUT_PREPARATION = "preparation={}"


@flow(flow_run_name="{pipeline}, {folds} folds", persist_result=True)
def cross_validate(pipeline: str = "support", folds: int = 5, overrides: list[str] | None = None) -> CrossValidation:
    """Train and score a model for each fold of the rows in domain; none of these models is registered.

    The gate still judges by the pipeline's own test split: this says how far its scores can be trusted.

    Args:
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        folds: Parts that the rows in domain are cut into, each of which is tested once.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    plan = load_pipeline(pipeline, overrides)
    # Variants of a row must not stand in another fold than the row, so they come after the cut.
    checked, _ = prepare_data(pipeline, [*(overrides or []), WITHOUT_PREPARATION])
    folding = Folding(
        folds=folds,
        texts=plan.tokenization.columns,
        group_column=plan.group_column,
        strata=plan.fold_strata,
        seed=plan.training.seed,
    )
    assessments = [_assess_fold(plan, checked, fold, folding, pipeline, overrides) for fold in range(folds)]
    return cross_scores(plan.name, assessments)


def _assess_fold(
    plan: Pipeline,
    checked: ValidatedSnapshot,
    fold: int,
    folding: Folding,
    pipeline: str,
    overrides: list[str] | None,
) -> Assessment:
    texts, tags, answers = plan.tokenization, tag_columns(plan.heads), answer_columns(plan.heads)
    cut = cut_fold(checked, fold, folding)
    rows = prepared(cut, plan.preparation, texts.text_column, tags, texts.pair_column, answers)
    tokens = tokenize(rows, locate_encoder(plan.encoder), texts, tags, answers)
    model = fine_tune(rows, tokens, pipeline, overrides)
    _, scores = score(model, rows, pipeline, overrides)
    return scores
