"""Prefect edge of the contract gate."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import Snapshot, ValidatedSnapshot
from data_contracts.dataset import DatasetContract
from tasks.storage.caching import cached_task
from tasks.storage.home import open_store


@cached_task("validation")
def check_contract(snapshot: Snapshot, contract: DatasetContract) -> ValidatedSnapshot:
    """Rows that satisfy the contract, and a quarantine file with the others."""
    from tasks.validation.checking import check_snapshot

    store = open_store()
    with store.draft() as draft:
        rows, quarantined = check_snapshot(store.directory(snapshot.digest), contract, output=draft)
        return ValidatedSnapshot(
            digest=store.publish(draft),
            parents=(snapshot.digest,),
            contract=contract.name,
            contract_digest=contract.digest,
            rows=rows,
            quarantined=quarantined,
        )


@task(cache_policy=NO_CACHE)
def enforce_budget(checked: ValidatedSnapshot, contract: DatasetContract) -> ValidatedSnapshot:
    """The snapshot itself; the run ends here where more rows broke the contract than it allows."""
    if any(checked.quarantined.values()):
        from tasks.validation.checking import enforce

        quarantine = open_store().directory(checked.digest) / "quarantine.jsonl"
        enforce(contract, checked.rows, checked.quarantined, quarantine)
    return checked
