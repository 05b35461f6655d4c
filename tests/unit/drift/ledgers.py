"""Ledgers to ask questions of: windows as they were judged, and what followed, a day at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from data_contracts.artifacts import Promotion
from data_contracts.drift import (
    Announced,
    Decided,
    DriftDecision,
    DriftEntry,
    DriftVerdict,
    Finished,
    Happening,
    RetrainingVerdict,
    TakenUp,
)
from tasks.drift.governor import Governor, permits

START = datetime(2026, 1, 1, 9, tzinfo=UTC)


def day(number: float) -> datetime:
    """That many days after the first."""
    return START + timedelta(days=number)


def judged(
    window: str,
    verdict: DriftVerdict = "HARMFUL",
    *,
    at: float = 0,
    version: int = 1,
    fresh: int = 100,
    retrain: bool = False,
    audit: str | None = None,
    pipeline: str = "support",
) -> DriftDecision:
    """A decision on a window, whose digest follows from its name."""
    return DriftDecision(
        pipeline=pipeline,
        window=window,
        window_digest=window.encode().hex().ljust(64, "0"),
        audit_digest=audit,
        model_version=version,
        verdict=verdict,
        retrain=retrain,
        reasons=("so it was found",),
        fresh_rows=fresh,
        decided_at=day(at),
    )


def promotion(number: int, at: float = 0) -> Promotion:
    """The entry of that number of a promotion ledger: version 2 takes the place of version 1."""
    return Promotion(
        number=number,
        id=str(number),
        kind="promote",
        version=2,
        model="b" * 64,
        previous=1,
        judgement="c" * 64,
        rows=None,
        by="the gate",
        reason="so",
        at=day(at),
    )


def always(decision: DriftDecision) -> Callable[[Sequence[DriftEntry]], DriftDecision]:
    """Finds the same of a window whatever the ledger holds."""
    return lambda _entries: decision


@dataclass
class Story:
    """A ledger in memory, told as it happens under a governor."""

    policy: Governor
    entries: list[DriftEntry] = field(default_factory=list)

    def add(self, happening: Happening, at: float) -> None:
        number = len(self.entries) + 1
        self.entries.append(DriftEntry(number=number, id=str(number), at=day(at), happening=happening))

    def watch(
        self, at: float, verdict: DriftVerdict = "HARMFUL", *, window: str = "", version: int = 1, fresh: int = 100
    ) -> tuple[str, ...]:
        """Judges a window of that day; gives what stands against a retraining, nothing where it is permitted."""
        found = judged(window or f"day {at}", verdict, at=at, version=version, fresh=fresh)
        retrain, against = permits(self.policy, self.entries, found, day(at))
        self.add(Decided(decision=found.model_copy(update={"retrain": retrain})), at)
        return against

    def retrained(self, taken_up: float, ended: float | None = None, verdict: RetrainingVerdict = "REJECT") -> None:
        """The last decision to retrain is taken up and, given `ended`, comes to its end."""
        found = next(
            e.happening.decision
            for e in reversed(self.entries)
            if isinstance(e.happening, Decided) and e.happening.decision.retrain
        )
        names = {"window_digest": found.window_digest, "model_version": found.model_version}
        self.add(Announced(**names), taken_up)
        self.add(TakenUp(window=found.window, flow_run="run", **names), taken_up)
        if ended is not None:
            hours = (ended - taken_up) * 24
            self.add(Finished(flow_run="run", verdict=verdict, version=None, hours=hours, **names), ended)
