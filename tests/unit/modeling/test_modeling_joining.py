"""One answer from several windows, computed by hand."""

import pytest
import torch

from tasks.modeling.heads import AnyHead, MultiLabelHead, OrdinalHead
from tasks.modeling.joining import Reading, join_windows, mean_over_windows, split_windows


def reading() -> Reading:
    """Two windows: the first of three words, the second of one."""
    return Reading(
        logits={
            "intent": torch.tensor([[1.0, 0.0, 0.0], [0.0, 5.0, 0.0]]),
            "places": torch.arange(18.0).reshape(2, 3, 3),
            "urgency": torch.tensor([1.0, 3.0]),
        },
        embeddings=torch.tensor([[0.0, 1.0], [4.0, 1.0]]),
        words={"tags": [3, 1]},
    )


def test_windows_weigh_by_their_tokens() -> None:
    assert mean_over_windows([torch.tensor(1.0), torch.tensor(3.0)], [3, 1]) == torch.tensor(1.5)


def test_windows_are_taken_apart_without_the_padding_of_their_words(heads: dict[str, AnyHead]) -> None:
    first, second = split_windows(reading(), [6, 2], heads)
    assert first.logits["places"].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert second.logits["places"].tolist() == [[9, 10, 11]]
    assert (second.logits["urgency"], second.tokens, second.words) == (torch.tensor(3.0), 2, {"tags": 1})


def test_texts_get_the_means_of_their_windows_and_all_their_words(heads: dict[str, AnyHead]) -> None:
    first, second = split_windows(reading(), [6, 2], heads)
    found = join_windows([[first, second], [second, second]], heads)
    assert found.logits["urgency"].tolist() == [1.5, 3.0]
    assert found.logits["intent"].tolist() == [[0.75, 1.25, 0.0], [0.0, 5.0, 0.0]]
    assert found.embeddings.tolist() == [[1.0, 1.0], [4.0, 1.0]]
    assert found.words == {"tags": [4, 2]}
    assert found.logits["places"].tolist() == [
        [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]],
        [[9, 10, 11], [9, 10, 11], [0, 0, 0], [0, 0, 0]],
    ]


def test_a_mean_of_logits_is_one_of_log_probabilities(heads: dict[str, AnyHead]) -> None:
    logits = [torch.tensor([3.0, 1.0, -2.0]), torch.tensor([-1.0, 0.5, 7.0])]
    shifted = [values.log_softmax(-1) for values in logits]
    first, second = (mean_over_windows(values, [5, 2]).softmax(-1) for values in (logits, shifted))
    assert first.tolist() == pytest.approx(second.tolist())


def test_windows_of_lists_of_labels_and_of_labels_in_order_are_joined_by_their_log_odds() -> None:
    heads: dict[str, AnyHead] = {
        "topics": MultiLabelHead(column="topics", labels=("refund", "praise")),
        "haste": OrdinalHead(column="haste", labels=("low", "middle", "high")),
    }
    # Three quarters of the tokens stand in the first window, which is sure of refund and of a low haste.
    logits = {
        "topics": torch.tensor([[4.0, -4.0], [-4.0, 0.0]]),
        "haste": torch.tensor([[-4.0, -8.0], [8.0, 4.0]]),
    }
    read = Reading(logits, embeddings=torch.zeros(2, 1), words={})
    found = join_windows([split_windows(read, [6, 2], heads)], heads)
    assert found.logits["topics"].tolist() == [[2.0, -3.0]]
    assert found.logits["haste"].tolist() == [[-1.0, -5.0]]
    assert heads["topics"].decode(found.logits["topics"], [0])[0] == [["refund"]]
    assert heads["haste"].decode(found.logits["haste"], [0])[0] == ["low"]
