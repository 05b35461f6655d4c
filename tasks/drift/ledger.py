"""The ledger of drift decisions: one note a decision, written before anything is done about it."""

from typing import Any, Protocol

from data_contracts.drift import DriftDecision


class Notes(Protocol):
    """The part of a store that the ledger needs."""

    def read_note(self, name: str) -> Any | None: ...
    def write_note(self, name: str, content: Any) -> None: ...
    def note_names(self, prefix: str) -> list[str]: ...


class Ledger:
    """Decisions of one pipeline, by window digest and model version: a window delivered twice is decided once."""

    def __init__(self, notes: Notes, pipeline: str) -> None:
        self._notes = notes
        self._prefix = f"ledger/{pipeline}"

    def record(self, decision: DriftDecision) -> None:
        """Writes the decision, as not yet acted on; one that is there already stays as it is."""
        if self.decision(decision.window_digest, decision.model_version) is None:
            self._write(decision, started_by=None)

    def decision(self, window_digest: str, model_version: int) -> DriftDecision | None:
        """The decision on that window with that model, if it was taken."""
        note = self._notes.read_note(self._name(window_digest, model_version))
        return DriftDecision.model_validate(note["decision"]) if note else None

    def started_by(self, decision: DriftDecision) -> str | None:
        """The flow run that took up the retraining, or None while nobody has."""
        note = self._notes.read_note(self._name(decision.window_digest, decision.model_version))
        return note["started_by"] if note else None

    def start(self, decision: DriftDecision, flow_run: str) -> None:
        """Notes that a flow run took up the retraining."""
        self._write(decision, started_by=flow_run)

    def learned_windows(self) -> tuple[str, ...]:
        """Windows whose fresh rows belong to training since a retraining was started for them, oldest first."""
        notes = [self._notes.read_note(name) for name in self._notes.note_names(self._prefix)]
        started = [DriftDecision.model_validate(note["decision"]) for note in notes if note and note["started_by"]]
        return tuple(dict.fromkeys(d.window for d in sorted(started, key=lambda d: d.decided_at)))

    def _name(self, window_digest: str, model_version: int) -> str:
        return f"{self._prefix}/{window_digest[:16]}-v{model_version}"

    def _write(self, decision: DriftDecision, started_by: str | None) -> None:
        note = {"decision": decision.model_dump(mode="json"), "started_by": started_by}
        self._notes.write_note(self._name(decision.window_digest, decision.model_version), note)
