"""Checks: what the gate looked at, what it found, what was asked, and what follows where that is not so."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from data_contracts.artifacts import Verdict

WHAT_HELPS = (
    "there are too few rows to tell; more labelled rows to judge on help (a larger share for `test` in `data.splits`, "
    "or more data), `graft cross-validate PIPELINE` judges every row in domain once, to look at, and `graft promote "
    "PIPELINE N --reason TEXT` is a person's word over the gate's"
)
STRICTEST_FIRST: tuple[Verdict, ...] = ("REJECT", "INCONCLUSIVE", "HOLD", "PROMOTE")


@dataclass(frozen=True)
class Check:
    """One line of the gate's table; `passed` is None for what is said and not judged.

    `otherwise` is the verdict that a check asks for where it did not pass.
    """

    name: str
    found: str
    limit: str
    passed: bool | None
    otherwise: Verdict = "REJECT"

    @property
    def in_words(self) -> str:
        """One sentence for people."""
        verb = {True: "passed", False: f"not passed ({self.otherwise})", None: "not judged"}[self.passed]
        return f"{self.name}: {self.found}; asked: {self.limit}; {verb}"


def verdict_of(checks: Iterable[Check]) -> Verdict:
    """The strictest verdict that a check which did not pass asks for; PROMOTE where all passed."""
    asked: list[Verdict] = [check.otherwise for check in checks if check.passed is False]
    return min(asked, key=STRICTEST_FIRST.index, default="PROMOTE")


def ranked(checks: Iterable[Check]) -> list[Check]:
    """Those that decided first, then what speaks most for the model, and those that were not judged last."""

    def place(check: Check) -> tuple[int, int]:
        strictness = STRICTEST_FIRST.index(check.otherwise)
        # Of what passed, being better is more than not being beyond a limit.
        return (0, strictness) if check.passed is False else (2, 0) if check.passed is None else (1, -strictness)

    return sorted(checks, key=place)


def reasons_of(checks: Sequence[Check]) -> list[str]:
    """A sentence for every check, in that order, and what helps where too few rows leave the verdict open."""
    return [*(check.in_words for check in ranked(checks)), *what_helps(checks)]


def what_helps(checks: Iterable[Check]) -> list[str]:
    """One sentence where the verdict is INCONCLUSIVE, none elsewhere."""
    return [WHAT_HELPS] if verdict_of(checks) == "INCONCLUSIVE" else []


def write_checks(path: Path, checks: list[Check]) -> None:
    """Writes the checks as JSON."""
    path.write_text(json.dumps([asdict(check) for check in checks], indent=1), encoding="utf-8")


def read_checks(path: Path) -> list[Check]:
    """What `write_checks` wrote."""
    return [Check(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
