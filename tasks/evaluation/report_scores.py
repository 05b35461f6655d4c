"""Sections of the report about scores: what changed, what the gate looked at, every task on every split."""

from collections.abc import Mapping, Sequence
from typing import Any

from data_contracts.artifacts import Judgement
from tasks.evaluation import pictures
from tasks.evaluation.checks import Check, ranked, what_helps
from tasks.evaluation.differences import Difference
from tasks.evaluation.naming import by_task, opponent, place
from tasks.evaluation.policy import SKILL, GatePolicy
from tasks.evaluation.scoring import IN_DOMAIN, Score
from tasks.reporting.sections import Cell, Column, Picture, Section, Table, Tone, interval

SIGNED = Column("difference", "number", signed=True)


def changes(judgement: Judgement, differences: Sequence[Difference], policy: GatePolicy) -> Section:
    """What is better and worse than the champion, or than the baselines where there was none."""
    since = "Change since the champion" if judgement.champion else "Beside the baselines"
    found = [d for d in differences if (d.opponent == "champion") == (judgement.champion is not None)]
    # The mean over one task is that task.
    several = len({d.task for d in found} - {SKILL}) > 1
    shown = sorted((d for d in found if several or d.task != SKILL), key=lambda d: (d.split != IN_DOMAIN, d.split))
    columns = (
        Column("task"),
        Column("split"),
        Column("against"),
        SIGNED,
        Column("interval", "number"),
        Column("rows", "number"),
    )
    margins = [policy.margin_of(d.task) for d in shown]
    rows = [
        (
            d.task,
            place(d.split),
            opponent(d.opponent),
            Cell(d.value, tone_of(d, margin)),
            f"{d.low:+.3f} – {d.high:+.3f}",
            d.rows,
        )
        for d, margin in zip(shown, margins, strict=True)
    ]
    drawn = [Picture("changes", since, pictures.changes(shown, margins))] if shown else []
    own = {d.task: policy.margins[d.task] for d in shown if d.task in policy.margins}
    told = f"-{policy.margin:g}" + "".join(f", of {task} -{margin:g}" for task, margin in own.items())
    note = (
        "Candidate less opponent, on the same rows; the intervals are those of the paired bootstrap that the gate goes "
        f"by. The dashed line is the margin, {told}: what lies wholly beyond it is clearly worse."
    )
    return Section("changes", since, note, pictures=drawn, tables=[Table(columns, rows, "The numbers", folded=True)])


def checks(found: Sequence[Check]) -> Section:
    """What the gate looked at, what decided first."""
    marks: dict[bool | None, tuple[str, Tone]] = {
        True: ("passed", "good"),
        False: ("not passed", "bad"),
        None: ("not judged", ""),
    }
    rows = []
    for check in ranked(found):
        word, tone = marks[check.passed]
        if check.passed is False:
            word = f"{word}: {check.otherwise}"
        rows.append((check.name, check.found, check.limit, Cell(word, tone)))
    failed = [check.in_words for check in ranked(found) if check.passed is False]
    count = sum(check.passed is True for check in found)
    sentences = [*failed, *what_helps(found)] or [f"All {count} checks passed."]
    columns = (Column("check", "text"), Column("found"), Column("asked"), Column(""))
    title = f"All {len(found)} checks"
    return Section("gate", "The gate", "", sentences, [Table(columns, rows, title, folded=True)])


def results(table: Sequence[Mapping[str, Any]], scores: Mapping[str, Sequence[Score]]) -> Section:
    """Every task on every split beside the baselines."""
    others = [name for name in scores if name != "graft"]
    columns = (
        *(Column("task"), Column("split"), Column("metric"), Column("graft", "number"), Column("95%", "number")),
        *(Column(opponent(name), "number") for name in others),
        Column("rows", "number"),
    )
    rows = [
        (
            *(Cell(row[key], "strong" if row["split"] == "in domain" else "") for key in ("task", "split", "metric")),
            Cell(row["graft"], "doubt" if any(_beats(row[name], row["graft"]) for name in others) else "strong"),
            interval(row["low"], row["high"]),
            *(row[name] for name in others),
            row["rows"],
        )
        for row in table
    ]
    note = (
        "First metric of each task with its 95% bootstrap interval. On rows out of scope: area under the ROC curve of "
        "the confidence, between labelled in-domain rows and these. Where a baseline is ahead, the number is marked."
    )
    gap = Picture("gap", "First metric of every task on every split, beside the baselines", pictures.domain_gap(scores))
    return Section("results", "Every task, in and out of domain", note, tables=[Table(columns, rows)], pictures=[gap])


def all_metrics(scores: Sequence[Score]) -> Section:
    """All metrics, folded."""
    columns = (Column("task"), Column("split"), Column("metric"), Column("value", "number"), Column("rows", "number"))
    rows = [(s.task, place(s.split), s.metric, s.value, s.rows) for s in by_task(scores)]
    return Section("metrics", "All metrics", tables=[Table(columns, rows, f"{len(rows)} numbers", folded=True)])


def rows_of(counts: Mapping[str, int], quarantined: Mapping[str, int]) -> Section:
    """Rows of each split."""
    columns = (Column("split"), Column("accepted", "number"), Column("quarantined", "number"))
    return Section("rows", "Rows", tables=[Table(columns, [(s, n, quarantined.get(s, 0)) for s, n in counts.items()])])


def tone_of(difference: Difference, margin: float) -> Tone:
    """Better beyond chance, worse by its margin beyond chance, or neither."""
    if difference.low > 0:
        return "good"
    if difference.high < -margin:
        return "bad"
    return "strong" if difference.task == SKILL else ""


def _beats(other: float | None, own: float | None) -> bool:
    return other is not None and own is not None and other > own


def origin(facts: Mapping[str, str]) -> Section | None:
    """What the model was made from."""
    if not facts:
        return None
    return Section(
        "origin", "Where it comes from", tables=[Table((Column("what"), Column("which", "text")), list(facts.items()))]
    )
