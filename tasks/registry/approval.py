"""Approval by a person: whether a pipeline wants it, and the answers that were given."""

from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.artifacts import Approval, ModelVersion, Opponent


class ReleasePolicy(BaseModel):
    """Whether a version that won its judgement becomes champion at once or when a person says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    approval: Literal["none", "person"] = Field("none", description="person: a form asks, the champion stays meanwhile")
    timeout_hours: float = Field(
        24, gt=0, le=24 * 30, description="how long the question stands; then it is asked anew"
    )


class Notes(Protocol):
    """The part of a store that the answers need."""

    def read_note(self, name: str) -> Any | None: ...
    def create_note(self, name: str, content: Any) -> bool: ...


def question(version: ModelVersion, opponent: Opponent) -> str:
    """Name of the note that keeps what is answered about this judgement of the version while that opponent is champion.

    So the same question is not asked again the next night, and an answer does not outlast the champion it was about.
    """
    return f"approvals/{version.pipeline}/{opponent.entry:06}-{version.judgement.digest}"


def answer_to(notes: Notes, version: ModelVersion, opponent: Opponent) -> Approval | None:
    """What a person answered to that question."""
    note = notes.read_note(question(version, opponent))
    return Approval.model_validate(note) if note else None


def keep_answer(notes: Notes, version: ModelVersion, opponent: Opponent, approval: Approval) -> Approval:
    """Keeps the answer; gives the first, where two were given."""
    notes.create_note(question(version, opponent), approval.model_dump(mode="json"))
    return answer_to(notes, version, opponent) or approval
