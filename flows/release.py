"""Candidate against champion: the gate's verdict, the report, and the version in the registry."""

from prefect import flow

from data_contracts.artifacts import (
    Assessment,
    Opponent,
    Reference,
    Release,
    TrainedModel,
    Transfers,
    ValidatedSnapshot,
)
from flows.approval import promote_or_ask
from flows.dispatch import on_pool
from flows.pipeline import Pipeline, load_pipeline
from flows.score import score
from tasks.evaluation.task import (
    ReportFacts,
    answer_baselines,
    judge_candidate,
    origin_of,
    show_results,
    write_report,
)
from tasks.registry.task import find_opponent, register_version
from tasks.registry.task_passports import issue_passport

# Each time somebody else was promoted while this candidate was judged. What is left then is the next run's.
JUDGED_AT_MOST = 4


@flow(flow_run_name="{pipeline}", persist_result=True)
def release(
    model: TrainedModel,
    snapshot: ValidatedSnapshot,
    assessment: Assessment,
    reference: Reference,
    pipeline: str = "support",
    overrides: list[str] | None = None,
    transfers: Transfers | None = None,
) -> Release:
    """Judge the candidate against the champion on the same rows, and promote it if it is better.

    A first model is judged against the majority and the TF-IDF baselines. Where another run promotes meanwhile, the
    candidate is judged again, against the new champion.

    Args:
        model: The candidate, as fine_tune returns it.
        snapshot: The checked rows, as prepare_data returns them.
        assessment: The candidate's scores, as assess returns them.
        reference: What held-out rows look like to the candidate, as assess returns it.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
        transfers: The candidate beside models of each task alone, as single_tasks returns it, for the report.
    """
    plan = load_pipeline(pipeline, overrides)
    texts = plan.tokenization
    parameters, settings = plan.training.model_dump(), plan.model_dump(mode="json")
    baselines = answer_baselines(snapshot, plan.heads, texts.text_column, texts.pair_column, model.encoder, texts.limit)
    for _ in range(JUDGED_AT_MOST):
        opponent = find_opponent(plan.name, model)
        champion = assessment_of(opponent, snapshot, pipeline, overrides)
        judgement = judge_candidate(assessment, champion, baselines, plan.gate, texts.columns, plan.group_column)
        facts = facts_of(plan, model, snapshot, opponent)
        report = write_report(facts, assessment, baselines, judgement, model, transfers)
        version = register_version(plan.name, model, reference, judgement, assessment, report, parameters)
        version = issue_passport(version, snapshot, assessment, report, settings, overrides or [])
        outcome = promote_or_ask(plan.release, version, opponent)
        if not outcome.overtaken:
            break
    show_results(plan.name, report, judgement, outcome.version, snapshot, outcome.why)
    return Release(
        version=outcome.version, judgement=judgement, assessment=assessment, report=report, outcome=outcome.why
    )


def facts_of(plan: Pipeline, model: TrainedModel, snapshot: ValidatedSnapshot, opponent: Opponent) -> ReportFacts:
    """What the report says beside what was measured."""
    return ReportFacts(
        pipeline=plan.name,
        contract=plan.contract.name,
        text_column=plan.tokenization.text_column,
        pair_column=plan.tokenization.pair_column,
        rows=snapshot.rows,
        quarantined=snapshot.quarantined,
        gate=plan.gate,
        origin=origin_of(model, snapshot),
        champion=opponent.title,
    )


def assessment_of(
    opponent: Opponent, snapshot: ValidatedSnapshot, pipeline: str, overrides: list[str] | None
) -> Assessment | None:
    """The opponent's scores on the candidate's rows, or None where there is no champion yet."""
    if opponent.model is None:
        return None
    _, scores = on_pool(score, model=opponent.model, snapshot=snapshot, pipeline=pipeline, overrides=overrides)
    return scores
