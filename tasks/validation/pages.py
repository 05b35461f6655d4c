"""What a run shows of the gate: the verdict and its reasons, what was lost where, and how to go on."""

import itertools
from pathlib import Path

from data_contracts.artifacts import DataVerdict
from tasks.reporting.markdown import plain
from tasks.validation.checks import SHOWN, Checks, count_by_rule, read_findings

CELL = 120


def data_page(
    pipeline: str, verdict: DataVerdict, reasons: list[str], checks: Checks, folder: Path, documents: Path
) -> str:
    """Markdown of the run's artifact; `folder` holds the findings, `documents` is the first of the data docs."""
    lines = [f"# Data of {pipeline}: {verdict}", "", *(f"- {_cell(reason)}" for reason in reasons), ""]
    lines += ["| split | accepted | quarantined |", "| --- | ---: | ---: |"]
    for split in sorted({*checks.rows, *checks.quarantined}):
        lines.append(f"| {split} | {checks.rows.get(split, 0)} | {checks.quarantined.get(split, 0)} |")
    rules = count_by_rule(read_findings(folder))
    if rules:
        total = sum(count for *_, count in rules)
        lines += ["", f"First of {total} findings; `graft quarantine show {pipeline}` shows all:", ""]
        lines += ["| file | row | column | rule | found |", "| --- | ---: | --- | --- | --- |"]
        for found in itertools.islice(read_findings(folder), SHOWN):
            cells = (found["address"], found["row"], found["column"], found["rule"], found["value"])
            lines.append("| " + " | ".join(_cell(str(cell)) for cell in cells) + " |")
        lines += ["", "| split | column | rule | findings |", "| --- | --- | --- | ---: |"]
        lines += [f"| {split} | {_cell(column)} | {_cell(rule)} | {count} |" for split, column, rule, count in rules]
    # A page from a server may not lead to a file, and the server's own leaves such a link without its address.
    return "\n".join([*lines, "", f"Data docs, every rule and how each split fared: `{documents}`", ""])


def _cell(text: str) -> str:
    return plain(text if len(text) <= CELL else f"{text[:CELL]}...")
