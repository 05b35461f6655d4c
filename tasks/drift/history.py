"""What the entries of a drift ledger say: decisions, and what became of the retrainings that they asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from data_contracts.drift import (
    Announced,
    Decided,
    DriftDecision,
    DriftEntry,
    DriftVerdict,
    Finished,
    Rebaselined,
    SeenAgain,
    TakenUp,
)

Key = tuple[str, int]


@dataclass(frozen=True)
class Retraining:
    """A decision that asks for a retraining, and what followed. Of several ends, as of a run that was run again, the
    last one counts. `entry` is the decision's number in the ledger."""

    entry: int
    decision: DriftDecision
    announced: tuple[datetime, ...] = ()
    taken_up: datetime | None = None
    flow_run: str | None = None
    end: Finished | None = None
    ended: datetime | None = None

    def over_since(self, now: datetime, pending_hours: float) -> datetime | None:
        """When it ended or, where it was taken up that long ago and has no end, began; None while it is pending."""
        if self.ended is not None:
            return self.ended
        if self.taken_up is not None and now - self.taken_up > timedelta(hours=pending_hours):
            return self.taken_up
        return None


def decisions(entries: Sequence[DriftEntry]) -> list[DriftDecision]:
    """All decisions, oldest first."""
    return [entry.happening.decision for entry in entries if isinstance(entry.happening, Decided)]


def decisions_of(entries: Sequence[DriftEntry], model_version: int) -> list[DriftDecision]:
    """Decisions on windows that were judged with that version, oldest first."""
    return [decision for decision in decisions(entries) if decision.model_version == model_version]


def decision_on(
    entries: Sequence[DriftEntry], window_digest: str, audit_digest: str | None, model_version: int
) -> DriftDecision | None:
    """The latest decision on those bytes, with those labelled rows and that version, if one was taken."""
    wanted = (window_digest, audit_digest, model_version)
    found = [d for d in decisions(entries) if (d.window_digest, d.audit_digest, d.model_version) == wanted]
    return found[-1] if found else None


def is_open(decision: DriftDecision) -> bool:
    """Whether labelled rows to learn from would change what follows: harm was seen or suspected, and nobody trains."""
    return decision.verdict in ("UNKNOWN", "HARMFUL") and not decision.retrain


def settled(
    entries: Sequence[DriftEntry], window_digest: str, audit_digest: str | None, model_version: int, fresh_rows: int
) -> DriftDecision | None:
    """The latest such decision, unless it is open and more rows were labelled since than it knew of."""
    found = decision_on(entries, window_digest, audit_digest, model_version)
    return None if found is not None and is_open(found) and fresh_rows > found.fresh_rows else found


def retrainings(entries: Sequence[DriftEntry]) -> list[Retraining]:
    """Every decision that asks for a retraining, oldest first, with what followed."""
    found: dict[Key, Retraining] = {}
    for entry in entries:
        happened, at = entry.happening, entry.at
        if isinstance(happened, Decided):
            if happened.decision.retrain:
                found.setdefault(key_of(happened.decision), Retraining(entry.number, happened.decision))
        elif isinstance(happened, Announced | TakenUp | Finished) and (known := found.get(key_of(happened))):
            found[key_of(happened)] = _followed_by(known, happened, at)
    return list(found.values())


def retraining_for(entries: Sequence[DriftEntry], decision: DriftDecision) -> Retraining | None:
    """The retraining that a decision asked for; None where the ledger holds no such decision."""
    return next((found for found in retrainings(entries) if key_of(found.decision) == key_of(decision)), None)


def learned_windows(entries: Sequence[DriftEntry]) -> tuple[str, ...]:
    """Windows whose fresh rows belong to training since a retraining took them up, in the order of the decisions."""
    return tuple(dict.fromkeys(found.decision.window for found in retrainings(entries) if found.taken_up))


def windows_to_watch(
    entries: Sequence[DriftEntry],
    windows: Sequence[str],
    labelled: Sequence[str],
    fresh: Sequence[str],
    model_version: int,
    learnt: Sequence[str],
) -> list[str]:
    """Of the windows that are there, those that nobody has judged yet, and those that labels came for since.

    `labelled` are windows with audited rows, `fresh` those with rows to learn from, which an open decision waits for,
    `learnt` those that the version was trained with, whose labels say nothing of it.

    A window that was judged with an earlier version is old news. Rows that a retraining took up are waited for no more.
    """
    again = [entry.happening for entry in entries if isinstance(entry.happening, SeenAgain)]
    judged = {decision.window for decision in decisions(entries)} | {of.window for of in again}
    of_version = decisions_of(entries, model_version)
    with_labels = {decision.window for decision in of_version if decision.audit_digest is not None}
    latest = {decision.window: decision for decision in of_version}
    for of in again:
        if of.model_version == model_version:
            latest.setdefault(of.window, latest[of.same_as])
    waiting = {window for window, decision in latest.items() if is_open(decision)}
    audited = latest.keys() & set(labelled) - with_labels - set(learnt)
    late = audited | waiting & set(fresh) - set(learned_windows(entries))
    return [window for window in windows if window not in judged or window in late]


def seen_again(entries: Sequence[DriftEntry], window: str, known: DriftDecision) -> SeenAgain | None:
    """What to note of a window that holds the rows of a decision; None where nothing is, or it was noted before."""
    key = known.window_digest, known.model_version
    names = {d.window for d in decisions(entries) if key_of(d) == key}
    names |= {e.happening.window for e in entries if isinstance(e.happening, SeenAgain) and key_of(e.happening) == key}
    if window in names:
        return None
    return SeenAgain(window=window, same_as=known.window, window_digest=key[0], model_version=key[1])


def rebaselined(entries: Sequence[DriftEntry], model_version: int) -> Rebaselined | None:
    """The latest window that a person took for what is normal to that version, if any."""
    found = [entry.happening for entry in entries if isinstance(entry.happening, Rebaselined)]
    return next((happened for happened in reversed(found) if happened.model_version == model_version), None)


def was_rebaselined(entries: Sequence[DriftEntry], decision: DriftDecision) -> bool:
    """Whether that window was taken for normal to that version already."""
    found = [entry.happening for entry in entries if isinstance(entry.happening, Rebaselined)]
    return key_of(decision) in {(of.window_digest, of.model_version) for of in found}


def verdicts_since(entries: Sequence[DriftEntry], model_version: int) -> dict[str, DriftVerdict]:
    """{window digest: latest verdict} of a version's windows, in order of judgement, from behind the last one that a
    retraining was decided on: what was acted on is no evidence for acting again."""
    found: dict[str, DriftVerdict] = {}
    for decision in decisions_of(entries, model_version):
        if decision.retrain:
            found.clear()
            continue
        found.pop(decision.window_digest, None)
        found[decision.window_digest] = decision.verdict
    return found


def key_of(happened: DriftDecision | SeenAgain | Announced | TakenUp | Finished) -> Key:
    """What tells retrainings apart: for one window and version there is one at most."""
    return happened.window_digest, happened.model_version


def _followed_by(known: Retraining, happened: Announced | TakenUp | Finished, at: datetime) -> Retraining:
    if isinstance(happened, Announced):
        return replace(known, announced=(*known.announced, at))
    if isinstance(happened, TakenUp):
        return replace(known, taken_up=at, flow_run=happened.flow_run)
    return replace(known, end=happened, ended=at)
