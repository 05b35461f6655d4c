"""From a decision to the end of its retraining: steps of which each is one entry of the ledger, written once.

An event only hints that there is something to do, and may be lost or arrive many times; the ledger says what to do.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from data_contracts.drift import (
    Announced,
    Decided,
    DriftDecision,
    DriftEntry,
    Finished,
    RetrainingVerdict,
    TakenUp,
)
from data_contracts.errors import InputError
from tasks.drift.governor import Governor, permits
from tasks.drift.history import Retraining, retraining_for, settled
from tasks.drift.ledger import DriftLedger

REDELIVER_MINUTES = 10.0
# A trigger that was broken for a week is noticed within a day of its repair.
LONGEST_WAIT = timedelta(days=1)
# What a retraining that is not permitted begins its reasons with.
AGAINST = "no retraining: "


def record_decision(
    ledger: DriftLedger, policy: Governor, find: Callable[[Sequence[DriftEntry]], DriftDecision], now: datetime
) -> DriftDecision:
    """The decision as it stands in the ledger: with the governor's word or, of a window judged before, as it was then.

    `find` says what the window is after all that the ledger holds, and is asked again where another window was judged
    meanwhile, so that no evidence is lost; whether to retrain is for the governor.
    """

    def judged(entries: Sequence[DriftEntry]) -> Decided | None:
        found = find(entries)
        return None if _known(entries, found) is not None else governed(policy, entries, found, now)

    ledger.append(judged, now)
    entries = ledger.entries()
    decision = _known(entries, find(entries))
    assert decision is not None
    return decision


def governed(policy: Governor, entries: Sequence[DriftEntry], found: DriftDecision, now: datetime) -> Decided:
    """The decision with the governor's word: whether a model is trained again, or all that speaks against it."""
    retrain, against = permits(policy, entries, found, now)
    reasons = (*found.reasons, *(f"{AGAINST}{reason}" for reason in against))
    return Decided(decision=found.model_copy(update={"retrain": retrain, "reasons": reasons}))


def event_is_due(retraining: Retraining, now: datetime, redeliver_minutes: float) -> bool:
    """Whether the event is to be sent: never sent, or so long ago that it is lost. Each time the wait doubles."""
    if retraining.taken_up is not None:
        return False
    if not retraining.announced:
        return True
    doubled = timedelta(minutes=redeliver_minutes) * (1 << min(len(retraining.announced) - 1, 16))
    return now - retraining.announced[-1] >= min(doubled, LONGEST_WAIT)


def claim_event(
    ledger: DriftLedger, decision: DriftDecision, now: datetime, redeliver_minutes: float = REDELIVER_MINUTES
) -> bool:
    """Whether this process is to send the event: it is due, and of several that ask at once one is told so."""

    def announced(entries: Sequence[DriftEntry]) -> Announced | None:
        retraining = retraining_for(entries, decision)
        if retraining is None or not event_is_due(retraining, now, redeliver_minutes):
            return None
        return Announced(window_digest=decision.window_digest, model_version=decision.model_version)

    return ledger.append(announced, now) is not None


def take_up_retraining(ledger: DriftLedger, decision: DriftDecision, flow_run: str, now: datetime) -> bool:
    """Whether the retraining is this flow run's: nobody had taken it up, or this run had, was killed, and runs again.

    Raises InputError where the ledger holds no decision for such a retraining.
    """

    def taken_up(entries: Sequence[DriftEntry]) -> TakenUp | None:
        if _required(entries, decision).taken_up is not None:
            return None
        return TakenUp(
            window=decision.window,
            window_digest=decision.window_digest,
            model_version=decision.model_version,
            flow_run=flow_run,
        )

    ledger.append(taken_up, now)
    return _required(ledger.entries(), decision).flow_run == flow_run


def finish_retraining(
    ledger: DriftLedger,
    decision: DriftDecision,
    flow_run: str,
    verdict: RetrainingVerdict,
    version: int | None,
    now: datetime,
) -> bool:
    """Writes the end of the retraining that the flow run took up; False where there is nothing to add.

    A failure does not replace an end; a verdict replaces a failure, after which the run was run again.
    """

    def finished(entries: Sequence[DriftEntry]) -> Finished | None:
        retraining = retraining_for(entries, decision)
        if retraining is None or retraining.taken_up is None or retraining.flow_run != flow_run:
            return None
        if retraining.end is not None and (verdict == "FAILED" or retraining.end.verdict != "FAILED"):
            return None
        return Finished(
            window_digest=decision.window_digest,
            model_version=decision.model_version,
            flow_run=flow_run,
            verdict=verdict,
            version=version,
            hours=(now - retraining.taken_up) / timedelta(hours=1),
        )

    return ledger.append(finished, now) is not None


def _known(entries: Sequence[DriftEntry], found: DriftDecision) -> DriftDecision | None:
    return settled(entries, found.window_digest, found.audit_digest, found.model_version, found.fresh_rows)


def _required(entries: Sequence[DriftEntry], decision: DriftDecision) -> Retraining:
    retraining = retraining_for(entries, decision)
    if retraining is None:
        raise InputError(
            f"the drift ledger holds no decision to retrain because of {decision.window} "
            f"({decision.window_digest[:12]}) judged with version {decision.model_version}: the event comes from "
            "elsewhere, or GRAFT_HOME or GRAFT_STORE points elsewhere. "
            f"`graft watch {decision.pipeline} --window {decision.window}` judges the window here."
        )
    return retraining
