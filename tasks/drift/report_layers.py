"""Sections about what was measured, a layer each: quality of the rows, shift of their distribution, harm to answers."""

from math import nan

from data_contracts.drift import DriftDecision, Monitor
from tasks.drift import pictures
from tasks.drift.evidence import WindowEvidence
from tasks.reporting.pictures import told
from tasks.reporting.sections import Cell, Column, Picture, Section, Table, interval

LOOKS_SHOWN = 40


def why(decision: DriftDecision) -> Section:
    """The reasons, in the order in which they were found."""
    follows = "A retraining is asked for." if decision.retrain else "No retraining is asked for."
    if decision.verdict == "UNKNOWN":
        # The name or path that the pipeline was run by is what the command takes.
        command = f"graft label {decision.pipeline} --window {decision.window} --output FILE"
        follows += f" Rows most worth labelling: {command}"
    return Section("why", "Why", follows, sentences=decision.reasons)


def quality(decision: DriftDecision) -> Section | None:
    """Layer A: what the rows are like by themselves, whatever the model makes of them."""
    if not decision.measures:
        return None
    table = Table((Column("measure"), Column("value", "number", 4)), list(decision.measures.items()))
    return Section(
        "quality", "Rows", "Broken rows are put in quarantine; they are never a reason to train.", tables=[table]
    )


def shift(decision: DriftDecision) -> Section | None:
    """Layer B: whether the distribution is another, and by how much."""
    found = decision.shift
    if found is None:
        return None
    answer = Cell("moved", "doubt") if found.significant else Cell("not told from the reference", "good")
    size = interval(found.effect_low, found.effect_high)
    columns = (
        *(Column("distribution"), Column("p-value", "number", 4), Column("level", "number", 4)),
        *(Column("effect", "number"), Column("95% interval", "number")),
    )
    tables = [Table(columns, [(answer, found.p_value, found.level, found.effect, size)])]
    if found.tasks:
        rows = sorted(found.tasks.items(), key=lambda entry: entry[1])
        marked = [(task, Cell(p, "doubt" if p <= found.level else "")) for task, p in rows]
        tables.append(Table((Column("task"), Column("p-value, adjusted", "number", 4)), marked, title="By task"))
    if found.views:
        views = sorted(found.views.items(), key=lambda entry: -entry[1])
        tables.append(Table((Column("view"), Column("z-score", "number", 2)), views, title="By view", folded=True))
    note = (
        "One permutation test over all views. The effect is by how much more often than not a row of the window stands "
        "out from one of the reference: 0 is not at all, 1 always. A shift alone is no harm."
    )
    return Section("shift", "Has the distribution moved?", note, tables=tables)


def harm(evidence: WindowEvidence) -> Section | None:
    """Layer C: whether the model has become worse, and its accuracy as far as that can be told without labels."""
    decision = evidence.decision
    tables, drawn = [], []
    if decision.monitors:
        columns = (
            *(Column("monitor"), Column("log evidence", "number", 2), Column("alarm at", "number", 2)),
            *(Column("bad share", "number"), Column("allowed", "number"), Column("bad", "number")),
            *(Column("rows", "number"), Column("log e", "number", 2, signed=True), Column("from")),
        )
        tables.append(
            Table(columns, [_of_monitor(monitor, evidence.levels.get(monitor.name)) for monitor in decision.monitors])
        )
        drawn.append(_over_time(evidence))
    if decision.estimates:
        estimated = (
            *(Column("task"), Column("accuracy, reference", "number"), Column("by threshold", "number")),
            *(Column("by confidence", "number"), Column("change", "number", signed=True), Column("± error", "number")),
        )
        tables.append(
            Table(
                estimated,
                [
                    (
                        task,
                        e.reference,
                        e.by_threshold,
                        e.by_confidence,
                        _change(e.by_threshold - e.reference, e.error),
                        e.error,
                    )
                    for task, e in decision.estimates.items()
                ],
                title="Accuracy estimated without labels",
            )
        )
    if not tables:
        return None
    note = (
        "Evidence adds up over the windows that one model version saw; what speaks for the model is not carried on. "
        "Bad are rows that count against it, of which so many are allowed. An alarm is raised where one monitor alone "
        "has this much, or several together."
    )
    return Section("harm", "Has the model become worse?", note, pictures=drawn, tables=tables)


def _of_monitor(monitor: Monitor, level: float | None) -> tuple[Cell | str | int | float | None, ...]:
    share = monitor.bad / monitor.rows if monitor.rows else None
    alarmed = level is not None and monitor.log_evidence >= level
    return (
        *(monitor.name, Cell(monitor.log_evidence, "bad" if alarmed else ""), level),
        *(Cell(share, "doubt" if share is not None and share > monitor.allowed else ""), monitor.allowed, monitor.bad),
        *(monitor.rows, monitor.log_e, "labels" if monitor.labelled else "answers alone"),
    )


def _change(change: float, error: float) -> Cell:
    return Cell(change, "bad" if change < -error else "good" if change > error else "")


def _over_time(evidence: WindowEvidence) -> Picture:
    looks = [decision for decision in (*evidence.earlier, evidence.decision) if decision.monitors][-LOOKS_SHOWN:]
    windows = [decision.window for decision in looks]
    names = dict.fromkeys(monitor.name for decision in looks for monitor in decision.monitors)
    found = [{monitor.name: monitor.log_evidence for monitor in decision.monitors} for decision in looks]
    values = {name: [of.get(name, nan) for of in found] for name in names}
    drawn = pictures.evidence_over_time(windows, values, sorted(set(evidence.levels.values())))
    return Picture("monitors", told("Evidence that the model became worse, by window", windows), drawn)
