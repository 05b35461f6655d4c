"""The drift ledger as a person reads it: a row a decision, what it was found to be, and what became of it."""

from collections.abc import Sequence

from data_contracts.drift import Decided, DriftDecision, DriftEntry, Rebaselined, RolledBack, SeenAgain
from tasks.drift.delivery import AGAINST
from tasks.drift.history import Retraining, retrainings

Row = tuple[str, ...]


def ledger_rows(entries: Sequence[DriftEntry]) -> list[Row]:
    """(when, window, version, verdict, retraining, what became of it) of every decision, and of what changed how
    later windows are judged; newest first."""
    started = {found.entry: found for found in retrainings(entries)}
    rows: list[Row] = []
    for entry in entries:
        happened, when = entry.happening, f"{entry.at:%Y-%m-%d %H:%M}"
        if isinstance(happened, Decided):
            decision = happened.decision
            became = _what_became(started[entry.number]) if entry.number in started else ""
            rows.append(
                (when, decision.window, str(decision.model_version), decision.verdict, _retraining(decision), became)
            )
        elif isinstance(happened, SeenAgain):
            rows.append(
                (when, happened.window, str(happened.model_version), "seen before", "", f"as {happened.same_as}")
            )
        elif isinstance(happened, Rebaselined):
            rows.append(
                (
                    *(when, happened.window, str(happened.model_version), "new baseline", ""),
                    f"by {happened.by}: {happened.reason}",
                )
            )
        elif isinstance(happened, RolledBack):
            rows.append(
                (when, "", str(happened.model_version), "rolled back", "", f"to {happened.to}: {happened.reason}")
            )
    return rows[::-1]


def _retraining(decision: DriftDecision) -> str:
    if decision.retrain:
        return "yes"
    against = [reason.removeprefix(AGAINST) for reason in decision.reasons if reason.startswith(AGAINST)]
    return f"no: {'; '.join(against)}" if against else "no"


def _what_became(found: Retraining) -> str:
    if found.end is not None:
        version = f", version {found.end.version}" if found.end.version else ""
        return f"{found.end.verdict}{version}, after {found.end.hours:.1f} hours"
    if found.taken_up is not None:
        return f"under way since {found.taken_up:%Y-%m-%d %H:%M} in flow run {found.flow_run}"
    if not found.announced:
        return "its event was not sent yet"
    return f"its event was sent {len(found.announced)} time(s), and nobody took it up yet"
