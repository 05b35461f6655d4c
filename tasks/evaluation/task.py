"""Prefect edge of evaluation."""

import base64
import json
from pathlib import Path

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import (
    Assessment,
    Baselines,
    Judgement,
    ModelVersion,
    Predictions,
    Report,
    TrainedModel,
    ValidatedSnapshot,
)
from tasks.evaluation.gate import GatePolicy
from tasks.evaluation.movement import Movement, Scored, movements
from tasks.evaluation.pages import ReportFacts, lineage_page
from tasks.modeling.heads import AnyHead, heads_of
from tasks.storage.caching import cached_task
from tasks.storage.home import open_store

__all__ = [
    "Movement",
    "ReportFacts",
    "answer_baselines",
    "judge_candidate",
    "moved_scores",
    "score_once",
    "score_predictions",
    "show_results",
    "write_report",
]
TRAINING_SPLITS = ("train", "validation")


@cached_task("evaluation")
def answer_baselines(
    snapshot: ValidatedSnapshot, heads: dict[str, AnyHead], text_column: str, pair_column: str | None = None
) -> Baselines:
    """Majority and TF-IDF answers on every evaluation split."""
    from tasks.evaluation.baselines import answer_with_baselines

    store = open_store()
    with store.draft() as draft:
        splits = [split for split in snapshot.rows if split not in TRAINING_SPLITS]
        folder = store.directory(snapshot.digest)
        answer_with_baselines(folder, heads, text_column, splits, output=draft, pair_column=pair_column)
        return Baselines(digest=store.publish(draft), parents=(snapshot.digest,))


@cached_task("evaluation")
def score_predictions(predictions: Predictions, snapshot: ValidatedSnapshot, model: TrainedModel) -> Assessment:
    """Every metric of every task on every evaluation split."""
    from tasks.evaluation.scoring import score_splits, write_scores

    store = open_store()
    with store.draft() as draft:
        splits = [split for split in predictions.rows if split not in TRAINING_SPLITS]
        heads = heads_of(store.directory(model.digest))
        scores = score_splits(store.directory(snapshot.digest), store.directory(predictions.digest), heads, splits)
        write_scores(draft / "scores.json", scores)
        primary: dict[str, dict[str, float]] = {}
        for score in scores:
            if score.primary:
                primary.setdefault(score.task, {})[score.split] = round(score.value, 6)
        return Assessment(
            digest=store.publish(draft),
            parents=(predictions.digest, snapshot.digest),
            model=model.digest,
            predictions=predictions.digest,
            snapshot=snapshot.digest,
            scores=primary,
        )


@cached_task("evaluation")
def judge_candidate(
    candidate: Assessment,
    champion: Assessment | None,
    baselines: Baselines,
    heads: dict[str, AnyHead],
    policy: GatePolicy,
) -> Judgement:
    """The gate's verdict on the candidate, against the champion or, for a first model, the baselines."""
    from tasks.evaluation.gate import judge, write_evidence

    store = open_store()
    with store.draft() as draft:
        verdict, reasons, evidence = judge(
            store.directory(candidate.snapshot),
            heads,
            store.directory(candidate.predictions),
            store.directory(champion.predictions) if champion else None,
            store.directory(baselines.digest),
            policy,
        )
        write_evidence(draft / "evidence.json", evidence)
        # Part of the digest, so that another verdict on the same evidence is another judgement.
        (draft / "verdict.json").write_text(json.dumps({"verdict": verdict, "reasons": reasons}), encoding="utf-8")
        return Judgement(
            digest=store.publish(draft),
            parents=(candidate.digest, *((champion.digest,) if champion else ()), baselines.digest),
            verdict=verdict,
            reasons=tuple(reasons),
            candidate=candidate.model,
            champion=champion.model if champion else None,
        )


@cached_task("evaluation")
def write_report(
    facts: ReportFacts, candidate: Assessment, baselines: Baselines, judgement: Judgement, model: TrainedModel
) -> Report:
    """One HTML page that says how good the model is and what the gate made of it."""
    from tasks.evaluation.report import Evidence, make_report

    store = open_store()
    with store.draft() as draft:
        make_report(
            facts,
            Evidence(
                snapshot=store.directory(candidate.snapshot),
                answers=store.directory(candidate.predictions),
                scores=store.directory(candidate.digest) / "scores.json",
                baselines=store.directory(baselines.digest),
                differences=store.directory(judgement.digest) / "evidence.json",
                model=store.directory(model.digest),
            ),
            judgement,
            output=draft,
        )
        return Report(digest=store.publish(draft), parents=(candidate.digest, judgement.digest))


@task(cache_policy=NO_CACHE)
def show_results(pipeline: str, report: Report, judgement: Judgement, version: ModelVersion) -> None:
    """Artifacts of the run: the results table, the gap between domains, the verdict with the lineage."""
    folder = open_store().directory(report.digest)
    table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    rounded = [{key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()} for row in table]
    create_table_artifact(
        rounded, key=f"{pipeline}-results", description=f"Version {version.version}: {judgement.verdict}"
    )
    picture = base64.b64encode((folder / "gap.png").read_bytes()).decode()
    create_markdown_artifact(
        f"# Gap between domains\n\n![gap between domains](data:image/png;base64,{picture})",
        key=f"{pipeline}-gap",
        description="Primary metric of every task on every split, beside the baselines",
    )
    create_markdown_artifact(
        lineage_page(pipeline, judgement, version),
        key=f"{pipeline}-lineage",
        description=f"Verdict {judgement.verdict} and what version {version.version} was made from",
    )


def moved_scores(before: Assessment, after: Assessment) -> list[Movement]:
    """Every primary score of two models, with the interval of its change where both answered the same rows."""
    return movements(_scored(before), _scored(after))


def score_once(model: Path, snapshot: str, answers: Path) -> dict[str, dict[str, float]]:
    """{task: {split: primary score}} of answers that lie beside any run, as `score_predictions` gives them."""
    from tasks.evaluation.scoring import score_splits

    splits = sorted(path.stem for path in answers.glob("*.parquet") if path.stem not in TRAINING_SPLITS)
    found: dict[str, dict[str, float]] = {}
    for score in score_splits(open_store().directory(snapshot), answers, heads_of(model), splits):
        if score.primary:
            found.setdefault(score.task, {})[score.split] = round(score.value, 6)
    return found


def _scored(assessment: Assessment) -> Scored:
    store = open_store()
    return Scored(
        scores=store.directory(assessment.digest),
        answers=store.directory(assessment.predictions),
        snapshot=store.directory(assessment.snapshot),
        heads=heads_of(store.directory(assessment.model)),
    )
