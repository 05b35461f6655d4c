"""How the command line shows a contract, what changed in one, and what a check of data found."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from data_contracts.artifacts import DataVerdict
from data_contracts.dataset import DatasetContract, Property
from data_contracts.difference import Difference
from flows.terminal import open_console

COLOURS = {"PASS": "green", "PASS_WITH_QUARANTINE": "yellow", "FAIL": "red"}
NAMES_SHOWN = 6


def show_contract(contract: DatasetContract) -> None:
    """Columns and rules of a contract."""
    title = f"{contract.name} {contract.version} ({contract.status}), {contract.digest[:12]}"
    table = _table(title, "column", "type", "rules")
    for column in contract.columns:
        table.add_row(escape(column.name), column.logical_type, escape("; ".join(rules_in_words(column))))
    console = open_console()
    console.print(table)
    if contract.freshness:
        column_name, age = contract.freshness
        console.print(f"freshness: {column_name} is at most {age} old", highlight=False, markup=False)
    console.print(f"quarantine: up to {contract.quarantine_budget:.1%} of a split's rows", highlight=False)


def rules_in_words(column: Property) -> list[str]:
    """What a contract says of one column, apart from its type."""
    limits, rules = column.logical_type_options, column.rules
    found: list[str] = [rules.role] if rules.role else []
    found += [name for name in ("required", "unique") if getattr(column, name)]
    found += [f"{name.replace('_', ' ')} {value:g}" for name, value in limits if isinstance(value, int | float)]
    found += [f"matches {limits.pattern}"] if limits.pattern else []
    for name, names in (("labels", rules.labels), ("kinds", rules.tag_kinds)):
        if names:
            more = ", ..." if len(names) > NAMES_SHOWN else ""
            found.append(f"{len(names)} {name}: {', '.join(names[:NAMES_SHOWN])}{more}")
    given = rules.model_dump(exclude={"role", "labels", "tag_kinds", "tag_scheme"}, exclude_defaults=True)
    found += [f"{name.replace('_', ' ')} {_said(value)}" for name, value in given.items()]
    return found + [rule.description or rule.expectation for rule in column.quality]


def show_differences(found: Sequence[Difference]) -> None:
    """Every change with those whom it breaks."""
    table = _table("", "where", "change", "breaks")
    for difference in found:
        breaks = " and ".join(difference.breaks) or "nobody"
        table.add_row(escape(difference.path), escape(difference.change), breaks)
    open_console().print(table)


def show_verdict(contract: DatasetContract, verdict: DataVerdict, reasons: Sequence[str]) -> None:
    """What a check of data ends with, and why."""
    console = open_console()
    console.print(
        f"\n{escape(contract.name)} {escape(contract.version)}: [bold {COLOURS[verdict]}]{verdict}[/]", highlight=False
    )
    for reason in reasons:
        console.print(f"  - {reason}", highlight=False, markup=False)


def show_rows(accepted: Mapping[str, int], quarantined: Mapping[str, int], findings: Sequence[str], more: int) -> None:
    """Rows by split, and the first findings; `more` were found than are shown."""
    console = open_console()
    table = _table("", "split", "accepted", "quarantined")
    for split in sorted({*accepted, *quarantined}):
        table.add_row(split, f"{accepted.get(split, 0):,}", f"{quarantined.get(split, 0):,}")
    console.print(table)
    for finding in findings:
        console.print(finding, highlight=False, markup=False)
    if more > 0:
        console.print(f"... and {more:,} more", highlight=False)


def _table(title: str, *headers: str) -> Table:
    table = Table(*headers, title=escape(title) or None, box=box.SIMPLE_HEAD, padding=0)
    for column in table.columns:
        column.overflow = "fold"
    return table


def _said(value: Any) -> str:
    return ", ".join(f"{name} {entry}" for name, entry in value.items()) if isinstance(value, dict) else str(value)
