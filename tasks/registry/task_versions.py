"""Edge of the registry for what no run is started for: a person's look at the versions, and word on the champion.

Nothing here imports Prefect, for which a command line would wait.
"""

from datetime import UTC, datetime

from data_contracts.artifacts import ModelVersion, Promotion
from tasks.registry import promoting
from tasks.registry.promotions import PromotionLedger, no_champion
from tasks.registry.versions import Registry
from tasks.storage.home import open_home, open_store


def open_registry(pipeline: str) -> Registry:
    """The registry of a pipeline at the tracking server of the current home; its aliases agree with the ledger."""
    home = open_home()
    ledger = PromotionLedger(open_store(), pipeline)
    registry = Registry(home.tracking_uri, pipeline, home.root / "mlflow" / pipeline, ledger)
    promoting.adopt(registry, datetime.now(UTC))
    promoting.mend(registry)
    return registry


def version_numbered(pipeline: str, number: int | None) -> ModelVersion:
    """The version of that number; without one, the champion. Raises InputError where there is none."""
    registry = open_registry(pipeline)
    if number is not None:
        return registry.version(number)
    champion = registry.champion()
    if champion is None:
        raise no_champion(pipeline, next(iter(registry.versions()), None))
    return champion


def promote_by_hand(pipeline: str, version: int, by: str, reason: str) -> Promotion:
    """Makes a version champion because a person says so, and keeps who and why."""
    return promoting.override(open_registry(pipeline), version, by, reason, datetime.now(UTC))


def roll_back(pipeline: str, to: int | None, by: str, reason: str, *, dry_run: bool) -> Promotion:
    """Makes an earlier champion champion again; a dry run only says which."""
    return promoting.rollback(open_registry(pipeline), to, by, reason, datetime.now(UTC), dry_run=dry_run)
