"""Sections of the report about behaviour: probes, bias, speed and size."""

from collections.abc import Sequence

from tasks.evaluation.case_results import CaseResult, Findings
from tasks.evaluation.latency import ModelCost
from tasks.reporting.sections import Cell, Column, Section, Table, Tone, interval

EXAMPLES_SHOWN = 3


def behaviour(findings: Findings) -> Section | None:
    """What the model does with texts that were made or changed on purpose."""
    if not findings.results:
        return None
    columns = (
        *(Column("case", "text"), Column("kind"), Column("task"), Column("asked", "number")),
        *(Column("failed", "number"), Column("95%", "number"), Column("at most", "number"), Column("")),
    )
    rows = [
        (
            *(of.case, of.kind, of.task, of.asked, of.failure_rate, interval(of.low, of.high) if of.asked else ""),
            *(of.max_failure_rate, _mark(of)),
        )
        for of in sorted(findings.results, key=lambda of: of.passed is not False)
    ]
    note = (
        "Cases in the manner of CheckList: an invariance must not change the answer, a directional one must move it "
        "one way, an expectation has to be answered as it says."
    )
    tables = [Table(columns, rows), *_examples([of for of in findings.results if of.failures])]
    return Section("behaviour", "Behaviour", note, tables=tables)


def bias(findings: Findings) -> Section | None:
    """What exchanging identity terms does, and whether rows that mention a group are got wrong more often."""
    if not findings.biases:
        return None
    pairs = Table(
        (
            *(Column("case"), Column("task"), Column("exchanged"), Column("texts", "number")),
            *(
                Column("answers changed", "number"),
                Column("95%", "number"),
                Column("mean shift", "number", signed=True),
            ),
        ),
        [
            (
                *(of.case, of.task, f"{pair.first} for {pair.second}", pair.texts),
                Cell(pair.changed_share, "doubt" if pair == of.worst and pair.changed else ""),
                *(interval(pair.low, pair.high), pair.mean_shift),
            )
            for of in findings.biases
            for pair in of.pairs
        ],
        "The same text with another term",
    )
    gaps = Table(
        (
            *(Column("case"), Column("task"), Column("measure"), Column("group"), Column("rows", "number")),
            *(Column("rate", "number"), Column("others", "number"), Column("gap", "number", signed=True)),
            Column("95%", "number"),
        ),
        [
            (
                *(of.case, of.task, gap.measure, gap.group, gap.rows, gap.rate, gap.others_rate),
                Cell(gap.gap, "bad" if gap.low is not None and gap.low > 0 else ""),
                "too few rows to say" if gap.too_small_to_say else interval(gap.low, gap.high),
            )
            for of in findings.biases
            for gap in of.gaps
        ],
        "Rows that mention a group, beside all others",
    )
    return Section("bias", "Bias", tables=[table for table in (pairs, gaps) if table.rows])


def speed(found: ModelCost) -> Section:
    """How long the model takes, and how large it is."""
    columns = (
        *(Column("texts at once", "number"), Column("half within, ms", "number", 1)),
        *(Column("99 of 100 within, ms", "number", 1), Column("texts a second", "number", 0)),
        Column("timed", "number"),
    )
    rows = [(of.batch_size, of.p50_ms, of.p99_ms, of.texts_per_second, of.batches) for of in found.latencies]
    note = (
        f"{found.parameters / 1e6:.1f} million parameters, {found.bytes / 1e6:.1f} MB. Measured on {found.device}, "
        "tokenization included."
    )
    return Section("speed", "Speed and size", note, tables=[Table(columns, rows)])


def _mark(of: CaseResult) -> Cell:
    words: dict[bool | None, tuple[str, Tone]] = {True: ("passed", "good"), False: ("failed", "bad"), None: ("", "")}
    word, tone = words[of.passed]
    return Cell("nothing to ask" if not of.asked else word, tone)


def _examples(failing: Sequence[CaseResult]) -> list[Table]:
    columns = (
        Column("case"),
        Column("task"),
        Column("text", "text"),
        Column("answer"),
        Column("became", "text"),
        Column("answer"),
    )
    rows = [
        (of.case, of.task, e.before, _said(e.answer_before), e.after or e.wanted, _said(e.answer_after))
        for of in failing
        for e in of.examples[:EXAMPLES_SHOWN]
    ]
    return [Table(columns, rows, "Examples of failures", folded=True)] if rows else []


def _said(answer: str | float | list[str] | None) -> str:
    if answer is None:
        return ""
    if isinstance(answer, list):
        return ", ".join(answer) or "none"
    return f"{answer:.3f}" if isinstance(answer, float) else answer
