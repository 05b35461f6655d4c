from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.drift.seen import OfTask, rights, see
from tasks.modeling.heads import AnyHead, MultiLabelHead, OrdinalHead, RegressionHead, SingleLabelHead, TokenTagHead
from tasks.modeling.label_scores import write_label_scores
from tests.unit.drift.worlds import seen


def test_entropy_is_a_share_of_the_largest_there_can_be() -> None:
    shares = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]], np.float32)
    assert OfTask(np.ones(3), shares).entropy == pytest.approx([1, 0, 0.5], abs=1e-6)
    assert OfTask(np.ones(3)).entropy is None


def test_entropy_of_the_only_label_there_is_is_nothing() -> None:
    assert OfTask(np.ones(2), np.ones((2, 1), np.float32)).entropy == pytest.approx([0, 0])


def test_rows_are_taken_with_all_that_is_known_of_them() -> None:
    rows = seen([[1, 0], [2, 0], [3, 0]], [0.1, 0.2, 0.3], np.eye(3), [0, 1, 0], [5, 6, 7])
    taken = rows.at(np.array([2, 0]))
    assert len(taken) == 2
    assert taken.embeddings[:, 0].tolist() == [3, 1]
    of = taken.tasks["intent"]
    assert (of.confidences.tolist(), of.given.tolist(), of.right.tolist()) == ([0.3, 0.1], [2, 0], [0, 0])
    assert taken.distances.tolist() == [7, 5]


@pytest.mark.parametrize("lost", ["embeddings", "confidences", "shares"])
def test_a_row_that_lacks_any_number_is_not_finite(lost: str) -> None:
    values = {"embeddings": np.ones((3, 2)), "confidences": np.ones(3), "shares": np.full((3, 2), 0.5)}
    values[lost][1] = np.nan if lost != "embeddings" else np.inf
    assert seen(**values).finite.tolist() == [True, False, True]


def test_a_split_is_seen_with_calibrated_shares_and_lost_answers(
    write_model_answers: Callable[..., Path],
) -> None:
    heads: dict[str, AnyHead] = {
        "intent": SingleLabelHead(column="intent", labels=("a", "b"), temperature=2.0),
        "topics": MultiLabelHead(column="topics", labels=("x", "y")),
        "urgency": RegressionHead(column="urgency"),
    }
    folder = write_model_answers(
        "m",
        "window",
        {"intent": ["a", None], "topics": [["x"], []], "urgency": [0.5, 0.5]},
        {"intent": [0.9, None], "topics": [0.3, 0.4]},
        [[1.0], [2.0]],
    )
    write_label_scores(folder, "window", "intent", np.array([[np.log(9) * 2, 0], [0, 0]], np.float32))
    found = see(folder, "window", heads)
    assert found.embeddings.tolist() == [[1.0], [2.0]]
    # A regression has no confidence to watch.
    assert found.tasks.keys() == {"intent", "topics"}
    assert found.tasks["intent"].shares == pytest.approx(np.array([[0.9, 0.1], [0.5, 0.5]]))
    assert np.array_equal(found.tasks["intent"].confidences, [0.9, np.nan], equal_nan=True)
    assert found.tasks["topics"].shares is None
    assert found.tasks["topics"].confidences.tolist() == [0.3, 0.4]
    assert found.finite.tolist() == [True, False]
    assert all(of.right is None for of in found.tasks.values())


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
    head: AnyHead, answers: list[object], labels: list[object]
) -> None:
    assert np.array_equal(rights(head, answers, labels), [1, 0, np.nan], equal_nan=True)
