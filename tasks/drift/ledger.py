"""The drift ledger: numbered notes that never change, each created by exactly one process.

Whoever wants to write says so as a function of what is there already. Where another process takes the next number
first, the function is asked again with that entry among the others, so looking and writing are one step.
"""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Protocol

from data_contracts.drift import DriftEntry, Happening
from data_contracts.errors import InputError

FOLDER = "drift"
# Reading a note of an object store is waiting for an answer, so several are asked for at once.
READ_AT_ONCE = 16


class Notes(Protocol):
    """The part of a store that the ledger needs."""

    def read_note(self, name: str) -> Any | None: ...
    def create_note(self, name: str, content: Any) -> bool: ...
    def note_names(self, prefix: str) -> list[str]: ...


class DriftLedger:
    """What happened to the windows of one pipeline, oldest first."""

    def __init__(self, notes: Notes, pipeline: str) -> None:
        self._notes = notes
        self._prefix = f"{FOLDER}/{pipeline}"
        self._known: list[DriftEntry] = []

    def entries(self) -> list[DriftEntry]:
        """All entries. Raises InputError where one was deleted."""
        names = self._notes.note_names(self._prefix)
        wanted = [self._name(number) for number in range(1, len(names) + 1)]
        if names != wanted:
            lost = next(name for name in wanted if name not in names)
            raise InputError(
                f"note {lost} of the drift ledger was deleted: {names[-1]} and others came after it. What was decided "
                f"cannot be told without it. Bring the note back, or delete all of notes/{self._prefix} to start anew."
            )
        # Entries never change, so each is read once.
        with ThreadPoolExecutor(READ_AT_ONCE) as pool:
            self._known += pool.map(self._read, wanted[len(self._known) :])
        return list(self._known)

    def append(self, make: Callable[[Sequence[DriftEntry]], Happening | None], at: datetime) -> DriftEntry | None:
        """Writes what `make` says of all entries so far; None where it says that there is nothing to write."""
        while True:
            before = self.entries()
            happening = make(before)
            if happening is None:
                return None
            entry = DriftEntry(number=len(before) + 1, id=uuid.uuid4().hex, at=at, happening=happening)
            if self._notes.create_note(self._name(entry.number), entry.model_dump(mode="json")):
                return entry

    def _name(self, number: int) -> str:
        return f"{self._prefix}/{number:06}"

    def _read(self, name: str) -> DriftEntry:
        content = self._notes.read_note(name)
        if content is None:
            raise InputError(f"note {name} of the drift ledger was deleted while it was read. Run the command again.")
        return DriftEntry.model_validate(content)


def pipelines_with_a_ledger(notes: Notes) -> tuple[str, ...]:
    """Names of the pipelines of which at least one window was judged."""
    return tuple(sorted({name.split("/")[-2] for name in notes.note_names(f"{FOLDER}/*")}))
