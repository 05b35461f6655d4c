"""Prefect edge of drift: what a window is measured by, and what is decided on it.

`task_reports.py` has what people are shown and do about a window, `task_retraining.py` what a decision starts.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import (
    ModelVersion,
    Predictions,
    Reference,
    Replaced,
    TrainedModel,
    ValidatedSnapshot,
)
from data_contracts.drift import (
    Audit,
    DriftDecision,
    DriftEntry,
    DriftReport,
    Duel,
    RolledBack,
    WatchedWindow,
)
from data_contracts.splits import WINDOW
from tasks.drift.delivery import record_decision
from tasks.drift.history import decisions_of, learned_windows, rebaselined, seen_again, settled, windows_to_watch
from tasks.drift.ledger import DriftLedger
from tasks.drift.ledger_table import ledger_rows
from tasks.drift.policy import DriftPolicy
from tasks.modeling.heads import heads_of
from tasks.storage.caching import cached_task, steps
from tasks.storage.home import open_store

if TYPE_CHECKING:
    from tasks.drift.measuring import Count, Measured
    from tasks.drift.reference import Frozen
    from tasks.drift.seen import Numbers


@cached_task("drift")
def keep_reference(
    model: TrainedModel, predictions: Predictions, snapshot: ValidatedSnapshot, text_columns: tuple[str, ...]
) -> Reference:
    """The held-out rows in domain as the model sees them."""
    from tasks.drift.reading import text_encoder
    from tasks.drift.reference import freeze_reference

    store = open_store()
    folder = store.directory(model.digest)
    with store.draft() as draft:
        rows = freeze_reference(
            store.directory(snapshot.digest),
            store.directory(predictions.digest),
            heads_of(folder),
            text_encoder(folder),
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
    name: str,
    windows: list[str],
    labelled: list[str],
    fresh: list[str],
    champion: ModelVersion,
    learnt: tuple[str, ...],
) -> list[str]:
    """Windows that nobody has judged yet, and those that labels came for since, in order; `learnt` are those that the
    champion was trained with."""
    entries = DriftLedger(open_store(), name).entries()
    return windows_to_watch(entries, windows, labelled, fresh, champion.version, learnt)


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
        steps.info("decide: reused, because %s was already judged with version %d", known.window, champion.version)
        ledger.append(lambda found: seen_again(found, watched.name, known), datetime.now(UTC))
        return known
    from tasks.drift.decision import raised_by, triage
    from tasks.drift.reference import read_reference

    before = decisions_of(entries, champion.version)
    on_it = [decision for decision in before if decision.window_digest == watched.source]
    reference = read_reference(store.directory(champion.reference.digest))
    measured = _measured(watched, champion, reference, entries, policy, text_columns)
    if on_it:
        measured = replace(measured, shift=on_it[-1].shift, counts={})
    told = raised_by(watched.source, before, policy)
    labels, duels, shown = _audited(audit, reference, on_it, champion, policy) if audit else ({}, (), [])

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
            reasons=(*found.reasons, *shown),
            shift=measured.shift,
            monitors=found.monitors,
            duels=duels,
            estimates=dict(measured.estimates),
            measures=dict(measured.measures),
            fresh_rows=unlearned,
            decided_at=datetime.now(UTC),
        )

    return record_decision(ledger, policy.governor, find, datetime.now(UTC))


def _measured(
    watched: WatchedWindow,
    champion: ModelVersion,
    reference: "Frozen",
    entries: Sequence[DriftEntry],
    policy: DriftPolicy,
    text_columns: tuple[str, ...],
) -> "Measured":
    """The window beside the reference, and for shift beside what a person took for normal since."""
    from tasks.drift.measuring import measure_window
    from tasks.drift.reading import read_window
    from tasks.drift.reference import read_reference

    store = open_store()
    drawn, answers, model = (store.directory(of.digest) for of in (watched.drawn, watched.answers, champion.model))
    normal = rebaselined(entries, champion.version)
    tested = {of.window_digest for of in decisions_of(entries, champion.version) if of.shift is not None}
    return measure_window(
        reference,
        *read_window(drawn, answers, model, text_columns),
        watched.broken,
        policy,
        look=1 + len(tested),
        baseline=read_reference(store.directory(normal.reference)).seen if normal else None,
    )


def _unlearned(watched: WatchedWindow, entries: Sequence[DriftEntry]) -> int:
    # Rows that a retraining already learned from are no reason for another one.
    return 0 if watched.name in learned_windows(entries) else watched.fresh_rows


def _audited(
    audit: Audit, reference: "Frozen", on_it: list[DriftDecision], champion: ModelVersion, policy: DriftPolicy
) -> "tuple[dict[str, Count], tuple[Duel, ...], list[str]]":
    """What the labels add, how the champion does beside the version that it replaced, and what all labels show."""
    from tasks.drift.auditing import audited_rights, count_wrong, duels_of, labels_in_words, not_counted_yet

    store = open_store()
    checked = store.directory(audit.checked.digest)

    def rights_of(version: ModelVersion, answers: Predictions) -> "dict[str, Numbers]":
        heads = heads_of(store.directory(version.model.digest))
        return audited_rights(checked, store.directory(answers.digest), heads)

    found = rights_of(champion, audit.answers)
    duels: tuple[Duel, ...] = ()
    if audit.replaced is not None and audit.replaced_answers is not None:
        before = rights_of(audit.replaced.version, audit.replaced_answers)
        duels = duels_of(found, before, audit.replaced.promotion)
    added = not_counted_yet(count_wrong(reference, found, policy.tolerated_drop), on_it)
    return added, duels, labels_in_words(reference, found)


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
    from tasks.drift.backtest import PastWindow, harmful_from, policy_names, replay
    from tasks.drift.reading import read_window
    from tasks.drift.reference import read_reference
    from tasks.drift.report_backtest import policy_rows, write_backtest

    names = policy_names(policies)
    chosen = {names[path]: parse_yaml(Path(path), DriftPolicy) for path in policies} or {name: own}
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
        seen, facts = read_window(*places, folder, text_columns)
        past.append(PastWindow(window.name, window.source, seen, facts, window.broken, window.fresh_rows, rights))
    now = datetime.now(UTC)
    replayed = [
        replay(reference, past, policy, label, start=now, days=days, hours=hours) for label, policy in chosen.items()
    ]
    began = harmful_from(reference, past, own.tolerated_drop)
    accuracies = [of.accuracy(decision) for of, decision in zip(past, replayed[0].decisions, strict=True)]
    with store.draft() as draft:
        learnt = [of.name for of in watched if of.learnt]
        write_backtest(name, [of.name for of in past], replayed, accuracies, began, learnt, output=draft)
        page = (draft / "report.md").read_text(encoding="utf-8")
        parents = (champion.model.digest, *(of.source for of in watched))
        report = DriftReport(digest=store.publish(draft), parents=parents)
    create_markdown_artifact(page, key=f"{name}-backtest", description=f"{len(past)} windows, {len(chosen)} policies")
    return policy_rows(replayed, began), report


@task(cache_policy=NO_CACHE)
def find_reason_to_roll_back(
    name: str, champion: ModelVersion, replaced: Replaced | None, policy: DriftPolicy
) -> str | None:
    """Why the version before is to be champion again, by the labels of all windows since; None where it is not."""
    from tasks.drift.auditing import why_roll_back

    if replaced is None:
        return None
    found = decisions_of(DriftLedger(open_store(), name).entries(), champion.version)
    return why_roll_back(found, replaced.promotion, policy.rollback_alpha)


@task(cache_policy=NO_CACHE)
def note_rollback(name: str, replaced: Replaced, reason: str) -> None:
    """Keeps in the drift ledger that labels brought the version before back, once a promotion that it undoes."""
    undone = replaced.promotion
    note = RolledBack(model_version=undone.version, to=replaced.version.version, reason=reason, promotion=undone.number)

    def rolled_back(entries: Sequence[DriftEntry]) -> RolledBack | None:
        undone_before = {e.happening.promotion for e in entries if isinstance(e.happening, RolledBack)}
        return None if note.promotion in undone_before else note

    DriftLedger(open_store(), name).append(rolled_back, datetime.now(UTC))


def read_ledger_rows(name: str) -> list[tuple[str, ...]]:
    """The drift ledger of a pipeline as rows of text, newest first."""
    return ledger_rows(DriftLedger(open_store(), name).entries())
