"""Where layers that go by angles begin."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tasks.modeling.heads import AnyHead, MultiLabelHead
from tasks.modeling.network import MultiTaskNetwork, new_network
from tasks.training import imprinting
from tasks.training.imprinting import imprint_heads
from tasks.training.ranks import ALONE
from tasks.training.rows import Rows, read_rows


@pytest.fixture
def rows(toy_splits: Path, toy_heads: dict[str, AnyHead]) -> Rows:
    """The training rows of the toy problem."""
    return read_rows(toy_splits / "snapshot", toy_splits / "tokens", "train", toy_heads)


@pytest.fixture
def network(tiny_encoder: Path, toy_heads: dict[str, AnyHead]) -> MultiTaskNetwork:
    """A network of its heads, nothing of which was learnt."""
    torch.manual_seed(0)
    return new_network(tiny_encoder, toy_heads).train()


def means_row_by_row(network: MultiTaskNetwork, rows: Rows, task: str, count: int) -> list[Tensor]:
    """Of each label, the mean of what the first `count` examples of it give the last layer, each row by itself."""
    head, layers = network.heads[task], network.layers[task]
    given: list[Tensor] = []
    layers[-1].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))  # type: ignore[index, operator]
    found: list[list[Tensor]] = [[] for _ in head.labels]
    network.eval()
    for row in range(len(rows.lengths)):
        batch = rows.batch([row], {task: head}, 0)
        with torch.no_grad():
            network(batch.input_ids, batch.mask, batch.words, [task])
        for target, state in zip(batch.targets[task].flatten(), given.pop().flatten(0, -2), strict=True):
            if target >= 0 and len(found[target]) < count:
                found[target].append(state)
    return [torch.stack(of_label).mean(dim=0) if of_label else torch.zeros(0) for of_label in found]


@pytest.mark.parametrize("count", [3, 32])
@pytest.mark.parametrize("task", ["intent", "places"])
def test_each_label_begins_at_the_mean_of_its_first_texts_or_words(
    task: str, count: int, network: MultiTaskNetwork, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imprinting, "EXAMPLES_PER_LABEL", count)
    last = network.layers[task][-1]  # type: ignore[index]
    before = last.weight.detach().clone()
    imprint_heads(network, rows, 0, ALONE)
    assert network.training
    means = means_row_by_row(network, rows, task, count)
    occurring = [label for label, mean in enumerate(means) if len(mean)]
    centre = torch.stack([means[label] for label in occurring]).mean(dim=0)
    assert torch.allclose(last.centre, centre, atol=1e-5)
    for label, mean in enumerate(means):
        expected = functional.normalize(mean - centre, dim=0) if len(mean) else before[label]
        assert torch.allclose(last.weight[label], expected, atol=1e-4)
    # No word of the toy problem is inside of a place.
    assert len(occurring) == 2


def test_each_label_of_lists_begins_at_the_mean_of_its_texts_and_is_as_likely_as_in_training(
    tiny_encoder: Path, rows: Rows
) -> None:
    head = MultiLabelHead(column="topics", labels=("a", "b", "never"))
    given = [[["a"], ["b", "a"], None, []][row % 4] for row in range(40)]
    network = new_network(tiny_encoder, {"topics": head}).eval()
    listed = Rows(rows.tokens, {"topics": given}, {"topics": given})
    imprint_heads(network, listed, 0, ALONE)
    last, states = network.layers["topics"][-1], []  # type: ignore[index, var-annotated]
    last.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0][0]))
    for row in range(40):
        batch = listed.batch([row], {"topics": head}, 0)
        with torch.no_grad():
            network(batch.input_ids, batch.mask, batch.words, ["topics"])
    means = [
        torch.stack([states[row] for row in range(40) if label in (given[row] or ())]).mean(dim=0) for label in "ab"
    ]
    assert torch.allclose(last.centre, (means[0] + means[1]) / 2, atol=1e-5)
    assert torch.allclose(last.weight[0], functional.normalize(means[0] - last.centre, dim=0), atol=1e-4)
    # Of 30 lists 20 and 10 hold them, and none the last.
    assert last.bias.sigmoid().tolist() == pytest.approx([21 / 32, 11 / 32, 1 / 32])


def test_linear_layers_and_those_of_other_heads_are_left_alone(
    tiny_encoder: Path, toy_heads: dict[str, AnyHead], rows: Rows
) -> None:
    intent = toy_heads["intent"].model_copy(update={"classifier": "linear"})
    network = new_network(tiny_encoder, {"intent": intent, "urgency": toy_heads["urgency"]})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    imprint_heads(network, rows, 0, ALONE)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_window_without_a_label_and_a_word_that_was_cut_off_are_no_examples(
    network: MultiTaskNetwork, rows: Rows
) -> None:
    labels = {task: list(of) for task, of in rows.labels.items()}
    labels["intent"][::2] = [None] * 20
    starts = [[-1, *of[1:]] for of in rows.tokens.words["places"].starts]
    words = replace(rows.tokens.words["places"], starts=starts)
    cut = Rows(replace(rows.tokens, words={"places": words}), labels, labels)
    found = {task: imprinting._first_of_each_label(network.heads[task], task, cut) for task in ("intent", "places")}  # type: ignore[arg-type]
    assert {window % 2 for window in found["intent"]} == {1}
    assert all(place > 0 for examples in found["places"].values() for place, _ in examples)
