"""Prefect edge of the contract gate."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import DataDocs, Snapshot, SourceFiles, ValidatedSnapshot
from data_contracts.dataset import DatasetContract
from data_contracts.errors import InputError
from tasks.storage.caching import cached_task, steps
from tasks.storage.home import open_store
from tasks.validation.checks import Checks, complaint, count_by_rule, one_line, read_checks, read_findings
from tasks.validation.quarantine import read_mended, rows_to_mend

__all__ = [
    "accept_data",
    "check_contract",
    "check_once",
    "count_by_rule",
    "document_checks",
    "latest_check",
    "one_line",
    "read_findings",
    "read_mended",
    "rows_to_mend",
]


@cached_task("validation")
def check_contract(snapshot: Snapshot, sources: SourceFiles, contract: DatasetContract) -> ValidatedSnapshot:
    """Rows that satisfy the contract, a quarantine with the others, and what was found by which rule."""
    from tasks.validation.checking import check_snapshot

    store = open_store()
    with store.draft() as draft:
        checks = check_snapshot(store.directory(snapshot.digest), sources.files, contract, output=draft)
        return ValidatedSnapshot(
            digest=store.publish(draft),
            parents=(snapshot.digest, contract.digest),
            contract=contract.name,
            contract_digest=contract.digest,
            rows=checks.rows,
            quarantined=checks.quarantined,
            cleaning=snapshot.cleaning,
        )


@cached_task("validation")
def document_checks(checked: ValidatedSnapshot, contract: DatasetContract) -> DataDocs:
    """Great Expectations' data docs of the contract and of how the snapshot fared."""
    from tasks.validation.documents import build_documents

    store = open_store()
    with store.draft() as draft:
        build_documents(read_checks(store.directory(checked.digest)), contract, datetime.now(UTC), output=draft)
        return DataDocs(digest=store.publish(draft), parents=(checked.digest,))


@task(cache_policy=NO_CACHE)
def accept_data(
    checked: ValidatedSnapshot, contract: DatasetContract, documents: DataDocs, pipeline: str
) -> ValidatedSnapshot:
    """The snapshot itself, noted as the last accepted one; the run ends here where the verdict is FAIL."""
    from tasks.validation.acceptance import late_failures
    from tasks.validation.pages import data_page

    store, now = open_store(), datetime.now(UTC)
    folder = store.directory(checked.digest)
    last: dict[str, Any] | None = store.read_note(f"accepted/{pipeline}")
    before = read_checks(store.directory(last["digest"])) if last and store.holds(last["digest"]) else None
    checks = read_checks(folder)
    checks = checks.model_copy(update={"failures": (*checks.failures, *late_failures(checks, contract, before, now))})
    verdict, reasons = checks.verdict(contract), checks.reasons(contract)
    note = {"digest": checked.digest, "contract": contract.digest, "verdict": verdict, "at": now.isoformat()}
    store.write_note(f"checked/{pipeline}", note)
    index = store.directory(documents.digest) / "index.html"
    create_markdown_artifact(
        data_page(pipeline, verdict, reasons, checks, folder, index),
        key=f"{pipeline}-data",
        description=f"Contract {contract.name} {contract.version}: {verdict}",
    )
    steps.info("accept_data: %s; %s (data docs: %s)", verdict, "; ".join(reasons), index)
    if verdict == "FAIL":
        kept = f"the data accepted on {last['at'][:16]} UTC stays in use" if last else "no data was accepted before"
        raise InputError(
            complaint(
                contract,
                checks,
                folder,
                f"`graft quarantine show {pipeline}` lists the rows. Mend them, readmit "
                f"them, or change the contract; {kept}.",
            )
        )
    store.write_note(f"accepted/{pipeline}", note)
    return checked


def latest_check(pipeline: str) -> tuple[dict[str, Any], Path]:
    """What was noted of a pipeline's latest check ({digest, contract, verdict, at}), and the folder of its findings."""
    store = open_store()
    note: dict[str, Any] | None = store.read_note(f"checked/{pipeline}")
    if note is None:
        raise InputError(f"no data of {pipeline} was checked yet. `graft run {pipeline}` checks it.")
    return note, store.directory(note["digest"])


def check_once(rows: Path, sources: SourceFiles, contract: DatasetContract, output: Path) -> Checks:
    """Checks what `read_once` read beside any run, as `check_contract` does."""
    from tasks.validation.checking import check_snapshot

    return check_snapshot(rows, sources.files, contract, output)
