"""Lists of labels and labels in order, from training to prediction, report and drift reference."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.artifacts import Judgement
from tasks.drift.reference import freeze_reference, read_reference
from tasks.evaluation.assessing import assess_answers
from tasks.evaluation.baselines import answer_with_baselines
from tasks.evaluation.gate import judge, write_ruling
from tasks.evaluation.pages import ReportFacts
from tasks.evaluation.policy import GatePolicy
from tasks.evaluation.report import Evidence, make_report
from tasks.modeling.answering import answer_rows
from tasks.modeling.heads import AnyHead, MultiLabelHead, OrdinalHead, heads_of
from tasks.modeling.limits import TokenLimit
from tasks.modeling.predicting import predict_splits
from tasks.modeling.tokens import TextEncoder
from tasks.tokenization.encoding import encode_splits
from tasks.tokenization.settings import Tokenization
from tasks.training.loop import fine_tune
from tasks.training.recipe import Recipe

TOPICS = {"refund": "money", "delivery": "parcel", "praise": "lovely"}
HASTE = {"low": "someday", "middle": "soon", "high": "now"}
SPLITS = ("train", "validation", "test")
QUICK = Recipe.model_validate(
    {
        "epochs": 16,
        "rows_per_step": 8,
        "encoder_learning_rate": 5e-3,
        "head_learning_rate": 2e-2,
        "patience_epochs": 16,
        "precision": "fp32",
    }
)
PLAIN: dict[str, AnyHead] = {
    "topics": MultiLabelHead(column="topics", labels=tuple(TOPICS), dropout=0.0),
    "haste": OrdinalHead(column="haste", labels=tuple(HASTE), dropout=0.0),
}
DEEP: dict[str, AnyHead] = {
    "topics": PLAIN["topics"].model_copy(update={"pooling": "attention", "classifier": "linear"}),
    "haste": PLAIN["haste"].model_copy(update={"hidden": (16,), "pooling": "first"}),
}


def toys() -> list[dict[str, Any]]:
    """48 texts: each of the eight lists of topics with each haste, told by one word each, twice."""
    rows = []
    for number in range(48):
        topics = [topic for bit, topic in enumerate(TOPICS) if number % 8 >> bit & 1]
        haste = list(HASTE)[number // 8 % 3]
        words = [
            "dear all ,",
            *(TOPICS[topic] for topic in topics),
            "answer me",
            HASTE[haste],
            "please" * (number // 24),
        ]
        # Labels stand in the other order than the contract's.
        rows.append({"_id": str(number), "text": " ".join(words), "topics": topics[::-1], "haste": haste})
    return rows


@pytest.fixture(scope="module")
def folders(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Snapshot and tokens of the toys; validated and tested on rows it was trained on, for there are few."""
    snapshot, tokens = tmp_path_factory.mktemp("snapshot"), tmp_path_factory.mktemp("tokens")
    schema = pa.schema({"_id": pa.string(), "text": pa.string(), "topics": pa.list_(pa.string()), "haste": pa.string()})
    rows = toys()
    rows[0] |= {"topics": None}
    rows[9] |= {"haste": None}
    for split in SPLITS:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), snapshot / f"{split}.parquet")
    encode_splits(snapshot, tiny_encoder, Tokenization(max_tokens=24), (), output=tokens)
    return snapshot, tokens


@pytest.fixture(scope="module")
def trained(
    tiny_encoder: Path, folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[dict[str, AnyHead]], tuple[Path, float]]:
    """Trains those heads; gives the model's folder and its validation skill."""

    def run(heads: dict[str, AnyHead]) -> tuple[Path, float]:
        root = tmp_path_factory.mktemp("trained")
        (root / "model").mkdir()
        facts = fine_tune(
            *folders,
            tiny_encoder,
            heads,
            QUICK,
            checkpoints=root / "checkpoints",
            curves=root / "curves",
            output=root / "model",
        )
        return root / "model", facts.validation_skill

    return run


@pytest.fixture(scope="module")
def plain(trained: Callable[[dict[str, AnyHead]], tuple[Path, float]]) -> tuple[Path, float]:
    """The model of the heads as they are by default, and its skill."""
    return trained(PLAIN)


def test_lists_of_labels_and_labels_in_order_are_learnt(plain: tuple[Path, float]) -> None:
    # A majority answer scores 0 in kappa and at most 0.5 in micro F1.
    assert plain[1] > 0.9


def test_they_are_learnt_through_hidden_layers_and_other_pooling(
    trained: Callable[[dict[str, AnyHead]], tuple[Path, float]],
) -> None:
    folder, skill = trained(DEEP)
    assert skill > 0.9
    kept = heads_of(folder)
    assert kept["topics"] == DEEP["topics"]
    assert kept["haste"].model_copy(update={"temperature": 1.0}) == DEEP["haste"]


def test_predictions_are_lists_and_labels_with_a_confidence(plain: tuple[Path, float], tmp_path: Path) -> None:
    rows = toys()[:24]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"text": row["text"]}) + "\n" for row in rows), encoding="utf-8")
    answer_rows(plain[0], str(source), str(tmp_path / "out.jsonl"), "text")
    found = [json.loads(line)["predictions"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    right = [line["topics"]["labels"] == row["topics"][::-1] for line, row in zip(found, rows, strict=True)]
    assert sum(right) > 20
    assert sum(line["haste"]["label"] == row["haste"] for line, row in zip(found, rows, strict=True)) > 20
    for line in found:
        assert line["topics"].keys() == {"labels", "confidence"}
        assert line["haste"].keys() == {"label", "confidence"}
        assert all(0 < answer["confidence"] <= 1 for answer in line.values())


def test_a_model_of_such_heads_is_scored_judged_reported_and_referred_to(
    plain: tuple[Path, float], folders: tuple[Path, Path], tmp_path: Path
) -> None:
    model, (snapshot, tokens) = plain[0], folders
    for name in ("answers", "baselines", "report", "reference"):
        (tmp_path / name).mkdir()
    answers, baselines = tmp_path / "answers", tmp_path / "baselines"
    heads = heads_of(model)
    predict_splits(model, snapshot, tokens, ["validation", "test"], answers)
    answer_with_baselines(snapshot, heads, "text", ["test"], baselines)
    scores = assess_answers(snapshot, answers, heads, ["test"], ["text"], output=tmp_path)
    assert [score.metric for score in scores if score.primary] == ["micro_f1", "quadratic_weighted_kappa"]
    assert {score.rows for score in scores} == {47}

    ruling = judge(snapshot, heads, answers, answers, baselines, GatePolicy(draws=200))
    # The same answers, on 47 rows: too few to say that they would be no worse on others.
    assert ruling.verdict == "INCONCLUSIVE"
    write_ruling(tmp_path, ruling)
    judgement = Judgement(
        digest="1" * 64, verdict=ruling.verdict, reasons=tuple(ruling.reasons), candidate="c" * 64, champion="d" * 64
    )
    facts = ReportFacts(pipeline="toys", contract="toys", text_column="text", rows={"test": 48}, quarantined={})
    evidence = Evidence(snapshot, answers, tmp_path, baselines, tmp_path, model)
    make_report(facts, evidence, judgement, tmp_path / "report")
    assert {path.stem for path in (tmp_path / "report").glob("*.png")} == {
        "changes", "gap", "confusion_haste", "reliability_haste", "reliability_topics",
    }  # fmt: skip

    encoder = TextEncoder(model / "encoder", TokenLimit(max_tokens=8))
    rows = freeze_reference(snapshot, answers, heads, encoder, ["text"], tmp_path / "reference")
    seen = read_reference(tmp_path / "reference").seen
    assert rows == len(seen) <= 96
    rights = {task: of.right for task, of in seen.tasks.items() if of.right is not None}
    assert rights.keys() == {"topics", "haste"}
    assert min(np.nanmean(right) for right in rights.values()) > 0.8
    # Of a list of labels there are no shares.
    assert (seen.tasks["topics"].shares, np.shape(seen.tasks["haste"].shares)) == (None, (rows, 3))
