"""The report: one self-contained page with the verdict on top, then tables, pictures and mistakes to read."""

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from data_contracts.artifacts import Judgement
from tasks.evaluation import pictures
from tasks.evaluation.baselines import BASELINES
from tasks.evaluation.differences import read_evidence
from tasks.evaluation.pages import ReportFacts
from tasks.evaluation.scoring import IN_DOMAIN, Score, read_scores, score_splits
from tasks.modeling.answers import read_answers, read_labels
from tasks.modeling.heads import AnyHead, heads_of

MISTAKES_SHOWN = 12


@dataclass(frozen=True)
class Evidence:
    """Folders and files the page is made from."""

    snapshot: Path
    answers: Path
    scores: Path
    baselines: Path
    differences: Path
    model: Path


def make_report(facts: ReportFacts, evidence: Evidence, judgement: Judgement, output: Path) -> None:
    """Writes `report.html`, the pictures in it, and `table.json`, the rows of the results table."""
    heads = heads_of(evidence.model)
    own = read_scores(evidence.scores)
    splits = list(dict.fromkeys(score.split for score in own))
    scores = {"graft": own}
    for name in BASELINES:
        scores[name] = score_splits(evidence.snapshot, evidence.baselines / name, heads, splits)
    drawn = {"gap": pictures.domain_gap(scores), **_classifier_pictures(evidence, heads)}
    for name, png in drawn.items():
        (output / f"{name}.png").write_bytes(png)
    table = results_table(scores)
    (output / "table.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("report.html").render(
        facts=facts,
        judgement=judgement,
        table=table,
        details=[asdict(score) for score in own],
        differences=[d for d in read_evidence(evidence.differences) if d.opponent == "champion"],
        pictures={name: base64.b64encode(png).decode() for name, png in drawn.items()},
        mistakes=_mistakes(evidence, heads, [name for name in (facts.text_column, facts.pair_column) if name]),
    )
    (output / "report.html").write_text(page, encoding="utf-8")


def results_table(scores: dict[str, list[Score]]) -> list[dict[str, Any]]:
    """A row for every task and split: graft's primary metric with its interval, and the baselines'."""
    others = {
        name: {(s.task, s.split): s.value for s in found if s.primary}
        for name, found in scores.items()
        if name != "graft"
    }
    rows = [
        {
            "task": score.task,
            "split": "in domain" if score.split == IN_DOMAIN else score.split,
            "metric": score.metric,
            "graft": score.value,
            "low": score.low,
            "high": score.high,
            **{name: values.get((score.task, score.split)) for name, values in others.items()},
            "rows": score.rows,
        }
        for score in scores["graft"]
        if score.primary
    ]
    order = {task: number for number, task in enumerate(dict.fromkeys(row["task"] for row in rows))}
    return sorted(rows, key=lambda row: (order[row["task"]], row["split"] != "in domain", row["split"]))


def _classifier_pictures(evidence: Evidence, heads: dict[str, AnyHead]) -> dict[str, bytes]:
    labels = read_labels(evidence.snapshot, IN_DOMAIN, heads)
    found = read_answers(evidence.answers / f"{IN_DOMAIN}.parquet", heads)
    drawn = {}
    for task, head in heads.items():
        if head.of_words or not head.has_confidence:
            continue
        known = [row for row, label in enumerate(labels[task]) if label is not None]
        wanted, given = [labels[task][row] for row in known], [found.answers[task][row] for row in known]
        if head.one_label:
            drawn[f"confusion_{task}"] = pictures.confusion(head.labels, wanted, given)
        right = [head.is_right(give, want) for give, want in zip(given, wanted, strict=True)]
        drawn[f"reliability_{task}"] = pictures.reliability([found.confidences[task][row] for row in known], right)
    return drawn


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
