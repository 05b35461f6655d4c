"""Prefect edge of drift: the report on a window, the rows of it that are worth labelling, and taking it for normal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import ModelVersion
from data_contracts.dataset import DatasetContract
from data_contracts.drift import DriftDecision, DriftEntry, DriftReport, Rebaselined, WatchedWindow
from data_contracts.errors import InputError
from data_contracts.splits import WINDOW
from tasks.drift.history import decisions_of, rebaselined, was_rebaselined
from tasks.drift.ledger import DriftLedger
from tasks.drift.policy import DriftPolicy
from tasks.modeling.heads import heads_of
from tasks.storage.home import open_store

if TYPE_CHECKING:
    from tasks.drift.evidence import EvidenceFolders

# Columns of these types say of what kind a row is.
SLICED = ("string", "boolean")


@task(cache_policy=NO_CACHE)
def write_drift_report(
    name: str,
    decision: DriftDecision,
    watched: WatchedWindow,
    champion: ModelVersion,
    contract: DatasetContract,
    text_columns: tuple[str, ...],
    policy: DriftPolicy,
) -> DriftReport:
    """One HTML page that says why a window was decided on as it was, with the rows most worth labelling beside it.

    It is noted as the latest on that window, for `graft label`.
    """
    from tasks.drift.evidence import WindowEvidence, read_seen
    from tasks.drift.labelling import rows_worth_labelling
    from tasks.drift.measuring import label_proportions
    from tasks.drift.monitors import alarm_levels
    from tasks.drift.reference import read_reference
    from tasks.drift.report import make_drift_report
    from tasks.drift.seen import see
    from tasks.modeling.row_files import write_rows

    store = open_store()
    handles = (watched.drawn, watched.answers, champion.reference, champion.model)
    parents = tuple(handle.digest for handle in handles)
    held_out = (champion.model.parents[0], champion.reference.parents[0])
    folders, heads = _evidence_folders(parents, held_out), heads_of(store.directory(champion.model.digest))
    others = [c.name for c in contract.columns if c.logical_type in SLICED and not c.is_label]
    others = [name for name in others if name not in text_columns]
    window, reference = read_seen(folders, heads, text_columns, others)
    earlier = decisions_of(DriftLedger(store, name).entries(), champion.version)
    monitors = {monitor.name for of in (*earlier, decision) for monitor in of.monitors}
    with store.draft() as draft:
        evidence = WindowEvidence(
            decision,
            heads,
            watched.rows,
            window,
            reference,
            [of for of in earlier if of.decided_at < decision.decided_at],
            alarm_levels(monitors, policy.run_length),
            label_proportions(read_reference(folders.reference).seen, see(folders.answers, WINDOW, heads), heads),
        )
        make_drift_report(evidence, output=draft)
        chosen = rows_worth_labelling(folders, heads, contract, text_columns, count=policy.label_rows)
        write_rows(chosen, str(draft / "to_label.jsonl"))
        report = DriftReport(digest=store.publish(draft), parents=(*parents, *held_out))
    note = {
        "decision": decision.model_dump(mode="json"),
        "report": report.model_dump(mode="json"),
        "text_columns": text_columns,
    }
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


def take_for_normal(name: str, window: str, by: str, reason: str, *, dry_run: bool) -> str:
    """Keeps a benign window as part of what shift is measured against; says so, for people.

    Raises InputError for a window that was not watched, or was found to be something else.
    """
    from tasks.drift.reading import read_window
    from tasks.drift.reference import extend_reference, read_reference, write_frozen

    store, ledger = open_store(), DriftLedger(open_store(), name)
    note = store.read_note(_report_note(name, window))
    if note is None:
        raise InputError(f"window {window!r} of {name} was not watched yet: `graft watch {name} --window {window}`")
    decision, report = DriftDecision.model_validate(note["decision"]), DriftReport.model_validate(note["report"])
    if decision.verdict != "BENIGN":
        remedy = f"`graft drift {name}` lists the windows"
        if decision.verdict == "UNKNOWN":
            remedy = (
                f"Label rows (`graft label {name} --window {window} --output FILE`), then watch it again: `graft watch "
                f"{name} --window {window}`"
            )
        raise InputError(
            f"window {window!r} was found {decision.verdict}; only a BENIGN one, which shifted and harmed nothing, can "
            f"be taken for normal. {remedy}."
        )
    drawn, answers, reference, model = (store.directory(digest) for digest in report.parents[:4])
    entries = ledger.entries()
    if was_rebaselined(entries, decision):
        raise InputError(
            f"window {window!r} of {name} was taken for normal before: `graft drift {name}` shows when and why"
        )
    before = rebaselined(entries, decision.model_version)
    frozen = read_reference(store.directory(before.reference) if before else reference)
    extended = extend_reference(frozen, [read_window(drawn, answers, model, tuple(note["text_columns"]))])
    said = f"{len(extended.seen)} rows of reference and {window} are what is normal to version {decision.model_version}"
    if dry_run:
        return said
    with store.draft() as draft:
        write_frozen(extended, draft)
        digest = store.publish(draft)

    def normal(known: Sequence[DriftEntry]) -> Rebaselined | None:
        if was_rebaselined(known, decision):
            return None
        return Rebaselined(
            window=window,
            window_digest=decision.window_digest,
            model_version=decision.model_version,
            reference=digest,
            by=by,
            reason=reason,
        )

    ledger.append(normal, datetime.now(UTC))
    return said


def _evidence_folders(parents: tuple[str, ...], held_out: tuple[str, str]) -> "EvidenceFolders":
    """Folders of the window's rows, its answers and the reference, and of the held-out rows that are still there."""
    from tasks.drift.evidence import EvidenceFolders

    store = open_store()
    there = [store.directory(digest) if store.holds(digest) else None for digest in held_out]
    return EvidenceFolders(*(store.directory(digest) for digest in parents[:3]), *there)


def _report_note(name: str, window: str) -> str:
    # A window's name may hold what a path cannot.
    return f"drift_reports/{name}/{quote(window, safe='')}"
