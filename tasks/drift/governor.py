"""The governor between what was found and what is done: whether a harmful window may start a retraining now."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_contracts.drift import DriftDecision, DriftEntry
from tasks.drift.history import Retraining, retrainings, verdicts_since

BUDGET_DAYS = 30
# Waits double and double again; a wait of more than a year is none that anybody meant.
LONGEST_WAIT_DAYS = 365.0
WITHOUT_HARM = ("QUIET", "BENIGN")


class Governor(BaseModel):
    """What has to hold, besides harm, before a model is trained again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: int = Field(1, ge=1, description="harmful windows needed among the last `of_windows`")
    of_windows: int = Field(1, ge=1, description="windows of the current version that are looked at")
    cooldown_days: float = Field(7, ge=0, le=LONGEST_WAIT_DAYS, description="from a retraining's end to the next")
    quiet_windows: int = Field(
        1, ge=0, description="windows in a row without harm that end an episode whose candidate was not promoted"
    )
    back_off: float = Field(
        2.0, ge=1, description="while an episode lasts, each candidate not promoted multiplies the cooldown by this"
    )
    hours_a_month: float | None = Field(None, gt=0, description="hours of retraining in any 30 days; none: no limit")
    minimum_fresh_rows: int = Field(50, ge=0, description="labelled rows of the window that no training has seen")
    pending_hours: float = Field(
        48, gt=0, description="a retraining taken up so long ago that has no end counts as lost"
    )

    @model_validator(mode="after")
    def _can_be_met(self) -> "Governor":
        if self.windows > self.of_windows:
            raise ValueError(f"windows is {self.windows}, but of_windows only {self.of_windows}: none could retrain")
        return self


def permits(
    policy: Governor, entries: Sequence[DriftEntry], decision: DriftDecision, now: datetime
) -> tuple[bool, tuple[str, ...]]:
    """Whether the decision, which the ledger does not hold yet, starts a retraining; if not, everything against it.

    Only harm asks for one: of other verdicts there is nothing to say.
    """
    if decision.verdict != "HARMFUL":
        return False, ()
    earlier = retrainings(entries)
    found = (
        _decided_before(earlier, decision),
        _pending(policy, earlier, now),
        _unconfirmed(policy, entries, decision),
        _cooling_down(policy, earlier, now),
        _same_episode(policy, entries, earlier, decision, now),
        _over_budget(policy, earlier, now),
        _nothing_to_learn(policy, decision),
    )
    against = tuple(reason for reason in found if reason is not None)
    return not against, against


def _decided_before(earlier: list[Retraining], decision: DriftDecision) -> str | None:
    known = next((r for r in earlier if r.decision.window_digest == decision.window_digest), None)
    if known is None:
        return None
    return f"a retraining was decided for this window before (entry {known.entry}): each window has one at most"


def _pending(policy: Governor, earlier: list[Retraining], now: datetime) -> str | None:
    pending = [found for found in earlier if found.over_since(now, policy.pending_hours) is None]
    if not pending:
        return None
    last = pending[-1]
    if last.taken_up is None:
        how = "is decided and not yet taken up: `graft reconcile` sends its event again"
    else:
        until = last.taken_up + timedelta(hours=policy.pending_hours)
        how = f"is under way in flow run {last.flow_run}: its end is waited for, until {_at(until)} at the latest"
    return f"the retraining for {last.decision.window} (entry {last.entry}) {how}"


def _unconfirmed(policy: Governor, entries: Sequence[DriftEntry], decision: DriftDecision) -> str | None:
    verdicts = verdicts_since(entries, decision.model_version)
    verdicts.pop(decision.window_digest, None)
    # A window that could not be judged is evidence neither of harm nor of its absence.
    judged = [verdict for verdict in (*verdicts.values(), decision.verdict) if verdict in (*WITHOUT_HARM, "HARMFUL")]
    harmful = judged[-policy.of_windows :].count("HARMFUL")
    if harmful >= policy.windows:
        return None
    return (
        f"{harmful} of the last {policy.of_windows} windows harmful, {policy.windows} are asked for: "
        f"{policy.windows - harmful} more"
    )


def _cooling_down(policy: Governor, earlier: list[Retraining], now: datetime) -> str | None:
    ends = [end for found in earlier if (end := found.over_since(now, policy.pending_hours)) is not None]
    if not ends:
        return None
    allowed = max(ends) + timedelta(days=policy.cooldown_days)
    if now >= allowed:
        return None
    return (
        f"{_days_since(max(ends), now)} since the last retraining, {policy.cooldown_days:g} asked for: {_next(allowed)}"
    )


def _same_episode(
    policy: Governor, entries: Sequence[DriftEntry], earlier: list[Retraining], decision: DriftDecision, now: datetime
) -> str | None:
    """Harm that a retraining did not end. That the version is still in use says that its candidates were not promoted,
    or not for long."""
    episode = _episode(policy, entries, earlier, decision.model_version)
    ends = [end for found in episode if (end := found.over_since(now, policy.pending_hours)) is not None]
    if not ends:
        return None
    days = min(policy.cooldown_days * policy.back_off ** min(len(ends), 64), LONGEST_WAIT_DAYS)
    allowed = max(ends) + timedelta(days=days)
    if now >= allowed and decision.fresh_rows > 0:
        return None
    return (
        f"{len(ends)} candidate(s) in a row did not replace version {decision.model_version}, {days:g} days and rows "
        f"labelled since are asked for ({_days_since(max(ends), now)}, {decision.fresh_rows} rows): {_next(allowed)}, "
        f"or after {policy.quiet_windows} window(s) in a row without harm"
    )


def _episode(
    policy: Governor, entries: Sequence[DriftEntry], earlier: list[Retraining], model_version: int
) -> list[Retraining]:
    """Retrainings of a version that were decided since enough windows in a row were last without harm."""
    episode: list[Retraining] = []
    for found in earlier:
        if found.decision.model_version == model_version:
            before = entries[: found.entry - 1]
            episode = [found] if _was_quiet(policy, before, model_version) else [*episode, found]
    return [] if _was_quiet(policy, entries, model_version) else episode


def _was_quiet(policy: Governor, entries: Sequence[DriftEntry], model_version: int) -> bool:
    """Whether enough windows in a row were without harm since the last retraining was decided."""
    in_a_row = 0
    for verdict in verdicts_since(entries, model_version).values():
        if in_a_row >= policy.quiet_windows:
            break
        in_a_row = 0 if verdict == "HARMFUL" else in_a_row + (verdict in WITHOUT_HARM)
    return in_a_row >= policy.quiet_windows


def _over_budget(policy: Governor, earlier: list[Retraining], now: datetime) -> str | None:
    if policy.hours_a_month is None:
        return None
    month = timedelta(days=BUDGET_DAYS)
    spent = sorted((r.ended, r.end.hours) for r in earlier if r.ended and r.end and now - r.ended < month)
    total = sum(hours for _, hours in spent)
    if total < policy.hours_a_month:
        return None
    left, allowed = total, now
    for ended, hours in spent:
        if left < policy.hours_a_month:
            break
        left, allowed = left - hours, ended + month
    return (
        f"{total:.1f} hours of retraining in the last {BUDGET_DAYS} days, {policy.hours_a_month:g} are budgeted: "
        f"{_next(allowed)}"
    )


def _nothing_to_learn(policy: Governor, decision: DriftDecision) -> str | None:
    lacking = policy.minimum_fresh_rows - decision.fresh_rows
    if lacking <= 0:
        return None
    return (
        f"{decision.fresh_rows} freshly labelled rows of this window, {policy.minimum_fresh_rows} are asked for: "
        f"label {lacking} more"
    )


def _days_since(then: datetime, now: datetime) -> str:
    return f"{(now - then) / timedelta(days=1):.1f} days"


def _next(allowed: datetime) -> str:
    return f"next on {_at(allowed)}"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
