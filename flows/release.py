"""Candidate against champion: the gate's verdict, the report, and the version in the registry."""

from prefect import flow

from data_contracts.artifacts import Assessment, Reference, Release, TrainedModel, ValidatedSnapshot
from flows.assess import assess
from flows.dispatch import on_pool
from flows.pipeline import load_pipeline
from tasks.evaluation.task import ReportFacts, answer_baselines, judge_candidate, show_results, write_report
from tasks.registry.task import find_opponent, issue_passport, register_version


@flow(flow_run_name="{pipeline}", persist_result=True)
def release(
    model: TrainedModel,
    snapshot: ValidatedSnapshot,
    assessment: Assessment,
    reference: Reference,
    pipeline: str = "support",
    overrides: list[str] | None = None,
) -> Release:
    """Judge the candidate against the champion on the same rows, and promote it if it is better.

    A first model is judged against the majority and the TF-IDF baselines.

    Args:
        model: The candidate, as fine_tune returns it.
        snapshot: The checked rows, as prepare_data returns them.
        assessment: The candidate's scores, as assess returns them.
        reference: What held-out rows look like to the candidate, as assess returns it.
        pipeline: Name of a pipeline in flows/pipelines, or the path of a YAML file.
        overrides: Changed settings, one a line, as in `training.epochs=3`.
    """
    plan = load_pipeline(pipeline, overrides)
    texts = plan.tokenization
    baselines = answer_baselines(snapshot, plan.heads, texts.text_column, texts.pair_column)
    opponent = find_opponent(plan.name, model)
    champion = None
    if opponent is not None:
        champion, _ = on_pool(assess, model=opponent, snapshot=snapshot, pipeline=pipeline, overrides=overrides)
    judgement = judge_candidate(assessment, champion, baselines, plan.heads, plan.gate)
    facts = ReportFacts(
        pipeline=plan.name,
        contract=plan.contract.name,
        text_column=texts.text_column,
        pair_column=texts.pair_column,
        rows=snapshot.rows,
        quarantined=snapshot.quarantined,
    )
    report = write_report(facts, assessment, baselines, judgement, model)
    version = register_version(plan.name, model, reference, judgement, assessment, report, plan.training.model_dump())
    version = issue_passport(version, snapshot, assessment, report, plan.model_dump(mode="json"), overrides or [])
    show_results(plan.name, report, judgement, version)
    return Release(version=version, judgement=judgement, assessment=assessment, report=report)
