"""Prefect edge of ingestion."""

import hashlib

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import Snapshot, SourceFile, SourceFiles
from data_contracts.dataset import DatasetContract
from tasks.ingestion.plan import DataSettings, planned_files
from tasks.storage.caching import cached_task
from tasks.storage.home import open_store
from tasks.storage.store import digest_of


@task(cache_policy=NO_CACHE)
def locate_sources(data: DataSettings, fresh_windows: tuple[str, ...] = (), window: str | None = None) -> SourceFiles:
    """Every file the run will read, with the digest of its bytes."""
    files = tuple(
        SourceFile(sha256=hashlib.sha256(planned.source.read_bytes()).hexdigest(), **planned.facts())
        for planned in planned_files(data, fresh_windows, window)
    )
    entries = {f"{n}": file.model_dump_json(exclude={"address"}) for n, file in enumerate(files)}
    return SourceFiles(digest=digest_of(entries), files=files)


@cached_task("ingestion")
def ingest(sources: SourceFiles, contract: DatasetContract) -> Snapshot:
    """Typed rows of every split."""
    from tasks.ingestion.reading import read_sources

    store = open_store()
    with store.draft() as draft:
        rows = read_sources(sources.files, contract, output=draft)
        return Snapshot(digest=store.publish(draft), parents=(sources.digest,), rows=rows)


@task(cache_policy=NO_CACHE)
def count_fresh_rows(data: DataSettings, window: str) -> int:
    """Rows labelled since that window, which a retraining could learn from; 0 where there is no such file."""
    if data.fresh is None or not data.fresh.has(window):
        return 0
    source = data.fresh.at(window)
    return sum(1 for _ in source.rows(source.read_bytes()))
