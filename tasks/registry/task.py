"""Prefect edge of the registry."""

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import (
    Approval,
    Assessment,
    Corrections,
    Judgement,
    ModelVersion,
    Opponent,
    Outcome,
    Promotion,
    Reference,
    Report,
    RowOrigin,
    Snapshot,
    SourceFile,
    SourceFiles,
    SplitPlan,
    TrainedModel,
    ValidatedSnapshot,
)
from data_contracts.dataset import DatasetContract
from data_contracts.errors import InputError
from tasks.modeling.encoder import encoder_digest, encoder_folder
from tasks.modeling.heads import heads_of
from tasks.modeling.history import read_history
from tasks.registry import promoting
from tasks.registry.approval import ReleasePolicy, answer_to, keep_answer
from tasks.registry.card import Version, write_card
from tasks.registry.destinations import check_places, deliver, places_of
from tasks.registry.difference import Change, Changes, compare, value_changes
from tasks.registry.export import export_task, exportable
from tasks.registry.passport import (
    PASSPORT,
    QUARANTINE,
    WEIGHTS,
    Parent,
    Passport,
    Program,
    program_of,
    read_origin,
    read_passport,
    settings_digest,
    sha256_of,
    write_origin,
    write_passport,
)
from tasks.registry.promoting import adopt, mend, outcome_without_asking, promote_if_approved, promote_if_won
from tasks.registry.promotions import PromotionLedger
from tasks.registry.reproducing import WeightDifference, compare_weights
from tasks.registry.verifying import Link, Objects, Today, first_broken, verify
from tasks.registry.versions import Registry, RunRecord
from tasks.storage.caching import ROOT, code_components, steps
from tasks.storage.home import open_home, open_store

__all__ = [
    "Change",
    "Changes",
    "Link",
    "Passport",
    "ReleasePolicy",
    "WeightDifference",
    "changes_between",
    "check_export",
    "code_changes",
    "compare_with_weights",
    "export_version",
    "find_challenger",
    "find_opponent",
    "first_broken",
    "issue_passport",
    "keep_approval",
    "keep_origin",
    "links_of",
    "open_registry",
    "passport_of",
    "promote",
    "promote_by_hand",
    "register_version",
    "require_champion",
    "roll_back",
    "value_changes",
    "version_numbered",
    "waits_for_approval",
]


def open_registry(pipeline: str) -> Registry:
    """The registry of a pipeline at the tracking server of the current home; its aliases agree with the ledger."""
    home = open_home()
    ledger = PromotionLedger(open_store(), pipeline)
    registry = Registry(home.tracking_uri, pipeline, home.root / "mlflow" / pipeline, ledger)
    adopt(registry, datetime.now(UTC))
    mend(registry)
    return registry


@task(cache_policy=NO_CACHE)
def find_opponent(pipeline: str, model: TrainedModel) -> Opponent:
    """The champion, to judge `model` against; for the champion itself, whoever it was judged against last."""
    registry = open_registry(pipeline)
    entry = registry.ledger.last()
    if entry is None:
        return Opponent(model=None, entry=0)
    champion = registry.promoted(entry)
    if champion.model.digest != model.digest:
        return Opponent(model=champion.model, entry=entry.number)
    judged_against = champion.judgement.champion
    version = registry.version_of(judged_against) if judged_against else None
    return Opponent(model=version.model if version else None, entry=entry.number)


@task(cache_policy=NO_CACHE)
def register_version(
    pipeline: str,
    model: TrainedModel,
    reference: Reference,
    judgement: Judgement,
    assessment: Assessment,
    report: Report,
    parameters: dict[str, Any],
) -> ModelVersion:
    """The model's version with this judgement: registered once, and told of every judgement that is another."""
    registry = open_registry(pipeline)
    known = registry.version_of(model.digest)
    if known is not None and known.judgement == judgement:
        steps.info("register_version: reused, because version %d already holds this model", known.version)
        return known
    metrics = {f"{task}/{split}": value for task, of in assessment.scores.items() for split, value in of.items()}
    store = open_store()
    page, epochs = store.directory(report.digest) / "report.html", read_history(store.directory(model.digest))
    record = RunRecord(parameters, metrics, (page,), epochs, assessment.snapshot)
    if known is not None:
        steps.info("register_version: running, because version %d was judged again", known.version)
        return registry.judge_again(known, judgement, record)
    steps.info("register_version: running, because the model is new to the registry")
    return registry.register(model, reference, judgement, record)


@task(cache_policy=NO_CACHE)
def find_challenger(pipeline: str) -> ModelVersion | None:
    """The version that was not promoted and may yet be, if there is one."""
    return open_registry(pipeline).challenger()


@task(cache_policy=NO_CACHE)
def waits_for_approval(version: ModelVersion, opponent: Opponent) -> bool:
    """Whether only a person's answer is lacking for the version to become champion."""
    if answer_to(open_store(), version, opponent) is not None:
        return False
    return outcome_without_asking(open_registry(version.pipeline), version, opponent) is None


@task(cache_policy=NO_CACHE)
def keep_approval(version: ModelVersion, opponent: Opponent, approval: Approval) -> Approval:
    """Keeps what a person answered about this judgement of the version while that opponent is champion."""
    return keep_answer(open_store(), version, opponent, approval)


@task(cache_policy=NO_CACHE)
def promote(policy: ReleasePolicy, version: ModelVersion, opponent: Opponent) -> Outcome:
    """Makes the version champion if it won against the one that is champion now, and a person agrees where one must."""
    registry, now = open_registry(version.pipeline), datetime.now(UTC)
    if policy.approval == "none":
        return promote_if_won(registry, version, opponent, None, now)
    answer = answer_to(open_store(), version, opponent)
    return promote_if_approved(registry, version, opponent, answer, policy.timeout_hours, now)


@task(cache_policy=NO_CACHE)
def require_champion(pipeline: str) -> ModelVersion:
    """The version in use. Raises InputError before the first promotion."""
    return version_numbered(pipeline, None)


@task(cache_policy=NO_CACHE)
def find_replaced(champion: ModelVersion) -> ModelVersion | None:
    """The version that lost to this champion at the gate; None where a person chose otherwise, or none was before."""
    return promoting.replaced_by(open_registry(champion.pipeline), champion)


@task(cache_policy=NO_CACHE)
def roll_back_champion(champion: ModelVersion, to: ModelVersion, reason: str) -> None:
    """Makes the version before champion again, for a reason that was measured, unless another one is champion now."""
    promoting.bring_back(open_registry(champion.pipeline), champion, to, reason, datetime.now(UTC))


def promote_by_hand(pipeline: str, version: int, by: str, reason: str) -> Promotion:
    """Makes a version champion because a person says so, and keeps who and why."""
    return promoting.override(open_registry(pipeline), version, by, reason, datetime.now(UTC))


def roll_back(pipeline: str, to: int | None, by: str, reason: str, *, dry_run: bool) -> Promotion:
    """Makes an earlier champion champion again; a dry run only says which."""
    return promoting.rollback(open_registry(pipeline), to, by, reason, datetime.now(UTC), dry_run=dry_run)


@task(cache_policy=NO_CACHE)
def keep_origin(
    prepared: ValidatedSnapshot,
    checked: ValidatedSnapshot,
    snapshot: Snapshot,
    sources: SourceFiles,
    lines: SplitPlan | None,
    corrections: Corrections | None,
    contract: DatasetContract,
) -> ValidatedSnapshot:
    """The rows that training sees, with what they come from kept in the store."""
    store = open_store()
    content = contract.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    origin = RowOrigin(
        sources=sources, lines=lines, corrections=corrections, snapshot=snapshot, checked=checked, contract=content
    )
    with store.draft() as draft:
        write_origin(draft, origin)
        return prepared.model_copy(update={"origin": store.publish(draft)})


@task(cache_policy=NO_CACHE)
def issue_passport(
    version: ModelVersion,
    snapshot: ValidatedSnapshot,
    assessment: Assessment,
    report: Report,
    settings: dict[str, Any],
    overrides: Sequence[str],
) -> ModelVersion:
    """The version with its passport; one that it has stays, unless it was judged anew since."""
    store = open_store()
    if version.passport is not None and store.holds(version.passport):
        before = read_passport(store.directory(version.passport))
        if before.judgement == version.judgement:
            return version
    origin = read_origin(store.directory(snapshot.origin)) if snapshot.origin else None
    rows = store.directory((origin.checked if origin else snapshot).digest)
    weights = sha256_of(store.directory(version.model.digest) / WEIGHTS)
    if weights is None:
        raise InputError(f"model {version.model.digest[:12]} has no {WEIGHTS} in the store. Run the pipeline again.")
    registry, champion = open_registry(version.pipeline), version.judgement.champion
    opponent = registry.version_of(champion) if champion else None
    passport = Passport(
        pipeline=version.pipeline,
        made_at=datetime.now(UTC),
        rows=origin,
        snapshot=snapshot,
        quarantine=sha256_of(rows / QUARANTINE),
        settings=settings,
        overrides=tuple(overrides),
        program=program_today(),
        model=version.model,
        weights=weights,
        parent=Parent(version=opponent and opponent.version, model=champion) if champion else None,
        assessment=assessment,
        judgement=version.judgement,
        reference=version.reference,
        report=report,
    )
    with store.draft() as draft:
        write_passport(draft, passport)
        digest = store.publish(draft)
    return registry.stamp(version, digest, store.directory(digest) / PASSPORT)


def program_today() -> Program:
    """The code that is running now, of all stages and of what they share."""
    stages = sorted(path.name for path in (ROOT / "tasks").iterdir() if (path / "__init__.py").is_file())
    return program_of(ROOT, {name: sha for stage in stages for name, sha in code_components(stage).items()})


def version_numbered(pipeline: str, number: int | None) -> ModelVersion:
    """The version of that number; without one, the champion. Raises InputError where there is none."""
    registry = open_registry(pipeline)
    if number is not None:
        return registry.version(number)
    champion = registry.champion()
    if champion is None:
        raise InputError(
            f"pipeline {pipeline} has no champion yet. `graft run {pipeline}` trains and judges a first model."
        )
    return champion


def passport_of(version: ModelVersion) -> Passport:
    """The passport of a version. Raises InputError where it was made before there were passports."""
    return read_passport(open_store().directory(_passport_digest(version)))


def links_of(
    version: ModelVersion,
    settings_today: Callable[[Passport], tuple[dict[str, Any], DatasetContract] | None],
    source_today: Callable[[SourceFile], str | None],
    digest_of_sources: Callable[[Sequence[SourceFile]], str],
) -> list[Link]:
    """Every link of the version's chain; settings, contract and sources of today are asked of the callables."""
    store = open_store()

    def today(passport: Passport) -> Today:
        now = settings_today(passport)
        return Today(
            settings_digest=now and settings_digest(now[0]),
            contract=now and now[1].digest,
            encoder=_encoder_today(passport.model),
            program=program_today(),
            registered={
                "model": version.model.digest,
                "reference": version.reference.digest,
                "judgement": version.judgement.digest,
            },
            source=source_today,
            digest_of_sources=digest_of_sources,
        )

    # Links look at the same directory again, and a model may be large.
    return verify(_passport_digest(version), Objects(cache(store.hash_again), store.directory), today)


def changes_between(before: Passport, after: Passport) -> Changes:
    """All that differs between the versions of two passports."""
    store = open_store()
    rows = [store.directory(passport.snapshot.digest) for passport in (before, after)]
    return compare(before, after, *rows)


def code_changes(passport: Passport) -> list[Change]:
    """Source files that are others today than those that made the version."""
    changes = value_changes(passport.program.files, program_today().files)
    return [Change(change.name.removeprefix("code "), change.before, change.after) for change in changes]


def compare_with_weights(passport: Passport, folder: Path) -> WeightDifference:
    """What sets the weights in a folder apart from the version's."""
    return compare_weights(open_store().directory(passport.model.digest), folder)


def check_export(version: ModelVersion, task: str | None, output: str, force: bool) -> dict[str, str]:
    """{task: where it goes}. Raises InputError where no pipeline answers so, or a place is not empty."""
    heads = heads_of(open_store().directory(version.model.digest))
    places = places_of(output, exportable(heads, task), one=task is not None)
    check_places(places, force)
    return places


def export_version(version: ModelVersion, places: dict[str, str]) -> None:
    """Writes each task of the version, with its model card, to its place."""
    store, passport = open_store(), passport_of(version)
    model = store.directory(version.model.digest)
    known = Version(version.version, _passport_digest(version), passport)
    with tempfile.TemporaryDirectory(prefix="graft-export-") as scratch:
        folders = {task: Path(scratch, task) for task in places}
        for task, folder in folders.items():
            folder.mkdir()
            export_task(model, task, version.model.cleaning, folder)
            write_card(folder, known, task, heads_of(model)[task], store.directory(passport.assessment.digest))
        for task, place in places.items():
            deliver(folders[task], place)


def _passport_digest(version: ModelVersion) -> str:
    if version.passport is None:
        raise InputError(
            f"version {version.version} of {version.pipeline} has no passport: it was registered before there were "
            f"any. `graft run {version.pipeline}` with the settings of then issues one, if nothing it needs is gone."
        )
    return version.passport


def _encoder_today(model: TrainedModel) -> str | None:
    try:
        return encoder_digest(encoder_folder(model.encoder.name, model.encoder.revision))
    except InputError:
        return None
