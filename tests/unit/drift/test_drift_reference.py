from collections.abc import Callable
from pathlib import Path

import numpy as np

from tasks.drift.reference import freeze_reference, read_reference, see
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead

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
