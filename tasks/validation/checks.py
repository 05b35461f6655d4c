"""Checks: what the gate found in a snapshot, rule by rule, as it lies beside the accepted rows."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.artifacts import DataVerdict
from data_contracts.dataset import DatasetContract

CHECKS, QUARANTINE, QUARANTINED = "checks.json", "quarantine.jsonl", "quarantined.jsonl"
EXAMPLES = 5
SHOWN = 8
# Which row a duplicate was found beside is another one for each finding.
OTHER_ROW = re.compile(r", row \d+$")
Finding = dict[str, Any]


class RuleResult(BaseModel):
    """How one rule fared on one split: values looked at, those that broke it, and a few of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: str
    column: str
    rule: str
    expectation: str = Field(description="the expectation in Great Expectations' terms, or graft's name of the rule")
    arguments: dict[str, Any] = {}
    checked: int
    broken: int
    examples: tuple[str, ...] = ()


class Checks(BaseModel):
    """The gate's findings; the verdict follows from them and the contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract: str = Field(description="digest of the contract's rules for rows")
    rows: dict[str, int] = Field(description="accepted rows of each split")
    quarantined: dict[str, int]
    failures: tuple[str, ...] = Field((), description="rules about the whole that are broken, in words")
    rules: tuple[RuleResult, ...] = ()
    labels: dict[str, dict[str, int]] = Field({}, description="label column: rows of training by label")
    newest: dict[str, datetime] = Field({}, description="timestamp column: its latest moment in training")
    languages: dict[str, dict[str, float]] = Field({}, description="split: share of its texts by language")
    masked: int = Field(0, description="rows whose personal data was masked")

    def verdict(self, contract: DatasetContract) -> DataVerdict:
        """FAIL for a broken rule about the whole or a split that lost more than the budget."""
        if self.failures or self.over_budget(contract):
            return "FAIL"
        return "PASS_WITH_QUARANTINE" if any(self.quarantined.values()) else "PASS"

    def over_budget(self, contract: DatasetContract) -> list[str]:
        """Splits that lost more rows than the contract's budget, or all that they had."""
        found = []
        for split, lost in self.quarantined.items():
            kept = self.rows.get(split, 0)
            if lost and (lost > contract.quarantine_budget * (lost + kept) or not kept):
                found.append(f"{split}: {lost} of {lost + kept} rows ({lost / (lost + kept):.1%})")
        return found

    def reasons(self, contract: DatasetContract) -> list[str]:
        """What the verdict rests on, a line each."""
        over = self.over_budget(contract)
        headline = f"it lets {100 * contract.quarantine_budget:g}% of a split's rows be quarantined"
        lost = {split: count for split, count in self.quarantined.items() if count}
        within = [f"{count} of {count + self.rows.get(split, 0)} rows of {split}" for split, count in lost.items()]
        found = [*self.failures, *([f"{headline}: {', '.join(over)}"] if over else [])]
        found += [f"quarantined: {', '.join(within)}"] if within and not over else []
        found += [f"masked: personal data in {self.masked} rows"] if self.masked else []
        total = sum(self.rows.values())
        # Of rows that people are to label, those without a label are no rows; any other file without rows is an error.
        return found or [f"all {total} rows satisfy it" if total else "no row has a label yet"]


def write_checks(folder: Path, checks: Checks) -> None:
    """Writes `checks.json`, the same bytes for the same findings."""
    (folder / CHECKS).write_text(
        json.dumps(checks.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False), encoding="utf-8"
    )


def read_checks(folder: Path) -> Checks:
    """What `write_checks` wrote."""
    return Checks.model_validate_json((folder / CHECKS).read_bytes())


def complaint(contract: DatasetContract, checks: Checks, folder: Path, advice: str) -> str:
    """The message of a FAIL: the reasons, the first rows that broke a rule, and what to do."""
    splits = {line.split(":")[0] for line in checks.over_budget(contract)}
    findings = list(itertools.islice(read_findings(folder, splits), SHOWN))
    lines = [f"contract {contract.name} {contract.version} is broken:"]
    lines += [f"  - {reason}" for reason in checks.reasons(contract)]
    lines += ["for example"] if findings else []
    lines += [f"  {one_line(finding)}" for finding in findings]
    lines += [f"All of them are in {folder / QUARANTINE}."] if findings else []
    return "\n".join([*lines, advice])


def read_findings(folder: Path, splits: Iterable[str] | None = None) -> Iterator[Finding]:
    """The lines of the quarantine, of some splits where they are given."""
    wanted = None if splits is None else set(splits)
    with (folder / QUARANTINE).open(encoding="utf-8") as lines:
        yield from (found for found in map(json.loads, lines) if wanted is None or found["split"] in wanted)


def count_by_rule(findings: Iterable[Finding]) -> list[tuple[str, str, str, int]]:
    """(split, column, rule, findings), the most frequent first. A rule is named without what was found, and where."""
    rules = ((found, OTHER_ROW.sub("", found["rule"].partition(":")[0])) for found in findings)
    counts = Counter((found["split"], found["column"], rule) for found, rule in rules)
    return [(*key, count) for key, count in counts.most_common()]


def one_line(finding: Mapping[str, Any]) -> str:
    """A finding as people read it."""
    where = f"{finding['address']}, row {finding['row']}"
    column = f", {finding['column']}" if finding["column"] else ""
    return f"{where}{column}: {finding['rule']}, found {finding['value']}"
