"""What came of the cases that a model was asked about: how many, how many failed, and some to read."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tasks.evaluation.group_gaps import GroupGap
from tasks.evaluation.intervals import wilson_interval

EXAMPLES = 10
SHOWN, AHEAD = 400, 150
Said = str | float | list[str]


@dataclass(frozen=True)
class Example:
    """A text that failed; what was said of it, and of what became of it; long texts are cut around the difference."""

    before: str
    answer_before: Said
    after: str | None = None
    answer_after: Said | None = None
    wanted: str | None = None


@dataclass(frozen=True)
class CaseResult:
    """One case and task: `low` and `high` bound the 95% interval of the failure rate.

    `passed` is None where the case has no limit, and where nothing was there to ask.
    """

    case: str
    kind: str
    task: str
    asked: int
    failures: int
    failure_rate: float | None
    low: float
    high: float
    max_failure_rate: float | None
    passed: bool | None
    examples: list[Example]


@dataclass(frozen=True)
class TermShift:
    """By how much a term moves a number, or the probability of a label, against the terms that it is exchanged with."""

    group: str
    term: str
    texts: int
    mean_shift: float


@dataclass(frozen=True)
class PairShift:
    """Two groups whose terms were exchanged: the share of answers that changed, and second less first."""

    first: str
    second: str
    texts: int
    changed: int
    changed_share: float
    low: float
    high: float
    mean_shift: float | None


@dataclass(frozen=True)
class Bias:
    """What exchanging the terms of groups did to the answers of one task, and how the groups' own rows fare.

    `worst` is the pair of groups with most changes among those of enough texts.
    """

    case: str
    task: str
    label: str | None
    terms: list[TermShift] = field(default_factory=list)
    pairs: list[PairShift] = field(default_factory=list)
    worst: PairShift | None = None
    gaps: list[GroupGap] = field(default_factory=list)


@dataclass(frozen=True)
class Findings:
    """Results of some cases."""

    results: list[CaseResult] = field(default_factory=list)
    biases: list[Bias] = field(default_factory=list)

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the cases that fail more often than they may."""
        return tuple(dict.fromkeys(result.case for result in self.results if result.passed is False))


def case_result(
    case: str,
    kind: str,
    task: str,
    asked: int,
    failed: Sequence[Example],
    limit: float | None,
    worth: float | None = None,
) -> CaseResult:
    """The result of a case by its failures, those first that tell most; see `wilson_interval` for `worth`."""
    rate = len(failed) / asked if asked else None
    passed = None if limit is None or rate is None else rate <= limit
    low, high = wilson_interval(len(failed), asked, worth)
    return CaseResult(case, kind, task, asked, len(failed), rate, low, high, limit, passed, list(failed[:EXAMPLES]))


def excerpts(before: str, after: str | None = None) -> tuple[str, str | None]:
    """Both texts, cut to what is around their first difference where they are long."""
    if after is None:
        return _cut(before, 0), None
    pairs = zip(before, after, strict=False)
    differs = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after)))
    start = max(0, differs - AHEAD)
    return _cut(before, start), _cut(after, start)


def write_findings(path: Path, findings: Findings) -> None:
    """Writes the findings as JSON."""
    path.write_text(json.dumps(asdict(findings), indent=1, ensure_ascii=False), encoding="utf-8")


def read_findings(path: Path) -> Findings:
    """What `write_findings` wrote."""
    content: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    return Findings(
        [CaseResult(**{**of, "examples": [Example(**e) for e in of["examples"]]}) for of in content["results"]],
        [_bias(of) for of in content["biases"]],
    )


def _bias(content: dict[str, Any]) -> Bias:
    parts = {
        "terms": [TermShift(**of) for of in content["terms"]],
        "pairs": [PairShift(**of) for of in content["pairs"]],
        "worst": PairShift(**content["worst"]) if content["worst"] else None,
        "gaps": [GroupGap(**of) for of in content["gaps"]],
    }
    return Bias(**{**content, **parts})


def _cut(text: str, start: int) -> str:
    if len(text) <= SHOWN:
        return text
    start = min(start, len(text) - SHOWN) if start else 0
    return "…" * (start > 0) + text[start : start + SHOWN] + "…" * (start + SHOWN < len(text))
