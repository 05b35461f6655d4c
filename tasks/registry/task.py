"""Prefect edge of the registry."""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import Assessment, Judgement, ModelVersion, Reference, Report, TrainedModel
from data_contracts.errors import InputError
from tasks.modeling.history import read_history
from tasks.registry.versions import Registry, RunRecord
from tasks.storage.caching import steps
from tasks.storage.home import open_home, open_store


def open_registry(pipeline: str) -> Registry:
    """The registry of a pipeline at the tracking server of the current home."""
    home = open_home()
    return Registry(home.tracking_uri, pipeline, home.root / "mlflow" / pipeline)


@task(cache_policy=NO_CACHE)
def find_opponent(pipeline: str, model: TrainedModel) -> TrainedModel | None:
    """The model to judge `model` against: the champion; for a model already judged, whoever it was judged against."""
    registry = open_registry(pipeline)
    known = registry.version_of(model.digest)
    if known is None:
        champion = registry.champion()
        return champion.model if champion else None
    opponent = known.judgement.champion
    version = registry.version_of(opponent) if opponent else None
    return version.model if version else None


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
    """The model's version, registered once; the champion changes only when the verdict is PROMOTE."""
    registry = open_registry(pipeline)
    known = registry.version_of(model.digest)
    if known is not None:
        steps.info("register_version: reused, because version %d already holds this model", known.version)
        return known
    steps.info("register_version: running, because the model is new to the registry")
    metrics = {f"{task}/{split}": value for task, of in assessment.scores.items() for split, value in of.items()}
    store = open_store()
    page, epochs = store.directory(report.digest) / "report.html", read_history(store.directory(model.digest))
    record = RunRecord(parameters, metrics, (page,), epochs)
    return registry.register(model, reference, judgement, record)


@task(cache_policy=NO_CACHE)
def find_challenger(pipeline: str) -> ModelVersion | None:
    """The version that was not promoted and may yet be, if there is one."""
    return open_registry(pipeline).challenger()


@task(cache_policy=NO_CACHE)
def require_champion(pipeline: str) -> ModelVersion:
    """The version in use. Raises InputError before the first promotion."""
    champion = open_registry(pipeline).champion()
    if champion is None:
        raise InputError(
            f"pipeline {pipeline} has no champion yet. `graft run {pipeline}` trains and judges a first model."
        )
    return champion
