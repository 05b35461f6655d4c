"""Prefect edge of drift."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

from data_contracts.artifacts import (
    ModelVersion,
    Predictions,
    Reference,
    Release,
    TrainedModel,
    ValidatedSnapshot,
)
from data_contracts.dataset import DatasetContract
from data_contracts.drift import (
    Audit,
    DriftDecision,
    DriftEntry,
    DriftReport,
    Duel,
    Rebaselined,
    RolledBack,
    WatchedWindow,
)
from data_contracts.errors import InputError
from tasks.drift.delivery import (
    REDELIVER_MINUTES,
    claim_event,
    event_is_due,
    finish_retraining,
    record_decision,
    take_up_retraining,
)
from tasks.drift.history import (
    decisions_of,
    learned_windows,
    rebaselined,
    retrainings,
    settled,
    was_rebaselined,
    windows_to_watch,
)
from tasks.drift.ledger import DriftLedger, pipelines_with_a_ledger
from tasks.drift.ledger_table import ledger_rows
from tasks.drift.policy import DriftPolicy
from tasks.modeling.heads import heads_of
from tasks.storage.caching import cached_task, steps
from tasks.storage.home import open_store

__all__ = [
    "EVENT",
    "REDELIVER_MINUTES",
    "announce",
    "close_lost",
    "decide",
    "deliver_again",
    "draw_rows",
    "find_learned_windows",
    "find_ledgers",
    "find_reason_to_roll_back",
    "find_rows_to_label",
    "find_windows_to_watch",
    "finish",
    "keep_reference",
    "latest_report",
    "note_failure",
    "note_rollback",
    "read_ledger_rows",
    "replay_policies",
    "show_drift_report",
    "take_for_normal",
    "take_up",
    "write_drift_report",
]
if TYPE_CHECKING:
    from tasks.drift.evidence import EvidenceFolders
    from tasks.drift.measuring import Count
    from tasks.drift.quality import TextFacts
    from tasks.drift.reference import Frozen
    from tasks.drift.seen import Numbers, Seen
    from tasks.modeling.tokens import TextEncoder

WINDOW = "window"
# Columns of these types say of what kind a row is.
SLICED = ("string", "boolean")
EVENT = "graft.drift.confirmed"
HEARTBEAT = "prefect.flow-run.heartbeat"
# A run on a worker sends one every three minutes.
SILENT_MINUTES = 20


@cached_task("drift")
def keep_reference(
    model: TrainedModel, predictions: Predictions, snapshot: ValidatedSnapshot, text_columns: tuple[str, ...]
) -> Reference:
    """The held-out rows in domain as the model sees them."""
    from tasks.drift.reference import freeze_reference

    store = open_store()
    folder = store.directory(model.digest)
    with store.draft() as draft:
        rows = freeze_reference(
            store.directory(snapshot.digest),
            store.directory(predictions.digest),
            heads_of(folder),
            _text_encoder(folder),
            text_columns,
            output=draft,
        )
        return Reference(digest=store.publish(draft), parents=(predictions.digest,), model=model.digest, rows=rows)


@cached_task("drift")
def draw_rows(checked: ValidatedSnapshot, most_rows: int) -> ValidatedSnapshot:
    """The window's rows or, of a very large window, so many drawn at random for the model to answer."""
    from tasks.drift.drawing import draw_window

    if checked.rows.get(WINDOW, 0) <= most_rows:
        return checked
    store = open_store()
    with store.draft() as draft:
        rows = draw_window(store.directory(checked.digest), most_rows, output=draft)
        steps.info("draw_rows: %d of %d rows, drawn at random", rows, checked.rows[WINDOW])
        return checked.model_copy(
            update={"digest": store.publish(draft), "parents": (checked.digest,), "rows": {WINDOW: rows}}
        )


@task(cache_policy=NO_CACHE)
def find_learned_windows(pipeline: str) -> tuple[str, ...]:
    """Windows whose freshly labelled rows belong to training, as the ledger has it."""
    return learned_windows(DriftLedger(open_store(), pipeline).entries())


@task(cache_policy=NO_CACHE)
def find_windows_to_watch(
    name: str, windows: list[str], labelled: list[str], fresh: list[str], champion: ModelVersion
) -> list[str]:
    """Windows that nobody has judged yet, and those that labels came for since, in order."""
    return windows_to_watch(DriftLedger(open_store(), name).entries(), windows, labelled, fresh, champion.version)


@task(cache_policy=NO_CACHE)
def decide(
    name: str,
    pipeline: str,
    watched: WatchedWindow,
    champion: ModelVersion,
    policy: DriftPolicy,
    text_columns: tuple[str, ...],
) -> DriftDecision:
    """The decision on a window, written to the ledger; one already taken for the same bytes and model is kept.

    Labels that come later make another decision on the window: audited ones, which alone add evidence, and rows to
    learn from, where a decision is open.
    """
    store = open_store()
    ledger = DriftLedger(store, name)
    entries = ledger.entries()
    audit = watched.audit
    labels_of = audit.source if audit else None
    known = settled(entries, watched.source, labels_of, champion.version, _unlearned(watched, entries))
    if known is not None:
        steps.info("decide: reused, because this window was already judged with version %d", champion.version)
        return known
    from tasks.drift.decision import triage
    from tasks.drift.measuring import measure_window
    from tasks.drift.reference import read_reference

    folder = store.directory(champion.model.digest)
    before = decisions_of(entries, champion.version)
    on_it = [decision for decision in before if decision.window_digest == watched.source]
    reference = read_reference(store.directory(champion.reference.digest))
    normal = rebaselined(entries, champion.version)
    measured = measure_window(
        reference,
        *_as_seen(store.directory(watched.drawn.digest), store.directory(watched.answers.digest), folder, text_columns),
        watched.broken,
        policy,
        look=1 + len({decision.window_digest for decision in before if decision.shift is not None}),
        baseline=read_reference(store.directory(normal.reference)).seen if normal else None,
    )
    if on_it:
        measured = replace(measured, shift=on_it[-1].shift, counts={})
    told = {monitor.name for decision in on_it for monitor in decision.monitors}
    labels, duels = _audited(audit, reference, on_it, champion, policy) if audit else ({}, ())

    def find(known: Sequence[DriftEntry]) -> DriftDecision:
        unlearned = _unlearned(watched, known)
        earlier = decisions_of(known, champion.version)
        found = triage(measured, earlier, policy, fresh_rows=unlearned, audit=labels, told=told)
        return DriftDecision(
            pipeline=pipeline,
            window=watched.name,
            window_digest=watched.source,
            audit_digest=labels_of,
            model_version=champion.version,
            verdict=found.verdict,
            retrain=False,
            reasons=found.reasons,
            shift=measured.shift,
            monitors=found.monitors,
            duels=duels,
            estimates=dict(measured.estimates),
            measures=dict(measured.measures),
            fresh_rows=unlearned,
            decided_at=datetime.now(UTC),
        )

    return record_decision(ledger, policy.governor, find, datetime.now(UTC))


def _unlearned(watched: WatchedWindow, entries: Sequence[DriftEntry]) -> int:
    # Rows that a retraining already learned from are no reason for another one.
    return 0 if watched.name in learned_windows(entries) else watched.fresh_rows


def _audited(
    audit: Audit, reference: "Frozen", on_it: list[DriftDecision], champion: ModelVersion, policy: DriftPolicy
) -> "tuple[dict[str, Count], tuple[Duel, ...]]":
    """What the labels add, and how the champion does beside the version that it replaced."""
    from tasks.drift.auditing import audited_rights, count_wrong, duels_of, not_counted_yet

    store = open_store()
    checked = store.directory(audit.checked.digest)

    def rights_of(version: ModelVersion, answers: Predictions) -> "dict[str, Numbers]":
        heads = heads_of(store.directory(version.model.digest))
        return audited_rights(checked, store.directory(answers.digest), heads)

    found = rights_of(champion, audit.answers)
    duels: tuple[Duel, ...] = ()
    if audit.replaced is not None and audit.replaced_answers is not None:
        duels = duels_of(found, rights_of(audit.replaced, audit.replaced_answers))
    return not_counted_yet(count_wrong(reference, found, policy.tolerated_drop), on_it), duels


def take_for_normal(name: str, window: str, by: str, reason: str, *, dry_run: bool) -> str:
    """Keeps a benign window as part of what shift is measured against; says so, for people.

    Raises InputError for a window that was not watched, or was found to be something else.
    """
    from tasks.drift.reference import extend_reference, read_reference, write_frozen

    store, ledger = open_store(), DriftLedger(open_store(), name)
    note = store.read_note(_report_note(name, window))
    if note is None:
        raise InputError(f"window {window!r} of {name} was not watched yet: `graft watch {name} --window {window}`")
    decision, report = DriftDecision.model_validate(note["decision"]), DriftReport.model_validate(note["report"])
    if decision.verdict != "BENIGN":
        raise InputError(
            f"window {window!r} was found {decision.verdict}; only a BENIGN one, which shifted and harmed nothing, can "
            "be taken for normal. `graft drift` lists the windows."
        )
    drawn, answers, reference, model = (store.directory(digest) for digest in report.parents[:4])
    entries = ledger.entries()
    if was_rebaselined(entries, decision):
        raise InputError(f"window {window!r} of {name} was taken for normal before: `graft drift` shows when and why")
    before = rebaselined(entries, decision.model_version)
    frozen = read_reference(store.directory(before.reference) if before else reference)
    extended = extend_reference(frozen, [_as_seen(drawn, answers, model, tuple(note["text_columns"]))])
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


@task(cache_policy=NO_CACHE)
def replay_policies(
    name: str,
    champion: ModelVersion,
    watched: list[WatchedWindow],
    own: DriftPolicy,
    policies: list[str],
    text_columns: tuple[str, ...],
    days: float,
    hours: float,
) -> tuple[list[tuple[str, ...]], DriftReport]:
    """What each policy makes of the windows: rows of a table, and a page with a picture to choose one from."""
    from data_contracts.yaml_files import parse_yaml
    from tasks.drift.auditing import audited_rights
    from tasks.drift.backtest import PastWindow, harmful_from, replay
    from tasks.drift.reference import read_reference
    from tasks.drift.report_backtest import policy_rows, write_backtest

    chosen = {Path(path).stem: parse_yaml(Path(path), DriftPolicy) for path in policies} or {name: own}
    store = open_store()
    folder = store.directory(champion.model.digest)
    heads = heads_of(folder)
    reference = read_reference(store.directory(champion.reference.digest))
    past = []
    for window in watched:
        audit, rights = window.audit, {}
        if audit is not None:
            places = store.directory(audit.checked.digest), store.directory(audit.answers.digest)
            rights = audited_rights(*places, heads)
        places = store.directory(window.drawn.digest), store.directory(window.answers.digest)
        seen, facts = _as_seen(*places, folder, text_columns)
        past.append(PastWindow(window.name, window.source, seen, facts, window.broken, window.fresh_rows, rights))
    now = datetime.now(UTC)
    replayed = [
        replay(reference, past, policy, label, start=now, days=days, hours=hours) for label, policy in chosen.items()
    ]
    began = harmful_from(reference, past, own.tolerated_drop)
    accuracies = [of.accuracy(decision) for of, decision in zip(past, replayed[0].decisions, strict=True)]
    with store.draft() as draft:
        write_backtest(name, [of.name for of in past], replayed, accuracies, began, output=draft)
        page = (draft / "report.md").read_text(encoding="utf-8")
        parents = (champion.model.digest, *(of.source for of in watched))
        report = DriftReport(digest=store.publish(draft), parents=parents)
    create_markdown_artifact(page, key=f"{name}-backtest", description=f"{len(past)} windows, {len(chosen)} policies")
    return policy_rows(replayed, began), report


@task(cache_policy=NO_CACHE)
def find_reason_to_roll_back(name: str, champion: ModelVersion, policy: DriftPolicy) -> str | None:
    """Why the version before is to be champion again, by the labels of all windows since; None where it is not."""
    from tasks.drift.auditing import why_roll_back

    return why_roll_back(
        decisions_of(DriftLedger(open_store(), name).entries(), champion.version), policy.rollback_alpha
    )


@task(cache_policy=NO_CACHE)
def note_rollback(name: str, champion: ModelVersion, to: ModelVersion, reason: str) -> None:
    """Keeps in the drift ledger that labels brought the version before back."""

    def rolled_back(entries: Sequence[DriftEntry]) -> RolledBack | None:
        known = any(
            isinstance(e.happening, RolledBack) and e.happening.model_version == champion.version for e in entries
        )
        return None if known else RolledBack(model_version=champion.version, to=to.version, reason=reason)

    DriftLedger(open_store(), name).append(rolled_back, datetime.now(UTC))


@task(cache_policy=NO_CACHE)
def announce(name: str, decision: DriftDecision) -> bool:
    """Sends the event that starts `retrain`, unless that is not wanted or already under way; says whether it did."""
    if not decision.retrain or not claim_event(DriftLedger(open_store(), name), decision, datetime.now(UTC)):
        return False
    _send(name, decision)
    return True


@task(cache_policy=NO_CACHE)
def take_up(name: str, decision: DriftDecision) -> bool:
    """Notes in the ledger that this flow run retrains for the decision; False where another one already does."""
    run = str(flow_run.id)
    if take_up_retraining(DriftLedger(open_store(), name), decision, run, datetime.now(UTC)):
        return True
    steps.info("take_up: nothing to do, because another flow run already retrains for window %s", decision.window)
    return False


@task(cache_policy=NO_CACHE)
def finish(name: str, decision: DriftDecision, released: Release) -> None:
    """Notes in the ledger how the retraining of this flow run ended."""
    verdict, version, now = released.judgement.verdict, released.version.version, datetime.now(UTC)
    finish_retraining(DriftLedger(open_store(), name), decision, str(flow_run.id), verdict, version, now)


def note_failure(name: str, decision: DriftDecision, run: str) -> None:
    """Notes in the ledger that the retraining of a flow run failed, if it was that run's and has no end."""
    finish_retraining(DriftLedger(open_store(), name), decision, run, "FAILED", None, datetime.now(UTC))


@task(cache_policy=NO_CACHE)
def find_ledgers() -> tuple[str, ...]:
    """Pipelines whose windows were judged."""
    return pipelines_with_a_ledger(open_store())


@task(cache_policy=NO_CACHE)
def close_lost(name: str, dry_run: bool) -> list[str]:
    """Notes the failure of retrainings whose flow run is over without their end; says which, or would be."""
    ledger, done = DriftLedger(open_store(), name), []
    for found in retrainings(ledger.entries()):
        if found.flow_run is None or found.end is not None:
            continue
        why = why_over(found.flow_run, datetime.now(UTC))
        if why is None:
            continue
        if dry_run or finish_retraining(ledger, found.decision, found.flow_run, "FAILED", None, datetime.now(UTC)):
            done.append(f"{name}: the retraining for {found.decision.window} failed: {why}")
    return done


@task(cache_policy=NO_CACHE)
def deliver_again(name: str, redeliver_minutes: float, dry_run: bool) -> list[str]:
    """Sends the events of decisions that nobody took up, where they are due; says which, or would be."""
    ledger, done = DriftLedger(open_store(), name), []
    for found in retrainings(ledger.entries()):
        now, decision = datetime.now(UTC), found.decision
        if not event_is_due(found, now, redeliver_minutes):
            continue
        if dry_run:
            done.append(f"{name}: the event for {decision.window} is to be sent")
        elif claim_event(ledger, decision, now, redeliver_minutes):
            _send(name, decision)
            done.append(f"{name}: the event for {decision.window} was sent, for the {_times(len(found.announced) + 1)}")
    return done


def why_over(run: str, now: datetime) -> str | None:
    """Why a flow run will not go on, as far as the server knows; None where it may."""
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(UUID(run)).state
        except ObjectNotFound:
            return f"the server knows no flow run {run}"
        if state is not None and state.is_final():
            return f"flow run {run} is {state.name}{f': {state.message}' if state.message else ''}"
        if state is None or not state.is_running():
            return None
        # Where a whole machine is gone, nobody is left to say so: the run stays as it was and falls silent.
        resource = EventResourceFilter(id=[f"prefect.flow-run.{run}"])
        beats = client.read_events(EventFilter(event=EventNameFilter(name=[HEARTBEAT]), resource=resource), limit=1)
    minutes = (now.timestamp() - beats.events[0].occurred.timestamp()) / 60 if beats.events else 0.0
    return f"flow run {run} has been silent for {minutes:.0f} minutes" if minutes > SILENT_MINUTES else None


def read_ledger_rows(name: str) -> list[tuple[str, ...]]:
    """The drift ledger of a pipeline as rows of text, newest first."""
    return ledger_rows(DriftLedger(open_store(), name).entries())


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


def _evidence_folders(parents: tuple[str, ...], held_out: tuple[str, str]) -> "EvidenceFolders":
    """Folders of the window's rows, its answers and the reference, and of the held-out rows that are still there."""
    from tasks.drift.evidence import EvidenceFolders

    store = open_store()
    there = [store.directory(digest) if store.holds(digest) else None for digest in held_out]
    return EvidenceFolders(*(store.directory(digest) for digest in parents[:3]), *there)


def _report_note(name: str, window: str) -> str:
    # A window's name may hold what a path cannot.
    return f"drift_reports/{name}/{quote(window, safe='')}"


def _send(name: str, decision: DriftDecision) -> None:
    emit_event(
        event=EVENT,
        resource={"prefect.resource.id": f"graft.pipeline.{name}", "prefect.resource.name": name},
        payload=decision.model_dump(mode="json"),
    )
    get_run_logger().info("the event for %s was sent", decision.window)


def _times(count: int) -> str:
    return "first time" if count == 1 else f"{count}. time"


def _as_seen(drawn: Path, answers: Path, model: Path, text_columns: tuple[str, ...]) -> "tuple[Seen, TextFacts]":
    """A window's rows as the model sees them, and what their texts are like."""
    from tasks.drift.quality import text_facts
    from tasks.drift.seen import see

    return see(answers, WINDOW, heads_of(model)), text_facts(drawn, WINDOW, text_columns, _text_encoder(model))


def _text_encoder(model: Path) -> "TextEncoder":
    from tasks.modeling.limits import TokenLimit
    from tasks.modeling.tokens import TextEncoder

    # Whole texts are read, so how many tokens the model reads at once does not matter.
    return TextEncoder(model / "encoder", TokenLimit(max_tokens=8))
