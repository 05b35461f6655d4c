from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.drift.reference import freeze_reference, read_reference, see
from tasks.modeling.heads import AnyHead, MultiLabelHead, OrdinalHead, RegressionHead, SingleLabelHead, TokenTagHead

Write = Callable[..., Path]
HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=("a", "b")),
    "tone": SingleLabelHead(column="tone", labels=("a", "b")),
    "urgency": RegressionHead(column="urgency"),
}


def answers_of(*answers: str) -> dict[str, list[object]]:
    return {"intent": list(answers), "tone": list(answers), "urgency": [0.5] * len(answers)}


def test_a_reference_comes_back_as_it_was_frozen(write_rows: Write, write_model_answers: Write, tmp_path: Path) -> None:
    write_rows("validation", intent=["a", None], tone=[None, None], urgency=[0.1, 0.2])
    snapshot = write_rows("test", intent=["a", "b", "b"], tone=[None] * 3, urgency=[0.1, 0.2, 0.3])
    write_rows("noisy", intent=["a"], tone=["a"], urgency=[0.1])
    embeddings = np.arange(10, dtype=np.float32).reshape(5, 2)
    confidences = {"intent": [0.1, 0.2], "tone": [0.6, 0.7]}
    write_model_answers("m", "validation", answers_of("a", "a"), confidences, embeddings[:2])
    confidences = {"intent": [0.3, 0.4, 0.5], "tone": [0.8, 0.9, 1.0]}
    answers = write_model_answers("m", "test", answers_of("a", "a", "b"), confidences, embeddings[2:])
    assert freeze_reference(snapshot, answers, HEADS, tmp_path) == 5
    found = read_reference(tmp_path)
    assert np.array_equal(found.embeddings, embeddings)
    assert found.embeddings.dtype == np.float32
    assert found.confidences["intent"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert found.confidences["tone"].tolist() == [0.6, 0.7, 0.8, 0.9, 1.0]
    # The second row has no label, and no row has one for `tone`; a regression has no confidence to watch.
    assert np.array_equal(found.right["intent"], [1, np.nan, 1, 0, 1], equal_nan=True)
    assert found.right.keys() == {"intent"}
    assert found.confidences.keys() == {"intent", "tone"}


def test_a_window_is_seen_without_labels(write_model_answers: Write) -> None:
    answers = write_model_answers("m", "window", answers_of("a", "b"), {"intent": [0.3, 0.4]}, [[1.0], [2.0]])
    found = see(answers, "window", HEADS)
    assert found.embeddings.tolist() == [[1.0], [2.0]]
    assert found.confidences["intent"].tolist() == [0.3, 0.4]
    assert found.right == {}


@pytest.mark.parametrize(
    ("head", "answers", "labels"),
    [
        (OrdinalHead(column="c", labels=("low", "high")), ["low", "low", "high"], ["low", "high", None]),
        (MultiLabelHead(column="c", labels=("a", "b")), [["a", "b"], ["a"], []], [["b", "a"], ["a", "b"], None]),
        (
            TokenTagHead(column="c", labels=("O", "B-X", "I-X")),
            [["O", "B-X"], ["O"], ["O"]],
            [{"tokens": ["to", "Hue"], "tags": ["O", "B-X"]}, {"tokens": ["Hue"], "tags": ["B-X"]}, None],
        ),
    ],
    ids=["ordinal", "multi_label", "token_tags"],
)
def test_an_answer_counts_as_right_as_a_whole_whatever_its_kind(
    write_rows: Write,
    write_model_answers: Write,
    tmp_path: Path,
    head: AnyHead,
    answers: list[object],
    labels: list[object],
) -> None:
    for split in ("validation", "test"):
        snapshot = write_rows(split, c=labels)
        folder = write_model_answers("m", split, {"task": answers}, {"task": [0.9, 0.5, 0.7]}, np.zeros((3, 2)))
    assert freeze_reference(snapshot, folder, {"task": head}, tmp_path) == 6
    found = read_reference(tmp_path)
    assert np.array_equal(found.right["task"], [1, 0, np.nan] * 2, equal_nan=True)
    assert found.confidences["task"].tolist() == [0.9, 0.5, 0.7] * 2
