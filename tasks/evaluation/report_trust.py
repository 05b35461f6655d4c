"""Sections of the report about how far answers can be trusted: calibration, scope, slices, labels, mistakes."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.evaluation import pictures
from tasks.evaluation.calibration import Calibration
from tasks.evaluation.label_errors import Suspect
from tasks.evaluation.naming import by_task, place
from tasks.evaluation.out_of_scope import Detection
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.evaluation.transfer import Transfer, transfer_in_words
from tasks.reporting.sections import Cell, Column, Picture, Section, Table

SUSPECTS_SHOWN = 20


def calibration(found: Sequence[Calibration]) -> Section | None:
    """Whether confidences are shares of right answers."""
    if not found:
        return None
    columns = (
        *(Column("task"), Column("split"), Column("temperature", "number", 2)),
        *(
            Column(name, "number")
            for name in ("accuracy", "mean confidence", "ECE", "ECE, equal mass", "Brier", "log loss")
        ),
        Column("rows", "number"),
    )
    rows = [
        (
            *(
                c.task,
                place(c.split),
                Cell(c.temperature, "" if c.calibrated else "doubt") if c.temperature != 1 else None,
            ),
            *(c.accuracy, c.confidence, c.ece, c.ece_equal_mass, c.brier, c.log_loss, c.rows),
        )
        for c in _final(found)
    ]
    drawn = [
        Picture(
            f"reliability_{c.task}",
            f"{c.task}: accuracy by confidence",
            pictures.reliability(_before(c, found), c.bins),
        )
        for c in _final(found)
        if c.split == IN_DOMAIN
    ]
    note = (
        "Expected calibration error (ECE): how far confidences are from shares of right answers, over 15 bins. The "
        "temperature was fitted on validation alone. Crosses: before it. Bars: 95% intervals of the share."
    )
    return Section("calibration", "Calibration", note, pictures=drawn, tables=[Table(columns, rows)])


def out_of_scope(found: Sequence[Detection]) -> Section | None:
    """How well texts that no label fits are told from the others."""
    if not found:
        return None
    columns = (
        *(Column("task"), Column("split"), Column("detector")),
        *(Column(name, "number") for name in ("AUROC", "AUPR", "FPR at 95%", "found", "kept in scope")),
        Column("rows", "number"),
    )
    rows = [
        (
            *(d.task, d.split, Cell(d.detector.replace("_", " "), "strong" if d.chosen else "")),
            *(d.auroc, d.aupr, d.fpr_at_95_tpr, d.recall, d.kept, d.outside),
        )
        for d in found
    ]
    chosen = [row for row, d in zip(rows, found, strict=True) if d.chosen]
    note = (
        "Found: out-of-scope rows below the threshold that validation chose; kept: in-domain rows above it. AUPR "
        "counts out of scope as positive. FPR at 95%: rows out of scope that pass where 95% of those in scope do."
    )
    tables = [Table(columns, chosen), Table(columns, rows, "All detectors", folded=True)]
    return Section("scope", "Out of scope", note, tables=tables)


def label_errors(found: Mapping[str, Mapping[str, Sequence[Suspect]]]) -> Section | None:
    """Labels that are likely wrong, by split and task."""
    columns = (
        *(Column("text", "text"), Column("label"), Column("suggested")),
        *(Column("of the label", "number", 2), Column("of the suggested", "number", 2), Column("row")),
    )
    tables = [
        Table(
            columns,
            [
                (s.text, s.given, s.suggested, s.given_probability, s.suggested_probability, s.id[:12])
                for s in suspects[:SUSPECTS_SHOWN]
            ],
            f"{task}, {place(split)}: {len(suspects)} suspected"
            + (f", the first {SUSPECTS_SHOWN}" if len(suspects) > SUSPECTS_SHOWN else ""),
            folded=True,
        )
        for split, of_split in found.items()
        for task, suspects in of_split.items()
        if suspects
    ]
    if not tables:
        return None
    note = (
        "Rows whose label is likely another one, by confident learning: for a person to look at, and not errors until "
        "then. The file label_errors.json beside this page holds all of them."
    )
    return Section("labels", "Labels to look at", note, tables=tables)


def mistakes(found: Sequence[Mapping[str, Any]]) -> Section | None:
    """Examples of errors."""
    if not found:
        return None
    columns = (
        Column("text", "text"),
        Column("task"),
        Column("wanted"),
        Column("given"),
        Column("confidence", "number", 2),
    )
    rows = [tuple(m[key] for key in ("text", "task", "wanted", "given", "confidence")) for m in found]
    return Section("mistakes", "Confident mistakes, in domain", tables=[Table(columns, rows)])


def transfer(found: Sequence[Transfer]) -> Section | None:
    """Tasks beside models of their own."""
    if not found:
        return None
    columns = (
        *(Column("task"), Column("split"), Column("together", "number"), Column("alone", "number")),
        *(Column("difference", "number", signed=True), Column("95%", "number"), Column("rows", "number")),
    )
    rows = [
        (
            *(t.task, place(t.split), t.together, t.alone),
            Cell(t.difference, "bad" if t.loses else "good" if t.gains else ""),
            *(f"{t.low:+.3f} – {t.high:+.3f}", t.rows),
        )
        for t in found
    ]
    return Section("transfer", "Together or alone", "", transfer_in_words(found), [Table(columns, rows)])


def _final(found: Sequence[Calibration]) -> list[Calibration]:
    """Of each task and split the last measurement, which is the one after the temperature where there is one."""
    return by_task({(c.task, c.split): c for c in found}.values())


def _before(final: Calibration, found: Sequence[Calibration]) -> Any:
    of_same = [c for c in found if (c.task, c.split) == (final.task, final.split) and c is not final]
    return of_same[0].bins if of_same else ()
