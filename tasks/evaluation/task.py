"""Prefect edge of evaluation."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import (
    Assessment,
    Baselines,
    CrossValidation,
    Judgement,
    ModelVersion,
    Predictions,
    Report,
    ShadowAnswers,
    TrainedModel,
    Transfers,
    ValidatedSnapshot,
)
from tasks.evaluation.gate import GatePolicy
from tasks.evaluation.pages import ReportFacts, lineage_page
from tasks.modeling.heads import AnyHead, heads_of
from tasks.storage.caching import cached_task
from tasks.storage.home import open_store

__all__ = ["ReportFacts", "answer_baselines", "judge_candidate", "score_predictions", "show_results", "write_report"]
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
def compare_with_single_tasks(
    together: Predictions, alone: dict[str, Predictions], snapshot: ValidatedSnapshot, model: TrainedModel
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
        )
        write_transfers(draft / "transfers.json", found)
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

    found = read_transfers(open_store().directory(transfers.digest) / "transfers.json")
    table = [{key: round(v, 3) if isinstance(v, float) else v for key, v in asdict(of).items()} for of in found]
    create_table_artifact(table, key=f"{pipeline}-transfer", description=" ".join(transfer_in_words(found)))


@task(cache_policy=NO_CACHE)
def cross_scores(pipeline: str, folds: Sequence[Assessment]) -> CrossValidation:
    """What the folds' scores say together, and a table of them as an artifact of the run."""
    from tasks.evaluation.crossing import cross_scores as scores_of
    from tasks.evaluation.crossing import cross_table

    store = open_store()
    found = scores_of([store.directory(fold.digest) / "scores.json" for fold in folds])
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
def note_agreement(pipeline: str, answered: ShadowAnswers, champion: ModelVersion) -> None:
    """How far champion and challenger agree on a batch: a note for `graft shadow`, and an artifact of the run."""
    from tasks.evaluation.agreement import agreement_of, agreement_page

    store = open_store()
    heads = heads_of(store.directory(champion.model.digest))
    found = agreement_of(store.directory(answered.digest), heads)
    note = {"answers": answered.model_dump(mode="json"), "agreement": [asdict(of_task) for of_task in found]}
    # A batch that is answered again by the same versions is the same note.
    store.write_note(f"{shadow_notes(pipeline, answered.champion, answered.challenger)}/{answered.digest}", note)
    create_markdown_artifact(agreement_page(answered, found), key=f"{pipeline}-shadow")


def read_shadow_notes(pipeline: str, champion: int, challenger: int) -> dict[str, tuple[ShadowAnswers, list[Any]]]:
    """{batch: answers of both versions, and how far they agree on each task}, by the first digits of the digest."""
    from tasks.evaluation.agreement import Agreement

    store = open_store()
    notes = (store.read_note(name) for name in store.note_names(shadow_notes(pipeline, champion, challenger)))
    read = ((ShadowAnswers(**note["answers"]), [Agreement(**of) for of in note["agreement"]]) for note in notes if note)
    return {answers.digest[:12]: (answers, agreement) for answers, agreement in read}


def write_differences(batches: Mapping[str, ShadowAnswers], champion: TrainedModel, path: str) -> int:
    """Writes the rows that two versions answer otherwise to a JSON Lines file, to be labelled; returns their number."""
    from tasks.evaluation.agreement import differing_rows
    from tasks.modeling.row_files import check_folder, write_rows

    check_folder(path)
    store = open_store()
    heads = heads_of(store.directory(champion.digest))
    rows = [row for b, of in batches.items() for row in differing_rows(store.directory(of.digest), heads, b)]
    write_rows(rows, path)
    return len(rows)


def read_label_tests(batches: Mapping[str, ShadowAnswers], champion: TrainedModel, path: str) -> dict[str, Any]:
    """What the labels in such a file say so far: {task: SignTest}."""
    from tasks.evaluation.agreement import label_tests
    from tasks.modeling.row_files import read_objects

    store = open_store()
    heads = heads_of(store.directory(champion.digest))
    folders = {batch: store.directory(of.digest) for batch, of in batches.items()}
    return label_tests(folders, heads, list(read_objects(path).values()))


def read_outcome_tests(
    path: str, champion: ModelVersion, challenger: ModelVersion, share: float, success: str | None
) -> dict[str, Any]:
    """What the outcomes of rows that either version served say so far: {task or outcome: ArmsTest}."""
    from tasks.evaluation.agreement import outcome_tests
    from tasks.modeling.row_files import read_objects

    heads = heads_of(open_store().directory(champion.model.digest))
    rows = list(read_objects(path).values())
    return outcome_tests(rows, heads, (champion.version, challenger.version), max(1, round(1 / share) - 1), success)


def shadow_notes(pipeline: str, champion: int, challenger: int) -> str:
    """Where the store keeps the notes of batches that both versions answered."""
    return f"shadow/{pipeline}/{champion}-{challenger}"


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
