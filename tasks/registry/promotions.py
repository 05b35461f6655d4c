"""The ledger of promotions: one note an entry, numbered, each created by exactly one process.

The champion is the version of the last entry. Creating entry N+1 is the one step of a promotion: before it the old
champion stands, after it the new one, whatever is killed when. MLflow's aliases follow from the ledger.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from data_contracts.artifacts import ModelVersion, Promotion, PromotionKind
from data_contracts.errors import InputError

GATE = "the gate"
MONITORING = "the monitoring"


class Notes(Protocol):
    """The part of a store that the ledger needs."""

    def read_note(self, name: str) -> Any | None: ...
    def create_note(self, name: str, content: Any) -> bool: ...
    def note_names(self, prefix: str) -> list[str]: ...


class PromotionLedger:
    """The promotions of one pipeline, oldest first."""

    def __init__(self, notes: Notes, pipeline: str) -> None:
        self._notes = notes
        self._prefix = f"promotions/{pipeline}"

    def last(self) -> Promotion | None:
        """The entry that says who is champion, or None before the first."""
        names = self._notes.note_names(self._prefix)
        return self._read(names[-1]) if names else None

    def entries(self) -> list[Promotion]:
        """All entries, oldest first."""
        return [self._read(name) for name in self._notes.note_names(self._prefix)]

    def add(self, entry: Promotion) -> bool:
        """Writes the entry under its number; False where another process has written that number."""
        return self._notes.create_note(f"{self._prefix}/{entry.number:06}", entry.model_dump(mode="json"))

    def _read(self, name: str) -> Promotion:
        content = self._notes.read_note(name)
        if content is None:
            raise InputError(
                f"note {name} of the promotion ledger was deleted while it was read. Run the command again."
            )
        return Promotion.model_validate(content)


def next_entry(
    last: Promotion | None,
    version: ModelVersion,
    kind: PromotionKind,
    by: str,
    reason: str,
    at: datetime,
) -> Promotion:
    """The entry that makes the version champion after `last`."""
    return Promotion(
        number=last.number + 1 if last else 1,
        id=uuid.uuid4().hex,
        kind=kind,
        version=version.version,
        model=version.model.digest,
        previous=last.version if last else None,
        judgement=version.judgement.digest,
        rows=version.rows,
        by=by,
        reason=reason,
        at=at,
    )


def why_not_again(entries: Sequence[Promotion], version: ModelVersion) -> str | None:
    """Why a judgement that says PROMOTE makes this version no champion, or None where nothing is in the way.

    A version that lost its place comes back by another judgement than those that promoted it. One that a person rolled
    back needs other rows, or another opponent than the champion that the person chose instead.
    """
    earlier = [entry for entry in entries if entry.version == version.version]
    known = next((entry for entry in earlier if entry.judgement == version.judgement.digest), None)
    if known is not None:
        return f"the same judgement made it champion before (entry {known.number}), and it was replaced since"
    rolled_back = next((e for e in reversed(entries) if e.kind == "rollback" and e.previous == version.version), None)
    if rolled_back is None or version.judgement.champion != rolled_back.model:
        return None
    if version.rows not in {entry.rows for entry in earlier}:
        return None
    return f"{rolled_back.by} rolled it back (entry {rolled_back.number}), and it was judged on the same rows as then"


def last_of(entries: Sequence[Promotion], version: int) -> Promotion | None:
    """The entry that made the version champion last, or None where it never was."""
    return next((entry for entry in reversed(entries) if entry.version == version), None)


def became_of(entries: Sequence[Promotion], version: int) -> list[str]:
    """What happened to a version, oldest first: `champion, 2026-11-24 override by ann: ...`, or who took its place."""
    told = []
    for entry in entries:
        if entry.version == version:
            told.append(f"champion, {in_words(entry)}")
        elif entry.previous == version:
            told.append(f"replaced by version {entry.version}, {in_words(entry)}")
    return told


def no_champion(pipeline: str, newest: ModelVersion | None) -> InputError:
    """The error of a pipeline that nothing was promoted in yet, and whose newest version is this one."""
    if newest is None:
        remedy = f"`graft run {pipeline}` trains and judges a first model."
    else:
        number, verdict = newest.version, newest.judgement.verdict
        remedy = (
            f"Of version {number}, the newest, the gate says {verdict}: `graft models {pipeline}` says why, and `graft "
            f"promote {pipeline} {number} --reason TEXT` makes it champion all the same."
        )
    return InputError(f"pipeline {pipeline} has no champion yet. {remedy}")


def in_words(entry: Promotion) -> str:
    """How a version came to be champion, in one line: `2026-11-24 override by ann: the gate's rows are stale`."""
    reason = f": {entry.reason}" if entry.reason else ""
    return f"{entry.at:%Y-%m-%d} {entry.kind} by {entry.by}{reason}"
