"""The report: one self-contained page, what the gate says and what changed on top, then what stands behind."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_contracts.artifacts import Judgement, Verdict
from data_contracts.splits import TRAIN
from tasks.evaluation import pictures, report_behaviour, report_scores, report_slices, report_trust
from tasks.evaluation.assessing import CALIBRATION, LABEL_ERRORS, OUT_OF_SCOPE, SLICES
from tasks.evaluation.baselines import BASELINES
from tasks.evaluation.calibration import read_calibrations
from tasks.evaluation.case_results import read_findings
from tasks.evaluation.checks import read_checks
from tasks.evaluation.differences import read_evidence
from tasks.evaluation.gate import CHECKS, EVIDENCE
from tasks.evaluation.label_errors import Suspect, read_suspects, write_suspects_of_splits
from tasks.evaluation.latency import read_cost
from tasks.evaluation.naming import by_task, place
from tasks.evaluation.out_of_scope import read_detections
from tasks.evaluation.pages import ReportFacts
from tasks.evaluation.scoring import IN_DOMAIN, SCORES, Score, read_scores, score_splits
from tasks.evaluation.slices import read_slices
from tasks.evaluation.transfer import read_transfers
from tasks.evaluation.zero_shot import ZERO_SHOT
from tasks.modeling.answers import read_answers, read_labels
from tasks.modeling.heads import AnyHead, heads_of
from tasks.reporting.page import Page, write_page
from tasks.reporting.sections import Picture, Section, Tone

MISTAKES_SHOWN = 12
TONES: dict[Verdict, Tone] = {"PROMOTE": "good", "REJECT": "bad", "HOLD": "doubt", "INCONCLUSIVE": "doubt"}


@dataclass(frozen=True)
class Evidence:
    """Folders and files the page is made from; those that are None were not measured."""

    snapshot: Path
    answers: Path
    assessment: Path
    baselines: Path
    judgement: Path
    model: Path
    probes: Path | None = None
    cost: Path | None = None
    label_errors: Path | None = None
    transfers: Path | None = None


def make_report(facts: ReportFacts, evidence: Evidence, judgement: Judgement, output: Path) -> None:
    """Writes the page with its pictures, `table.json`, the rows of its results table, and all suspected labels."""
    heads = heads_of(evidence.model)
    own = read_scores(evidence.assessment / SCORES)
    scores = {"graft": own, **_baseline_scores(evidence, heads, list(dict.fromkeys(score.split for score in own)))}
    table = results_table(scores)
    (output / "table.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    found = {IN_DOMAIN: evidence.assessment / LABEL_ERRORS, TRAIN: evidence.label_errors}
    suspects = {split: read_suspects(path) for split, path in found.items() if path}
    write_suspects_of_splits(output / LABEL_ERRORS, suspects)
    sections = [section for section in _sections(facts, evidence, judgement, heads, scores, table, suspects) if section]
    page = Page(facts.pipeline, judgement.verdict, TONES[judgement.verdict], _said_of(facts, judgement), sections)
    write_page(page, output, in_markdown=("changes", "gap"))


def _sections(
    facts: ReportFacts,
    evidence: Evidence,
    judgement: Judgement,
    heads: dict[str, AnyHead],
    scores: dict[str, list[Score]],
    table: list[dict[str, Any]],
    suspects: dict[str, dict[str, list[Suspect]]],
) -> Iterator[Section | None]:
    """In the order of the page."""
    assessment = evidence.assessment
    yield report_scores.checks(read_checks(evidence.judgement / CHECKS))
    yield report_scores.changes(judgement, read_evidence(evidence.judgement / EVIDENCE), facts.gate)
    yield report_scores.results(table, scores)
    yield report_slices.slices(read_slices(assessment / SLICES))
    yield _confusion(evidence, heads)
    yield report_trust.calibration(read_calibrations(assessment / CALIBRATION))
    yield report_trust.out_of_scope(read_detections(assessment / OUT_OF_SCOPE))
    if evidence.probes:
        findings = read_findings(evidence.probes)
        yield report_behaviour.behaviour(findings)
        yield report_behaviour.bias(findings)
    if evidence.transfers:
        yield report_trust.transfer(read_transfers(evidence.transfers))
    texts = [name for name in (facts.text_column, facts.pair_column) if name]
    yield report_trust.mistakes(_mistakes(evidence, heads, texts))
    yield report_trust.label_errors(suspects)
    if evidence.cost:
        yield report_behaviour.speed(read_cost(evidence.cost))
    yield report_scores.all_metrics(scores["graft"])
    yield report_scores.rows_of(facts.rows, facts.quarantined)
    yield report_scores.origin(facts.origin)


def _said_of(facts: ReportFacts, judgement: Judgement) -> str:
    champion = judgement.champion
    known = facts.champion or (champion or "")[:12]
    opponent = f"against champion {known}" if champion else "against both baselines, as there was no champion"
    return f"model {judgement.candidate[:12]} {opponent} · contract {facts.contract}"


def _baseline_scores(evidence: Evidence, heads: dict[str, AnyHead], splits: list[str]) -> dict[str, list[Score]]:
    """By name of the baseline; zero shot is there where a head answers with one label, and only for these."""
    found = {name: score_splits(evidence.snapshot, evidence.baselines / name, heads, splits) for name in BASELINES}
    if (evidence.baselines / ZERO_SHOT).is_dir():
        answered = {task: head for task, head in heads.items() if head.one_label}
        found[ZERO_SHOT] = score_splits(evidence.snapshot, evidence.baselines / ZERO_SHOT, answered, splits)
    return found


def results_table(scores: dict[str, list[Score]]) -> list[dict[str, Any]]:
    """A row for every task and split: graft's primary metric with its interval, and the baselines'."""
    others = {
        name: {(s.task, s.split): s.value for s in found if s.primary}
        for name, found in scores.items()
        if name != "graft"
    }
    return [
        {
            "task": score.task,
            "split": place(score.split),
            "metric": score.metric,
            "graft": score.value,
            "low": score.low,
            "high": score.high,
            **{name: values.get((score.task, score.split)) for name, values in others.items()},
            "rows": score.rows,
        }
        for score in by_task(score for score in scores["graft"] if score.primary)
    ]


def _confusion(evidence: Evidence, heads: dict[str, AnyHead]) -> Section | None:
    labels = read_labels(evidence.snapshot, IN_DOMAIN, heads)
    found = read_answers(evidence.answers / f"{IN_DOMAIN}.parquet", heads)
    drawn = []
    for task, head in heads.items():
        known = [row for row, label in enumerate(labels[task]) if label is not None]
        if head.one_label and known:
            wanted, given = [labels[task][row] for row in known], [found.answers[task][row] for row in known]
            chosen = pictures.confused_labels(head.labels, wanted, given)
            if chosen:
                picture = pictures.confusion(chosen, wanted, given)
                caption = pictures.confusion_caption(task, chosen, head.labels)
                drawn.append(Picture(f"confusion_{task}", caption, picture))
    return Section("confusion", "Confusion, in domain", pictures=drawn) if drawn else None


def _mistakes(evidence: Evidence, heads: dict[str, AnyHead], text_columns: list[str]) -> list[dict[str, Any]]:
    """In-domain rows that a classifier got wrong most confidently."""
    rows = pq.read_table(evidence.snapshot / f"{IN_DOMAIN}.parquet").to_pylist()
    found = read_answers(evidence.answers / f"{IN_DOMAIN}.parquet", heads)
    wrong: list[dict[str, Any]] = [
        {
            "task": task,
            "text": " / ".join(row[name] for name in text_columns if row[name]),
            "wanted": head.in_words(row[head.column]),
            "given": head.in_words(found.answers[task][position]),
            "confidence": found.confidences[task][position],
        }
        for task, head in heads.items()
        if head.has_confidence and not head.of_words
        for position, row in enumerate(rows)
        if row[head.column] is not None and not head.is_right(found.answers[task][position], row[head.column])
    ]
    return sorted(wrong, key=lambda mistake: -mistake["confidence"])[:MISTAKES_SHOWN]
