"""What windows of production texts were found to be, and what was done about it: the entries of the drift ledger."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.artifacts import Digest, Handle, Predictions, Replaced, ValidatedSnapshot

DriftVerdict = Literal["QUIET", "BAD_DATA", "BENIGN", "HARMFUL", "UNKNOWN"]
RetrainingVerdict = Literal["PROMOTE", "HOLD", "REJECT", "INCONCLUSIVE", "FAILED"]


class Fact(BaseModel):
    """A frozen part of an entry."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Shift(Fact):
    """Whether a window's distribution is another than the reference's: one test over all views, and how large it is.

    p_value: (k + 1) / (B + 1) of B permutations, of all views jointly; `level` is what it is held against.
    effect: by how much more often than not a row of the window stands out from one of the reference, which does not
    grow with the rows: 0 is not at all, 1 always; with a 95% interval.
    tasks: p-value of each task's own views, adjusted for their number. views: each view's z-score.
    """

    p_value: float
    level: float
    effect: float
    effect_low: float
    effect_high: float
    tasks: dict[str, float] = {}
    views: dict[str, float] = {}

    @property
    def significant(self) -> bool:
        """Whether the test rejects at its level."""
        return self.p_value <= self.level


class Monitor(Fact):
    """One sequential test that the model became worse: rows of this window counted as bad, and the evidence so far.

    bad of `rows` rows count against the model, where `allowed` is the share that is tolerated. `log_e` is the natural
    logarithm of this window's e-value, `log_evidence` that of the evidence after it. `labelled` where people's labels
    say what is bad.
    """

    name: str = Field(description="accuracy/TASK, out_of_scope, or audit/TASK")
    labelled: bool = False
    rows: int
    bad: int
    allowed: float
    log_e: float
    bets: tuple[float, ...] = Field(description="log evidence of each size of harm that is bet on")
    log_evidence: float = Field(description="log of the mean of the bets")


class AccuracyEstimate(Fact):
    """Accuracy of a task on a window without labels, by two methods, and on the reference; `error` is how far such
    estimates were off on 95% of windows drawn from the reference."""

    reference: float
    by_threshold: float
    by_confidence: float
    error: float


class Duel(Fact):
    """Rows with labels of which only the champion (`won`) or only the version that it replaced (`lost`) is right."""

    task: str
    won: int
    lost: int
    promotion: int | None = Field(None, description="entry of the promotion ledger by which it was replaced")


class DriftReport(Handle):
    """One self-contained HTML page about a window, its pictures, and the rows most worth labelling."""

    kind: Literal["drift_report"] = "drift_report"


class DriftDecision(Fact):
    """What one window was found to be, as it stands in the ledger and travels in the event."""

    pipeline: str = Field(description="name of the pipeline, or the path of its YAML file")
    window: str
    window_digest: Digest
    audit_digest: Digest | None = Field(None, description="labelled rows that took part, if any")
    model_version: int
    verdict: DriftVerdict
    retrain: bool
    reasons: tuple[str, ...]
    shift: Shift | None = None
    monitors: tuple[Monitor, ...] = ()
    duels: tuple[Duel, ...] = Field((), description="the champion beside the one before it, on labelled rows")
    estimates: dict[str, AccuracyEstimate] = {}
    measures: dict[str, float] = Field({}, description="what else was measured, by name")
    fresh_rows: int = Field(0, description="rows of the window labelled since, that no training has seen")
    decided_at: datetime


class Decided(Fact):
    """A window was judged."""

    kind: Literal["decided"] = "decided"
    decision: DriftDecision


class SeenAgain(Fact):
    """A window held the rows of another, `same_as`, that was judged with that version: it was not judged once more."""

    kind: Literal["seen_again"] = "seen_again"
    window: str
    same_as: str
    window_digest: Digest
    model_version: int


class Announced(Fact):
    """The event of a decision was sent; whether it arrives is for `TakenUp` to say."""

    kind: Literal["announced"] = "announced"
    window_digest: Digest
    model_version: int


class TakenUp(Fact):
    """A flow run began the retraining that a decision asks for; there is one at most for each decision."""

    kind: Literal["taken_up"] = "taken_up"
    window: str
    window_digest: Digest
    model_version: int
    flow_run: str


class Finished(Fact):
    """A retraining ended. `hours` is its wall time from when it was taken up."""

    kind: Literal["finished"] = "finished"
    window_digest: Digest
    model_version: int
    flow_run: str
    verdict: RetrainingVerdict
    version: int | None = Field(None, description="the version that it registered")
    hours: float


class Rebaselined(Fact):
    """A person took a benign window for what is normal from now on: shift is measured against `reference`."""

    kind: Literal["rebaselined"] = "rebaselined"
    window: str
    window_digest: Digest
    model_version: int
    reference: Digest
    by: str
    reason: str


class RolledBack(Fact):
    """Labelled rows showed the champion to be worse than the one before it, which is in use again."""

    kind: Literal["rolled_back"] = "rolled_back"
    model_version: int
    to: int
    reason: str
    promotion: int | None = Field(None, description="entry of the promotion ledger that was undone")


Happening = Annotated[
    Decided | SeenAgain | Announced | TakenUp | Finished | Rebaselined | RolledBack, Field(discriminator="kind")
]


class DriftEntry(Fact):
    """One entry of a pipeline's drift ledger; entries are numbered from 1 without a gap and never change."""

    number: int = Field(ge=1)
    id: str = Field(description="tells apart two processes that write the same entry at once")
    at: datetime
    happening: Happening


class Audit(Fact):
    """Labelled rows of a window with the champion's answers and, while it may be rolled back, those of the version that
    it replaced."""

    source: Digest
    checked: ValidatedSnapshot
    answers: Predictions
    replaced: Replaced | None = None
    replaced_answers: Predictions | None = None


class WatchedWindow(Fact):
    """A window of production rows with the champion's answers.

    `drawn` are the rows that were answered, all of them or a sample; `broken` of `rows` + `broken` were against the
    contract. `fresh_rows` were labelled since. Where the champion has `learnt` from them, labels do not judge it.
    """

    name: str
    source: Digest
    drawn: ValidatedSnapshot
    answers: Predictions
    rows: int
    broken: int
    fresh_rows: int
    learnt: bool = False
    audit: Audit | None = None
