"""All that is measured of a champion of yesterday on rows of today, whose contract has more labels than it knows."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.evaluation.assessing import CALIBRATION, LABEL_ERRORS, OUT_OF_SCOPE, SLICES, assess_answers
from tasks.evaluation.gate import judge
from tasks.evaluation.policy import GatePolicy
from tasks.modeling.heads import AnyHead, MultiLabelHead, OrdinalHead, SingleLabelHead, TokenTagHead
from tasks.modeling.label_scores import write_label_scores

Write = Callable[..., Path]
BEFORE: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=("refund", "praise")),
    "haste": OrdinalHead(column="haste", labels=("low", "high")),
    "topics": MultiLabelHead(column="topics", labels=("parcel", "price")),
    "entities": TokenTagHead(column="entities", labels=("O", "B-PLACE", "I-PLACE")),
}
# What a contract adds to each task in the last third of the rows.
TODAY = {
    "intent": ["refund", "praise", "delivery"],
    "haste": ["low", "high", "extreme"],
    "topics": [["parcel"], ["price"], ["price", "colour"]],
    "entities": [{"tokens": ["Oslo"], "tags": [tag]} for tag in ("B-PLACE", "O", "B-PERSON")],
}
ANSWERS = {
    "intent": ["refund", "praise", "praise"],
    "haste": ["low", "high", "high"],
    "topics": [["parcel"], ["price"], ["price"]],
    "entities": [["B-PLACE"], ["O"], ["O"]],
}
SPLITS = {"train": 60, "validation": 60, "test": 90}


@pytest.fixture
def champion(write_rows: Write, write_model_answers: Write) -> tuple[Path, Path]:
    """Today's rows, a third of which have a new label of every task, and the answers of a model of BEFORE."""
    for split, rows in SPLITS.items():
        columns = {task: values * (rows // 3) for task, values in TODAY.items()}
        texts = [f"{split} {row}" for row in range(rows)]
        snapshot = write_rows(split, text=texts, channel=["mail", "chat"] * (rows // 2), **columns)
        answers = write_known_answers(write_model_answers, split, rows)
    nothing = {task: [None] * 6 for task in TODAY}
    write_rows("poems", text=["a rose"] * 6, channel=["mail", "chat"] * 3, **nothing)
    write_known_answers(write_model_answers, "poems", 6)
    return snapshot, answers


def write_known_answers(write_model_answers: Write, split: str, rows: int) -> Path:
    states = np.random.default_rng(0).normal(size=(rows, 4))
    given = {task: values * (rows // 3) for task, values in ANSWERS.items()}
    folder = write_model_answers("old", split, given, embeddings=states)
    for task in ("intent", "haste"):
        scores = [[2.0, 0.0] if answer == BEFORE[task].labels[0] else [0.0, 2.0] for answer in given[task]]
        write_label_scores(folder, split, task, np.array(scores, dtype=np.float32))
    return folder


def test_a_champion_is_assessed_on_the_rows_whose_labels_it_knows(champion: tuple[Path, Path], tmp_path: Path) -> None:
    scores = assess_answers(*champion, BEFORE, ["test", "poems"], ("text",), tmp_path)
    assert {(s.task, s.value, s.rows) for s in scores if s.primary and s.split == "test"} == {
        (task, 1.0, 60) for task in BEFORE
    }
    calibrations = json.loads((tmp_path / CALIBRATION).read_text(encoding="utf-8"))
    assert {(c["task"], c["accuracy"], c["rows"]) for c in calibrations} == {(task, 1.0, 60) for task in BEFORE}
    detections = json.loads((tmp_path / OUT_OF_SCOPE).read_text(encoding="utf-8"))
    assert {(d["task"], d["inside"], d["outside"]) for d in detections} == {("intent", 60, 6), ("haste", 60, 6)}
    assert "nearest_neighbours_1" in {d["detector"] for d in detections}
    slices = json.loads((tmp_path / SLICES).read_text(encoding="utf-8"))
    assert {(s["task"], s["rows"]) for s in slices if s["slice"] == "channel"} == {(task, 30) for task in BEFORE}
    assert json.loads((tmp_path / LABEL_ERRORS).read_text(encoding="utf-8")) == {"intent": [], "haste": []}


def test_the_gate_holds_a_model_with_new_labels_against_a_champion_without_them(
    champion: tuple[Path, Path], write_model_answers: Write
) -> None:
    now: dict[str, AnyHead] = {
        "intent": SingleLabelHead(column="intent", labels=("refund", "praise", "delivery")),
        "haste": OrdinalHead(column="haste", labels=("low", "high", "extreme")),
        "topics": MultiLabelHead(column="topics", labels=("parcel", "price", "colour")),
        "entities": TokenTagHead(column="entities", labels=("O", "B-PLACE", "I-PLACE", "B-PERSON", "I-PERSON")),
    }
    right = {task: TODAY[task] * 30 for task in ("intent", "haste", "topics")}
    right["entities"] = [["B-PLACE"], ["O"], ["B-PERSON"]] * 30
    candidate = write_model_answers("new", "test", right)
    for name in ("majority", "tfidf"):
        plain = {"intent": ["refund"] * 90, "haste": ["low"] * 90, "topics": [[]] * 90, "entities": [["O"]] * 90}
        baselines = write_model_answers(f"baselines/{name}", "test", plain).parent
    snapshot, answers = champion
    found = judge(snapshot, now, candidate, answers, baselines, GatePolicy(draws=400), champion_heads=BEFORE)
    assert {(d.task, d.value, d.rows) for d in found.evidence if d.opponent == "champion" and d.task in now} == {
        (task, 0.0, 60) for task in ("intent", "topics", "entities")
    }
    # A level more moves all others, so that there is nothing to compare.
    assert {d.task for d in found.evidence if d.opponent == "tfidf"} == {"haste"}
