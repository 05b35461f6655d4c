"""Answers in a text from tokens to training, prediction, scores and report: in pairs, in single texts, in windows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from data_contracts.artifacts import Judgement
from data_contracts.cleaning import Cleaning
from flows.pipeline import load_pipeline
from tasks.drift.reference import freeze_reference, read_reference
from tasks.evaluation.assessing import assess_answers
from tasks.evaluation.baselines import answer_with_baselines
from tasks.evaluation.gate import judge, write_ruling
from tasks.evaluation.pages import ReportFacts
from tasks.evaluation.policy import GatePolicy
from tasks.evaluation.report import Evidence, make_report
from tasks.evaluation.scoring import score_splits
from tasks.modeling.answering import answer_rows
from tasks.modeling.heads import AnyHead, SpanHead, answer_columns, heads_of, tag_columns
from tasks.modeling.limits import TokenLimit
from tasks.modeling.predicting import predict_splits
from tasks.modeling.tokenized import read_tokens
from tasks.modeling.tokens import TextEncoder
from tasks.tokenization.encoding import encode_splits
from tasks.training.loop import fine_tune
from tasks.training.recipe import Recipe
from tasks.training.rows import read_rows

HEADS: dict[str, AnyHead] = {"answer": SpanHead(column="answer", dropout=0.0)}
Row = dict[str, Any]
Training = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


def answers_to(rows: list[Row], model: Path, folder: Path, **settings: Any) -> list[Any]:
    """What the model answers to rows of a file."""
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    given = {"text_column": "text", "pair_column": "context", **settings}
    answer_rows(model, str(source), str(folder / "out.jsonl"), **given)
    return [json.loads(line)["predictions"]["answer"] for line in (folder / "out.jsonl").open(encoding="utf-8")]


def right(rows: list[Row], found: list[Any]) -> int:
    """How many are answered with what the label says, and where it stands, or with nothing where that is right."""
    wanted = [(row["answer"]["text"] or [None], row["answer"]["start"] or [None]) for row in rows]
    return sum((answer["text"], answer["start"]) == (t[0], s[0]) for answer, (t, s) in zip(found, wanted, strict=True))


def test_answers_are_learnt_from_pairs_predicted_scored_judged_and_reported(
    write_pairs: Write, training: Training, pair_rows: list[Row], tmp_path: Path
) -> None:
    splits, asked = write_pairs("pairs", pair_rows), pair_rows[:64]
    facts = fine_tune(**training("answers", splits, HEADS, epochs=24))
    model = tmp_path / "answers" / "model"
    assert facts.validation_skill > 0.95
    assert heads_of(model)["answer"] == HEADS["answer"].model_copy(update={"may_have_none": True})
    found = answers_to(asked, model, tmp_path)
    assert right(asked, found) > 60
    assert all(answer.keys() == {"text", "start", "end", "confidence"} for answer in found)
    assert all(0 < answer["confidence"] <= 1 for answer in found)
    # Without a context there is nothing to answer from.
    assert answers_to([{"text": "which colour ?"}], model, tmp_path)[0]["text"] is None

    for name in ("predicted", "baselines", "report", "reference"):
        (tmp_path / name).mkdir()
    snapshot, predicted, baselines = splits / "snapshot", tmp_path / "predicted", tmp_path / "baselines"
    heads = heads_of(model)
    predict_splits(model, snapshot, splits / "tokens", ["validation", "test"], predicted)
    answer_with_baselines(snapshot, heads, "text", ["test"], baselines, pair_column="context")
    scores = assess_answers(snapshot, predicted, heads, ["test"], ["text"], output=tmp_path)
    assert [(score.metric, score.primary) for score in scores] == [
        ("token_f1", True),
        ("exact_match", False),
        ("expected_calibration_error", False),
    ]
    assert {score.rows for score in scores} == {64}
    assert scores[0].value == pytest.approx(facts.validation_skill)
    # Half of the texts hold no answer, which is what the majority says; whole sentences share a word with some.
    assert score_splits(snapshot, baselines / "majority", heads, ["test"])[0].value == pytest.approx(0.5)
    assert 0 < score_splits(snapshot, baselines / "tfidf", heads, ["test"])[0].value < 0.3

    ruling = judge(snapshot, heads, predicted, None, baselines, GatePolicy(draws=200))
    assert ruling.verdict == "PROMOTE"
    write_ruling(tmp_path, ruling)
    judgement = Judgement(
        digest="1" * 64, verdict=ruling.verdict, reasons=tuple(ruling.reasons), candidate="c" * 64, champion=None
    )
    about = ReportFacts(
        pipeline="q", contract="q", text_column="text", pair_column="context", rows={"test": 80}, quarantined={}
    )
    evidence = Evidence(snapshot, predicted, tmp_path, baselines, tmp_path, model)
    make_report(about, evidence, judgement, tmp_path / "report")
    assert {path.stem for path in (tmp_path / "report").glob("*.png")} == {"changes", "gap", "reliability_answer"}
    encoder = TextEncoder(model / "encoder", TokenLimit(max_tokens=8))
    rows = freeze_reference(snapshot, predicted, heads, encoder, ["text", "context"], tmp_path / "reference")
    # Each pair once: both splits hold the same.
    assert rows == len({(row["text"], row.get("context")) for row in pair_rows})
    seen = read_reference(tmp_path / "reference").seen.tasks["answer"].right
    assert seen is not None
    assert np.nanmean(seen) > 0.9
    assert np.isnan(seen).any()


def test_answers_are_learnt_from_single_texts(
    write_pairs: Write, training: Training, pair_rows: list[Row], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tasks.training.curves")
    # All ask for a colour, so nothing is lost with the question.
    rows = [row for row in pair_rows[:64:2] if row["answer"]["text"]]
    splits = write_pairs("single", rows, text_column="context", pair_column=None)
    assert read_tokens(splits / "tokens" / "train.parquet").segments is None
    facts = fine_tune(**training("single-model", splits, HEADS, epochs=16))
    assert "TensorBoard has no graph" not in caplog.text
    assert facts.validation_skill > 0.9
    model = tmp_path / "single-model" / "model"
    assert heads_of(model)["answer"] == HEADS["answer"].model_copy(update={"may_have_none": False})
    found = answers_to(rows, model, tmp_path, text_column="context", pair_column=None)
    assert right(rows, found) > len(rows) - 2


def test_answers_are_learnt_and_found_in_the_windows_of_long_texts(
    write_pairs: Write, training: Training, pair_rows: list[Row], tmp_path: Path
) -> None:
    rows = []
    for number, row in enumerate(pair_rows[:64:2]):
        before = " ".join(["and so on ,"] * (number % 4))
        context = f"{before} {row['context']} " + " ".join(["and so on ,"] * (3 - number % 4))
        said = row["answer"]["text"]
        rows.append({**row, "context": context, "answer": {"text": said, "start": [context.index(of) for of in said]}})
    limit = {"max_tokens": 18, "beyond": "windows", "window_overlap": 5}
    splits = write_pairs("windows", rows, **limit)
    windows = read_rows(splits / "snapshot", splits / "tokens", "train", HEADS)
    assert len(windows.lengths) > 2 * len(rows)
    learnt = windows.batch(range(len(windows.lengths)), HEADS, pad_id=0).targets["answer"]
    # Each answer is in one window or two, all of which have a target.
    assert len(rows) / 2 <= int((learnt[:, 0] > 0).sum()) <= len(rows)
    assert int(HEADS["answer"].present(learnt).sum()) == len(windows.lengths)
    facts = fine_tune(**training("windows-model", splits, HEADS, epochs=16))
    assert facts.validation_skill > 0.9
    assert right(rows, answers_to(rows, tmp_path / "windows-model" / "model", tmp_path)) > len(rows) - 3


def test_answers_are_the_same_whatever_rows_are_read_together(
    write_pairs: Write, training: Training, pair_rows: list[Row], tmp_path: Path
) -> None:
    splits = write_pairs("together", pair_rows, max_tokens=16, beyond="windows", window_overlap=3)
    fine_tune(**training("together-model", splits, HEADS, epochs=2))
    model = tmp_path / "together-model" / "model"
    asked = pair_rows[:40:3]
    together = answers_to(asked, model, tmp_path)
    for row, answer in zip(asked, together, strict=True):
        (alone,) = answers_to([row], model, tmp_path)
        assert {**alone, "confidence": 0} == {**answer, "confidence": 0}
        assert alone["confidence"] == pytest.approx(answer["confidence"], abs=1e-3)


def test_positions_are_those_in_the_cleaned_second_text(
    write_pairs: Write, training: Training, pair_rows: list[Row], tmp_path: Path
) -> None:
    splits = write_pairs("cleaned", pair_rows[:8])
    fine_tune(**training("cleaned-model", splits, HEADS, epochs=1))
    rows = [{"text": "which colour ?", "context": "<p>we  sent &#116;wo   lamps</p>"}]
    (found,) = answers_to(
        rows, tmp_path / "cleaned-model" / "model", tmp_path, cleaning=Cleaning(markup=True, whitespace=True)
    )
    written = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    assert written["cleaned_context"] == "we sent two lamps"
    assert found["text"] is None or written["cleaned_context"][found["start"] : found["end"]] == found["text"]


def column(name: str, kind: str, **rules: Any) -> Row:
    given = [{"property": key, "value": value} for key, value in rules.items()]
    return {"name": name, "logicalType": kind, "customProperties": given}


def test_a_pipeline_of_pairs_goes_from_its_yaml_to_a_model(
    tiny_encoder: Path, write_pairs: Write, pair_rows: list[Row], tmp_path: Path
) -> None:
    contract = {
        "apiVersion": "v3.0.2",
        "kind": "DataContract",
        "id": "questions",
        "name": "questions",
        "version": "1.0.0",
        "schema": [
            {
                "name": "questions",
                "properties": [
                    column("text", "string", role="text"),
                    column("context", "string", role="text"),
                    column("holds", "string", role="label", labels=["yes", "no"]),
                    column("fits", "number", role="label"),
                    column("mood", "string", role="label", labels=["glad", "angry"]),
                    column("answer", "object", role="label", answersIn="context"),
                ],
            }
        ],
    }
    pipeline = {
        "name": "questions",
        "data": {
            "contract": "questions.yaml",
            **{split: {"kind": "json_lines", "path": f"{split}.jsonl"} for split in ("train", "validation", "test")},
        },
        "encoder": {"name": str(tiny_encoder)},
        "tokenization": {"pair_column": "context", "max_tokens": 24, "beyond": "windows", "window_overlap": 4},
        "heads": {
            "answer": {"kind": "span"},
            "holds": {"kind": "single_label"},
            "fits": {"kind": "regression"},
            "mood": {"kind": "single_label"},
        },
        "training": {"epochs": 1, "precision": "fp32", "frozen_layers": 1},
    }
    (tmp_path / "questions.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    plan = load_pipeline(str(tmp_path / "pipeline.yaml"))
    snapshot = write_pairs("yaml", pair_rows) / "snapshot"
    for name in ("tokens", "model"):
        (tmp_path / name).mkdir()
    answers = bool(answer_columns(plan.heads))
    encode_splits(
        snapshot, tiny_encoder, plan.tokenization, tag_columns(plan.heads), output=tmp_path / "tokens", answers=answers
    )
    assert "piece_starts" in pq.read_schema(tmp_path / "tokens" / "train.parquet").names
    work = {"checkpoints": tmp_path / "checkpoints", "curves": tmp_path / "curves", "output": tmp_path / "model"}
    recipe = Recipe.model_validate(plan.training.model_dump())
    facts = fine_tune(snapshot, tmp_path / "tokens", tiny_encoder, plan.heads, recipe, **work)
    assert facts.steps == 3
    assert set(heads_of(tmp_path / "model")) == {"answer", "holds", "fits", "mood"}
    assert len(answers_to(pair_rows, tmp_path / "model", tmp_path)) == len(pair_rows)
