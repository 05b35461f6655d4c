"""Which labels of a snapshot are suspected, through an encoder and through a model's answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.evaluation.label_checks import suspects_in_domain, suspects_in_training
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead
from tasks.modeling.label_scores import write_label_scores
from tasks.modeling.limits import TokenLimit

Write = Callable[..., Path]
HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=("refund", "praise")),
    "urgency": RegressionHead(column="urgency"),
}
LIMIT = TokenLimit(max_tokens=16)
WRONG = (4, 31)


def rows(count: int) -> dict[str, list[Any]]:
    """Texts of two kinds by turns, with the labels of two of them exchanged."""
    texts = [f"my parcel {row} is far away" if row % 2 else f"money back {row}" for row in range(count)]
    labels = ["praise" if (row % 2 == 1) != (row in WRONG) else "refund" for row in range(count)]
    return {"text": texts, "intent": labels, "urgency": [0.5] * count}


def test_exchanged_labels_of_training_are_suspected_by_what_other_rows_say(
    write_rows: Write, tiny_encoder: Path
) -> None:
    snapshot = write_rows("train", **rows(80))
    found = suspects_in_training(snapshot, HEADS, tiny_encoder, LIMIT, ["text"])
    assert set(found) == {"intent"}
    assert {(of.id, of.given, of.suggested) for of in found["intent"]} == {
        ("train-4", "praise", "refund"),
        ("train-31", "refund", "praise"),
    }


def test_rows_without_a_label_take_no_part_and_few_rows_say_nothing(write_rows: Write, tiny_encoder: Path) -> None:
    columns = rows(80)
    columns["intent"][10:] = [None] * 70
    assert suspects_in_training(write_rows("train", **columns), HEADS, tiny_encoder, LIMIT, ["text"]) == {}


def test_a_task_of_numbers_needs_no_encoder(write_rows: Write, tmp_path: Path) -> None:
    heads = {"urgency": HEADS["urgency"]}
    assert suspects_in_training(write_rows("train", **rows(60)), heads, tmp_path / "none", LIMIT, ["text"]) == {}


@pytest.mark.parametrize("count", [60, 40])
def test_labels_in_domain_are_suspected_by_the_models_own_probabilities(
    write_rows: Write, tmp_path: Path, count: int
) -> None:
    snapshot = write_rows("test", **rows(count))
    sure = np.array([[-2.0, 2.0] if row % 2 else [2.0, -2.0] for row in range(count)], dtype=np.float32)
    write_label_scores(tmp_path, "test", "intent", sure)
    found = suspects_in_domain(snapshot, tmp_path, HEADS, ["text"])
    wanted = {"test-4", "test-31"} if count == 60 else set()
    assert {of.id for of in found.get("intent", [])} == wanted
