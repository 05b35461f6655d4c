"""What a run shows of the gate: the verdict and its reasons, what was lost where, and how to go on."""

from collections import Counter
from pathlib import Path

from data_contracts.artifacts import DataVerdict
from tasks.validation.checks import SHOWN, Checks, Finding

CELL = 120


def data_page(
    pipeline: str, verdict: DataVerdict, reasons: list[str], checks: Checks, findings: list[Finding], documents: Path
) -> str:
    """Markdown of the run's artifact."""
    lines = [f"# Data of {pipeline}: {verdict}", "", *(f"- {_plain(reason)}" for reason in reasons), ""]
    lines += ["| split | accepted | quarantined |", "| --- | ---: | ---: |"]
    for split in sorted({*checks.rows, *checks.quarantined}):
        lines.append(f"| {split} | {checks.rows.get(split, 0)} | {checks.quarantined.get(split, 0)} |")
    if findings:
        lines += ["", f"First of {len(findings)} findings; `graft quarantine show {pipeline}` shows all:", ""]
        lines += ["| file | row | column | rule | found |", "| --- | ---: | --- | --- | --- |"]
        for found in findings[:SHOWN]:
            cells = (found["address"], found["row"], found["column"], found["rule"], found["value"])
            lines.append("| " + " | ".join(_plain(str(cell)) for cell in cells) + " |")
        rules = Counter(found["rule"].partition(":")[0] for found in findings)
        lines += ["", "By rule: " + ", ".join(f"{_plain(rule)} {count}" for rule, count in rules.most_common())]
    return "\n".join([*lines, "", f"Data docs: `{documents}`", ""])


def _plain(text: str) -> str:
    """Text of a row as text: nothing in it is markup of the page, and no bar divides a cell."""
    shown = text if len(text) <= CELL else f"{text[:CELL]}..."
    for character in "\\`*_{}[]<>#|":
        shown = shown.replace(
            character, f"\\{character}" if character not in "<>" else {"<": "&lt;", ">": "&gt;"}[character]
        )
    return " ".join(shown.split())
