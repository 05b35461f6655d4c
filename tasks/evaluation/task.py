"""Prefect edge of evaluation."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import (
    Assessment,
    Baselines,
    CrossValidation,
    Encoder,
    Judgement,
    LabelSuspects,
    ModelCost,
    ModelVersion,
    Predictions,
    ProbeResults,
    Report,
    TrainedModel,
    Transfers,
    ValidatedSnapshot,
)
from data_contracts.splits import TRAINING_SPLITS
from tasks.evaluation.movement import Movement, Scored, movements
from tasks.evaluation.pages import ReportFacts, lineage_page, origin_of
from tasks.evaluation.policy import GatePolicy
from tasks.evaluation.probes import Probes
from tasks.modeling.encoder import encoder_folder
from tasks.modeling.heads import AnyHead, heads_of
from tasks.modeling.limits import TokenLimit
from tasks.storage.caching import cached_task
from tasks.storage.home import open_store

__all__ = [
    "Movement",
    "ReportFacts",
    "answer_baselines",
    "find_label_errors",
    "judge_candidate",
    "measure_cost",
    "moved_scores",
    "origin_of",
    "probe_model",
    "score_once",
    "score_predictions",
    "show_results",
    "with_findings",
    "write_report",
]
COST, PROBES, LABEL_ERRORS, TRANSFERS = "cost.json", "probes.json", "label_errors.json", "transfers.json"


@cached_task("evaluation")
def answer_baselines(
    snapshot: ValidatedSnapshot,
    heads: dict[str, AnyHead],
    text_column: str,
    pair_column: str | None,
    encoder: Encoder,
    limit: TokenLimit,
) -> Baselines:
    """Answers of the majority, TF-IDF and the encoder before it has learnt anything, on every evaluation split."""
    from tasks.evaluation.baselines import answer_with_baselines
    from tasks.evaluation.zero_shot import answer_zero_shot

    store = open_store()
    with store.draft() as draft:
        splits = [split for split in snapshot.rows if split not in TRAINING_SPLITS]
        folder = store.directory(snapshot.digest)
        answer_with_baselines(folder, heads, text_column, splits, output=draft, pair_column=pair_column)
        untaught = encoder_folder(encoder.name, encoder.revision)
        answer_zero_shot(folder, heads, text_column, splits, untaught, limit, output=draft, pair_column=pair_column)
        return Baselines(digest=store.publish(draft), parents=(snapshot.digest, encoder.digest))


@cached_task("evaluation")
def find_label_errors(
    snapshot: ValidatedSnapshot,
    heads: dict[str, AnyHead],
    encoder: Encoder,
    limit: TokenLimit,
    text_columns: tuple[str, ...],
) -> LabelSuspects:
    """Training rows whose labels are likely wrong, for a person to look at."""
    from tasks.evaluation.label_checks import suspects_in_training
    from tasks.evaluation.label_errors import write_suspects

    store = open_store()
    with store.draft() as draft:
        untaught = encoder_folder(encoder.name, encoder.revision)
        found = suspects_in_training(store.directory(snapshot.digest), heads, untaught, limit, text_columns)
        write_suspects(draft / LABEL_ERRORS, found)
        counts = {task: len(of_task) for task, of_task in found.items()}
        return LabelSuspects(digest=store.publish(draft), parents=(snapshot.digest, encoder.digest), suspects=counts)


@cached_task("evaluation")
def measure_cost(
    model: TrainedModel, snapshot: ValidatedSnapshot, text_column: str, pair_column: str | None = None
) -> ModelCost:
    """Size of the model, and how fast it answers in-domain texts on this machine."""
    from tasks.evaluation import latency

    store = open_store()
    with store.draft() as draft:
        texts, seconds = latency.texts_in_domain(store.directory(snapshot.digest), text_column, pair_column)
        latency.write_cost(draft / COST, latency.measure_cost(store.directory(model.digest), texts, seconds))
        return ModelCost(digest=store.publish(draft), parents=(model.digest,))


@cached_task("evaluation")
def score_predictions(
    predictions: Predictions,
    snapshot: ValidatedSnapshot,
    model: TrainedModel,
    text_columns: tuple[str, ...] = (),
    group_column: str | None = None,
) -> Assessment:
    """Every metric of every task on every evaluation split, slices, calibration, scope, and labels to look at."""
    from tasks.evaluation.assessing import assess_answers
    from tasks.evaluation.scoring import primary_scores

    store = open_store()
    with store.draft() as draft:
        splits = [split for split in predictions.rows if split not in TRAINING_SPLITS]
        heads = heads_of(store.directory(model.digest))
        rows, answers = store.directory(snapshot.digest), store.directory(predictions.digest)
        scores = assess_answers(rows, answers, heads, splits, text_columns, draft, group_column)
        return Assessment(
            digest=store.publish(draft),
            parents=(predictions.digest, snapshot.digest),
            model=model.digest,
            predictions=predictions.digest,
            snapshot=snapshot.digest,
            scores=primary_scores(scores),
        )


def with_findings(scores: Assessment, cost: ModelCost, probes: ProbeResults, suspected: LabelSuspects) -> Assessment:
    """The scores, and what else was measured of the model."""
    found = {"cost": cost.digest, "probes": probes.digest, "label_errors": suspected.digest}
    return scores.model_copy(update=found)


@cached_task("evaluation")
def compare_with_single_tasks(
    together: Predictions,
    alone: dict[str, Predictions],
    snapshot: ValidatedSnapshot,
    model: TrainedModel,
    group_column: str | None = None,
) -> Transfers:
    """How the model of all tasks answers each of them beside a model of that task alone."""
    from tasks.evaluation.transfer import measure_transfer, write_transfers

    store = open_store()
    with store.draft() as draft:
        found = measure_transfer(
            store.directory(snapshot.digest),
            heads_of(store.directory(model.digest)),
            store.directory(together.digest),
            {task: store.directory(of.digest) for task, of in alone.items()},
            [split for split in together.rows if split not in TRAINING_SPLITS],
            group_column,
        )
        write_transfers(draft / TRANSFERS, found)
        return Transfers(
            digest=store.publish(draft),
            parents=(together.digest, *(of.digest for of in alone.values()), snapshot.digest),
            model=model.digest,
            losing=tuple(dict.fromkeys(effect.task for effect in found if effect.loses)),
        )


@task(cache_policy=NO_CACHE)
def show_transfers(pipeline: str, transfers: Transfers) -> None:
    """What learning together does to each task, as an artifact of the run."""
    from tasks.evaluation.transfer import read_transfers, transfer_in_words

    found = read_transfers(open_store().directory(transfers.digest) / TRANSFERS)
    table = [{key: round(v, 3) if isinstance(v, float) else v for key, v in asdict(of).items()} for of in found]
    create_table_artifact(table, key=f"{pipeline}-transfer", description=" ".join(transfer_in_words(found)))


@task(cache_policy=NO_CACHE)
def cross_scores(pipeline: str, folds: Sequence[Assessment]) -> CrossValidation:
    """What the folds' scores say together, and a table of them as an artifact of the run."""
    from tasks.evaluation.crossing import cross_scores as scores_of
    from tasks.evaluation.crossing import cross_table
    from tasks.evaluation.scoring import SCORES

    store = open_store()
    found = scores_of([store.directory(fold.digest) / SCORES for fold in folds])
    table = cross_table(found)
    create_table_artifact(table, key=f"{pipeline}-cross-validation", description=f"{len(folds)} folds, in domain")
    with store.draft() as draft:
        (draft / "table.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
        means: dict[str, float] = {}
        for score in found:
            # A task's primary metric comes first.
            means.setdefault(score.task, score.mean)
        return CrossValidation(
            digest=store.publish(draft),
            parents=tuple(fold.digest for fold in folds),
            folds=len(folds),
            means=means,
        )


@cached_task("evaluation")
def probe_model(
    model: TrainedModel,
    predictions: Predictions,
    snapshot: ValidatedSnapshot,
    probes: Probes,
    rows: int,
    text_column: str,
    group_column: str | None = None,
) -> ProbeResults:
    """What the model makes of texts that were edited, or written by hand; at most `rows` texts a case."""
    from tasks.evaluation.case_results import write_findings
    from tasks.evaluation.probing import Folders, Reading, probe

    store = open_store()
    with store.draft() as draft:
        folders = [store.directory(handle.digest) for handle in (model, snapshot, predictions)]
        reading = Reading(text_column, model.pair_column, model.cleaning, group_column)
        found = probe(Folders(*folders), probes, rows, reading)
        write_findings(draft / PROBES, found)
        parents = (model.digest, predictions.digest, snapshot.digest)
        return ProbeResults(digest=store.publish(draft), parents=parents, model=model.digest, failed=found.failed)


@cached_task("evaluation")
def judge_candidate(
    candidate: Assessment,
    champion: Assessment | None,
    baselines: Baselines,
    policy: GatePolicy,
    text_columns: tuple[str, ...] = (),
    group_column: str | None = None,
) -> Judgement:
    """The gate's verdict on the candidate, against the champion or, for a first model, the baselines."""
    from tasks.evaluation.gate import Measured, judge, write_ruling
    from tasks.evaluation.scoring import SCORES

    store = open_store()
    with store.draft() as draft:
        ruling = judge(
            store.directory(candidate.snapshot),
            heads_of(store.directory(candidate.model)),
            store.directory(candidate.predictions),
            store.directory(champion.predictions) if champion else None,
            store.directory(baselines.digest),
            policy,
            champion_heads=heads_of(store.directory(champion.model)) if champion else None,
            measured=Measured(
                scores=store.directory(candidate.digest) / SCORES,
                cost=store.directory(candidate.cost) / COST if candidate.cost else None,
            ),
            text_columns=text_columns,
            group_column=group_column,
        )
        write_ruling(draft, ruling)
        return Judgement(
            digest=store.publish(draft),
            parents=(candidate.digest, *((champion.digest,) if champion else ()), baselines.digest),
            verdict=ruling.verdict,
            reasons=tuple(ruling.reasons),
            candidate=candidate.model,
            champion=champion.model if champion else None,
        )


@cached_task("evaluation")
def write_report(
    facts: ReportFacts,
    candidate: Assessment,
    baselines: Baselines,
    judgement: Judgement,
    model: TrainedModel,
    transfers: Transfers | None = None,
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
                assessment=store.directory(candidate.digest),
                baselines=store.directory(baselines.digest),
                judgement=store.directory(judgement.digest),
                model=store.directory(model.digest),
                probes=store.directory(candidate.probes) / PROBES if candidate.probes else None,
                cost=store.directory(candidate.cost) / COST if candidate.cost else None,
                transfers=store.directory(transfers.digest) / TRANSFERS if transfers else None,
                label_errors=store.directory(candidate.label_errors) / LABEL_ERRORS if candidate.label_errors else None,
            ),
            judgement,
            output=draft,
        )
        return Report(digest=store.publish(draft), parents=(candidate.digest, judgement.digest))


@task(cache_policy=NO_CACHE)
def show_results(
    pipeline: str,
    report: Report,
    judgement: Judgement,
    version: ModelVersion,
    snapshot: ValidatedSnapshot,
    outcome: str,
) -> None:
    """Artifacts of the run: the results table, the report, the verdict with the lineage."""
    folder = open_store().directory(report.digest)
    table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    rounded = [{key: round(v, 3) if isinstance(v, float) else v for key, v in row.items()} for row in table]
    create_table_artifact(
        rounded, key=f"{pipeline}-results", description=f"Version {version.version}: {judgement.verdict}"
    )
    create_markdown_artifact(
        (folder / "report.md").read_text(encoding="utf-8"),
        key=f"{pipeline}-report",
        description=f"The report of version {version.version}, without what is folded on its page",
    )
    create_markdown_artifact(
        lineage_page(pipeline, judgement, version, snapshot.contract_digest, outcome),
        key=f"{pipeline}-lineage",
        description=f"Verdict {judgement.verdict} and what version {version.version} was made from",
    )


def moved_scores(before: Assessment, after: Assessment, group_column: str | None = None) -> list[Movement]:
    """Every primary score of two models, with the interval of its change where both answered the same rows."""
    return movements(_scored(before), _scored(after), group_column)


def score_once(model: Path, snapshot: str, answers: Path) -> dict[str, dict[str, float]]:
    """{task: {split: primary score}} of answers that lie beside any run, as `score_predictions` gives them."""
    from tasks.evaluation.scoring import primary_scores, score_splits

    splits = sorted(path.stem for path in answers.glob("*.parquet") if path.stem not in TRAINING_SPLITS)
    return primary_scores(score_splits(open_store().directory(snapshot), answers, heads_of(model), splits))


def _scored(assessment: Assessment) -> Scored:
    store = open_store()
    return Scored(
        scores=store.directory(assessment.digest),
        answers=store.directory(assessment.predictions),
        snapshot=store.directory(assessment.snapshot),
        heads=heads_of(store.directory(assessment.model)),
    )
