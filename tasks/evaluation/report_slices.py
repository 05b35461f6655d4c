"""Section of the report about slices: where a task fares worst."""

from collections.abc import Sequence

from tasks.evaluation.naming import place
from tasks.evaluation.slices import GroupScore, worst_groups
from tasks.reporting.sections import Cell, Column, Section, Table, Tone, interval

COLUMNS = (
    *(Column("task"), Column("split"), Column("slice"), Column("group"), Column("value", "number")),
    *(Column("gap", "number", signed=True), Column("95%", "number"), Column("rows", "number"), Column("")),
)
WORST_SHOWN = 15


def slices(found: Sequence[GroupScore]) -> Section | None:
    """The worst group of every slice, by its gap; all groups below, those of too few rows marked."""
    if not found:
        return None
    # Where the other groups of a slice are too small to judge, the one that is left may be better than the whole.
    worst = sorted((of for of in worst_groups(found) if of.gap < 0), key=lambda score: score.gap)[:WORST_SHOWN]
    note = (
        "First metric in groups of rows, and how far each is from that of all rows of the split, with a 95% interval. "
        "A group of few rows is shown and not judged: its number may be chance."
    )
    tables = [
        Table(COLUMNS, [_row(score) for score in worst], "Worst groups"),
        Table(COLUMNS, [_row(score) for score in found], f"All {len(found)} groups", folded=True),
    ]
    return Section("slices", "Worst slices", note, tables=tables)


def _row(score: GroupScore) -> tuple[Cell | str | float | int, ...]:
    tone: Tone = "bad" if score.judged and score.high < 0 else ""
    return (
        *(score.task, place(score.split), score.slice.replace("_", " "), score.group, score.value),
        *(Cell(score.gap, tone), interval(score.low, score.high), score.rows),
        "" if score.judged else "too few to say",
    )
