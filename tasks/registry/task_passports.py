"""Prefect edge of the registry: passports, which say what a version was made from, and exports, which carry them."""

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import (
    Assessment,
    Corrections,
    ModelVersion,
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
from tasks.registry.promotions import PromotionLedger, became_of
from tasks.registry.reproducing import WeightDifference, compare_weights
from tasks.registry.task_versions import open_registry
from tasks.registry.verifying import Link, Objects, Today, first_broken, verify
from tasks.storage.caching import ROOT, code_components, steps
from tasks.storage.home import open_store

__all__ = [
    "Change",
    "Changes",
    "Link",
    "Passport",
    "WeightDifference",
    "changes_between",
    "check_export",
    "code_changes",
    "compare_with_weights",
    "export_version",
    "first_broken",
    "issue_passport",
    "keep_origin",
    "links_of",
    "passport_of",
    "program_today",
    "value_changes",
    "windows_learnt",
]


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


@task(cache_policy=NO_CACHE)
def windows_learnt(version: ModelVersion, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """Windows whose labelled rows the version was trained with, by its passport; `otherwise` where that cannot say."""
    try:
        rows = passport_of(version).rows
    except InputError as error:
        steps.info("windows_learnt: by the drift ledger, because %s", error)
        rows = None
    if rows is None:
        return otherwise
    return tuple(file.window for file in rows.sources.files if file.window is not None)


def program_today() -> Program:
    """The code that is running now, of all stages and of what they share."""
    stages = sorted(path.name for path in (ROOT / "tasks").iterdir() if (path / "__init__.py").is_file())
    return program_of(ROOT, {name: sha for stage in stages for name, sha in code_components(stage).items()})


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
    became = became_of(PromotionLedger(store, version.pipeline).entries(), version.version)
    known = Version(version.version, _passport_digest(version), passport, became)
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
