"""Prefect edge of drift."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.runtime import flow_run

from data_contracts.artifacts import ModelVersion, Predictions, Reference, SourceFiles, TrainedModel, ValidatedSnapshot
from data_contracts.dataset import DatasetContract
from data_contracts.drift import DriftDecision, DriftReport
from data_contracts.errors import InputError
from tasks.drift.decision import DriftPolicy, WindowCounts
from tasks.drift.ledger import Ledger
from tasks.modeling.heads import heads_of
from tasks.storage.caching import cached_task, steps
from tasks.storage.home import open_store

if TYPE_CHECKING:
    from tasks.drift.evidence import EvidenceFolders

ROWS_TO_LABEL = 100
EVENT = "graft.drift.confirmed"


@cached_task("drift")
def keep_reference(model: TrainedModel, predictions: Predictions, snapshot: ValidatedSnapshot) -> Reference:
    """The held-out rows in domain as the model sees them."""
    from tasks.drift.reference import freeze_reference

    store = open_store()
    with store.draft() as draft:
        heads = heads_of(store.directory(model.digest))
        rows = freeze_reference(
            store.directory(snapshot.digest), store.directory(predictions.digest), heads, output=draft
        )
        return Reference(digest=store.publish(draft), parents=(predictions.digest,), model=model.digest, rows=rows)


@task(cache_policy=NO_CACHE)
def find_learned_windows(pipeline: str) -> tuple[str, ...]:
    """Windows whose freshly labelled rows belong to training, as the ledger has it."""
    return Ledger(open_store(), pipeline).learned_windows()


@task(cache_policy=NO_CACHE)
def decide(
    name: str,
    pipeline: str,
    window: str,
    source: SourceFiles,
    checked: ValidatedSnapshot,
    predictions: Predictions,
    champion: ModelVersion,
    fresh_rows: int,
    policy: DriftPolicy,
) -> DriftDecision:
    """The decision on a window, written to the ledger; one already taken for the same bytes and model is kept."""
    store = open_store()
    ledger = Ledger(store, name)
    known = ledger.decision(source.digest, champion.version)
    if known is not None:
        steps.info("decide: reused, because this window was already judged with version %d", champion.version)
        return known
    from tasks.drift.decision import measure_window, triage

    # Rows that a retraining already learned from are no reason for another one.
    unlearned = 0 if window in ledger.learned_windows() else fresh_rows
    counts = WindowCounts(checked.rows.get("window", 0), sum(checked.quarantined.values()), unlearned)
    measures: dict[str, float] = {}
    if counts.can_be_measured(policy):
        heads = heads_of(store.directory(champion.model.digest))
        reference = store.directory(champion.reference.digest)
        measures = measure_window(reference, store.directory(predictions.digest), heads, policy)
    verdict, retrain, reasons = triage(counts, measures, policy)
    decision = DriftDecision(
        pipeline=pipeline,
        window=window,
        window_digest=source.digest,
        model_version=champion.version,
        verdict=verdict,
        retrain=retrain,
        reasons=tuple(reasons),
        measures=measures,
        decided_at=datetime.now(UTC),
    )
    ledger.record(decision)
    return decision


@task(cache_policy=NO_CACHE)
def announce(name: str, decision: DriftDecision) -> bool:
    """Emits the event that starts `retrain`, unless that is not wanted or already under way; says whether it did."""
    if not decision.retrain:
        return False
    started_by = Ledger(open_store(), name).started_by(decision)
    if started_by is not None:
        get_run_logger().info("flow run %s already retrains for window %s", started_by, decision.window)
        return False
    emit_event(
        event=EVENT,
        resource={"prefect.resource.id": f"graft.pipeline.{name}", "prefect.resource.name": name},
        payload=decision.model_dump(mode="json"),
    )
    return True


@task(cache_policy=NO_CACHE)
def take_up(name: str, decision: DriftDecision) -> bool:
    """Notes in the ledger that this flow run retrains for the decision; False where another one already does."""
    ledger = Ledger(open_store(), name)
    # A run that was killed and is run again finds itself here, and goes on.
    if ledger.started_by(decision) not in (None, str(flow_run.id)):
        return False
    ledger.start(decision, str(flow_run.id))
    return True


@task(cache_policy=NO_CACHE)
def write_drift_report(
    name: str,
    decision: DriftDecision,
    checked: ValidatedSnapshot,
    predictions: Predictions,
    champion: ModelVersion,
    contract: DatasetContract,
    text_columns: tuple[str, ...],
    earlier: tuple[DriftDecision, ...] = (),
    threshold: float | None = None,
    proportions: dict[str, dict[str, float]] | None = None,
) -> DriftReport:
    """One HTML page that says why a window was decided on as it was, with the rows most worth labelling beside it.

    It is noted as the latest on that window, for `graft label`.
    """
    from tasks.drift.evidence import WindowEvidence, read_seen
    from tasks.drift.labelling import rows_worth_labelling
    from tasks.drift.report import make_drift_report
    from tasks.modeling.row_files import write_rows

    store = open_store()
    handles = (checked, predictions, champion.reference, champion.model)
    parents = tuple(handle.digest for handle in handles)
    held_out = (champion.model.parents[0], champion.reference.parents[0])
    folders, heads = _evidence_folders(parents, held_out), heads_of(store.directory(champion.model.digest))
    window, reference = read_seen(folders, heads, text_columns)
    evidence = WindowEvidence(
        decision, heads, checked.rows.get("window", 0), window, reference, earlier, threshold, proportions or {}
    )
    with store.draft() as draft:
        make_drift_report(evidence, output=draft)
        rows = rows_worth_labelling(folders, heads, contract, text_columns, count=ROWS_TO_LABEL)
        write_rows(rows, str(draft / "to_label.jsonl"))
        report = DriftReport(digest=store.publish(draft), parents=(*parents, *held_out))
    note = {"decision": decision.model_dump(mode="json"), "report": report.model_dump(mode="json")}
    store.write_note(_report_note(name, decision.window), note)
    return report


@task(cache_policy=NO_CACHE)
def show_drift_report(name: str, decision: DriftDecision, report: DriftReport) -> None:
    """Artifact of the run: the report, without what is folded on its page."""
    page = open_store().directory(report.digest) / "report.md"
    create_markdown_artifact(
        page.read_text(encoding="utf-8"),
        key=f"{name}-drift",
        description=f"{decision.window} against version {decision.model_version}: {decision.verdict}",
    )


def latest_report(name: str, window: str) -> DriftReport | None:
    """The report of the latest decision on a window."""
    note = open_store().read_note(_report_note(name, window))
    return DriftReport.model_validate(note["report"]) if note else None


def find_rows_to_label(
    name: str, window: str, contract: DatasetContract, text_columns: tuple[str, ...], count: int
) -> list[dict[str, Any]]:
    """The rows most worth labelling of a window, as it was watched last.

    Raises InputError where it was not, or has no row to label.
    """
    from tasks.drift.labelling import rows_worth_labelling

    store, report = open_store(), latest_report(name, window)
    if report is None:
        raise InputError(
            f"window {window!r} of {name} was not watched yet, and what to label follows from that. "
            f"`graft watch {name} --window {window}` watches it."
        )
    *parents, held_out_rows, held_out_answers = report.parents
    heads = heads_of(store.directory(parents[-1]))
    folders = _evidence_folders(tuple(parents), (held_out_rows, held_out_answers))
    rows = rows_worth_labelling(folders, heads, contract, text_columns, count=count)
    if not rows:
        raise InputError(
            f"window {window!r} of {name} holds no row that satisfies its contract, so there is none to label. "
            "Mend its file, and watch it again."
        )
    return rows


def _evidence_folders(parents: tuple[str, ...], held_out: tuple[str, str]) -> "EvidenceFolders":
    """Folders of the window's rows, its answers and the reference, and of the held-out rows that are still there."""
    from tasks.drift.evidence import EvidenceFolders

    store = open_store()
    there = [store.directory(digest) if store.holds(digest) else None for digest in held_out]
    return EvidenceFolders(*(store.directory(digest) for digest in parents[:3]), *there)


def _report_note(name: str, window: str) -> str:
    # A window's name may hold what a path cannot.
    return f"drift_reports/{name}/{quote(window, safe='')}"
