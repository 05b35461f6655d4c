"""Prefect edge of ingestion."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import Corrections, Snapshot, SourceFile, SourceFiles, SplitPlan
from data_contracts.cleaning import Cleaning
from data_contracts.dataset import DatasetContract
from data_contracts.errors import InputError
from tasks.ingestion.new_files import reader_of
from tasks.ingestion.plan import DataSettings, PlannedFile, no_windows, past_windows, planned_audit, planned_files
from tasks.ingestion.rows import count_labelled
from tasks.ingestion.sources import JsonLines
from tasks.ingestion.splits import Splits
from tasks.storage.caching import cached_task, steps
from tasks.storage.home import open_store
from tasks.storage.store import digest_of

__all__ = [
    "DataSettings",
    "JsonLines",
    "PlannedFile",
    "count_fresh_rows",
    "digest_of_sources",
    "digest_today",
    "find_corrections",
    "find_windows",
    "ingest",
    "keep_corrections",
    "locate_audit",
    "locate_sources",
    "past_windows",
    "plan_splits",
    "read_once",
    "reader_of",
    "with_rows",
]
LINES, CORRECTED = "lines.json", "corrected.json"


@task(cache_policy=NO_CACHE)
def locate_sources(data: DataSettings, fresh_windows: tuple[str, ...] = (), window: str | None = None) -> SourceFiles:
    """Every file the run will read, with the digest of its bytes."""
    if window is not None:
        # What follows is told step by step, for each of many windows the same.
        steps.info("locate_sources: window %s", window)
    return _located(planned_files(data, fresh_windows, window))


@task(cache_policy=NO_CACHE)
def find_windows(data: DataSettings) -> tuple[list[str], list[str], list[str]]:
    """Names, in order, of the windows that are there, those with audited rows, and those with rows to learn from."""
    if data.windows is None:
        raise no_windows()
    audited, fresh = (source.known() if source is not None else [] for source in (data.audit, data.fresh))
    return data.windows.known(), audited, fresh


@task(cache_policy=NO_CACHE)
def with_rows(data: DataSettings, windows: list[str]) -> list[str]:
    """Those of the windows that hold any row; the others, as of a day without traffic, are named."""
    found = []
    for window in windows:
        if _holds_rows(data, window):
            found.append(window)
        else:
            steps.warning("window %s holds no rows, and is watched as soon as it holds some", window)
    return found


@task(cache_policy=NO_CACHE)
def locate_audit(data: DataSettings, window: str) -> SourceFiles | None:
    """The window's rows that were labelled to judge the model by, with the digest of their bytes; None without any."""
    planned = planned_audit(data, window)
    return _located(planned) if planned else None


@cached_task("ingestion")
def draw_lines(
    sources: SourceFiles, contract: DatasetContract, cleaning: Cleaning, splits: Splits, kept: SplitPlan | None
) -> SplitPlan:
    """Where the lines between splits lie, with those of an earlier plan unmoved."""
    from tasks.ingestion.reading import Reading, split_lines

    store = open_store()
    reading = Reading(contract, cleaning, splits)
    lines = split_lines(sources.files, reading, _lines_of(kept))
    with store.draft() as draft:
        (draft / LINES).write_text(json.dumps(lines, indent=1, sort_keys=True), encoding="utf-8")
        return SplitPlan(digest=store.publish(draft), parents=(sources.digest, *((kept.digest,) if kept else ())))


@cached_task("ingestion")
def ingest(
    sources: SourceFiles,
    contract: DatasetContract,
    cleaning: Cleaning,
    splits: Splits | None = None,
    plan: SplitPlan | None = None,
    corrections: Corrections | None = None,
) -> Snapshot:
    """Typed, cleaned and corrected rows of every split."""
    from tasks.ingestion.reading import Reading, read_sources

    store = open_store()
    corrected = json.loads((store.directory(corrections.digest) / CORRECTED).read_bytes()) if corrections else {}
    with store.draft() as draft:
        reading = Reading(contract, cleaning, splits, _lines_of(plan), corrected)
        rows = read_sources(sources.files, reading, output=draft)
        parents = [made.digest for made in (sources, plan, corrections) if made]
        return Snapshot(digest=store.publish(draft), parents=tuple(parents), rows=rows, cleaning=cleaning)


def plan_splits(
    pipeline: str, sources: SourceFiles, contract: DatasetContract, cleaning: Cleaning, splits: Splits | None
) -> SplitPlan | None:
    """The lines of a pipeline's strata, remembered from one run to the next; None where no rule needs any."""
    if splits is None or splits.strata is None:
        return None
    store, note = open_store(), f"splits/{pipeline}"
    known: dict[str, Any] | None = store.read_note(note)
    settings = splits.model_dump(mode="json")
    if known is None or known["settings"] != settings:
        known = {"settings": settings, "sources": "", "kept": None, "plan": None}
    # For the sources that the latest plan was drawn from, what it was drawn upon is the same as then.
    before = known["kept"] if known["sources"] == sources.digest else known["plan"]
    kept = SplitPlan.model_validate(before) if before and store.holds(before["digest"]) else None
    plan = draw_lines(sources, contract, cleaning, splits, kept)
    store.write_note(
        note,
        {
            "settings": settings,
            "sources": sources.digest,
            "kept": kept and kept.model_dump(mode="json"),
            "plan": plan.model_dump(mode="json"),
        },
    )
    return plan


@task(cache_policy=NO_CACHE)
def find_corrections(pipeline: str) -> Corrections | None:
    """The rows that the pipeline's owner has mended, or None."""
    note = open_store().read_note(f"corrections/{pipeline}")
    return None if note is None else Corrections.model_validate(note)


def keep_corrections(pipeline: str, mended: dict[str, dict[str, Any]]) -> int:
    """Adds rows to those that stand in for others from the next run on; returns how many there are now."""
    store, note = open_store(), f"corrections/{pipeline}"
    before = store.read_note(note)
    kept = json.loads((store.directory(before["digest"]) / CORRECTED).read_bytes()) if before else {}
    rows = {**kept, **mended}
    with store.draft() as draft:
        (draft / CORRECTED).write_text(json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False), encoding="utf-8")
        corrections = Corrections(digest=store.publish(draft), rows=len(rows))
    store.write_note(note, corrections.model_dump(mode="json"))
    return len(rows)


def read_once(planned: Sequence[PlannedFile], contract: DatasetContract, output: Path) -> SourceFiles:
    """Reads files into `output` beside any run, as `ingest` does, and says which they were."""
    from tasks.ingestion.reading import Reading, read_sources

    sources = _located(planned)
    read_sources(sources.files, Reading(contract), output)
    return sources


@task(cache_policy=NO_CACHE)
def count_fresh_rows(data: DataSettings, window: str, contract: DatasetContract) -> int:
    """Rows labelled since that window, which a retraining could learn from; 0 where there is no such file."""
    if data.fresh is None or not data.fresh.has(window):
        return 0
    labels = [column.name for column in contract.columns if column.is_label]
    with tempfile.TemporaryDirectory() as folder:
        counts = []
        for shard in PlannedFile(split="fresh", source=data.fresh.at(window)).shards():
            with shard.source.local_copy(Path(folder)) as local:
                counts += [count_labelled(rows, labels) for rows in shard.source.batches(local)]
    return sum(counts)


def digest_of_sources(files: Sequence[SourceFile]) -> str:
    """Digest of source files by their content and how they are read, wherever they lie."""
    return digest_of({f"{n}": file.model_dump_json(exclude={"address"}) for n, file in enumerate(files)})


def digest_today(file: SourceFile) -> str | None:
    """sha256 of the bytes that lie at the file's address now; None where nothing can be read there."""
    from tasks.ingestion.identity import file_digest
    from tasks.ingestion.reading import source_of

    with tempfile.TemporaryDirectory() as folder:
        try:
            with source_of(file).local_copy(Path(folder)) as local:
                return file_digest(local)
        except (InputError, OSError):
            return None


def _holds_rows(data: DataSettings, window: str) -> bool:
    """Whether it does; also where it cannot be read, for whoever watches it says what is wrong."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            for shard in (shard for entry in planned_files(data, (), window) for shard in entry.shards()):
                with shard.source.local_copy(Path(folder)) as local:
                    if any(rows.numbers or rows.unreadable for rows in shard.source.batches(local)):
                        return True
    except InputError:
        return True
    return False


def _located(planned: Sequence[PlannedFile]) -> SourceFiles:
    """Files in the order of their split and content, so that neither names nor listings decide on anything."""
    from tasks.ingestion.identity import file_digest

    files = []
    with tempfile.TemporaryDirectory() as folder:
        for number, entry in enumerate(planned):
            for shard in entry.shards():
                with shard.source.local_copy(Path(folder)) as local:
                    files.append((number, SourceFile(sha256=file_digest(local), **shard.facts())))
    files.sort(key=lambda entry: (entry[0], entry[1].sha256, entry[1].address))
    found = tuple(file for _, file in files)
    return SourceFiles(digest=digest_of_sources(found), files=found)


def _lines_of(plan: SplitPlan | None) -> dict[str, tuple[float, float]]:
    if plan is None:
        return {}
    lines: dict[str, tuple[float, float]] = json.loads((open_store().directory(plan.digest) / LINES).read_bytes())
    return lines
