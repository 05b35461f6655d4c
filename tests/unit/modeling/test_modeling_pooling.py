"""Pooling of token states, and the layers between it and an answer."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from tasks.modeling.cosine import CosineLayer
from tasks.modeling.heads import (
    AnyHead,
    HeadsAdapter,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    TokenTagHead,
    WordTensors,
    mean_states,
)
from tasks.modeling.pooling import attended_states
from tasks.modeling.words import SHAPES

LABELS = ("bad", "good", "none")
OF_TEXTS: list[AnyHead] = [
    SingleLabelHead(labels=LABELS),
    MultiLabelHead(labels=LABELS),
    OrdinalHead(labels=LABELS),
    RegressionHead(),
]
STATES = torch.tensor([[[1.0, 10.0], [3.0, 20.0], [99.0, -99.0]]])
MASK = torch.tensor([[1, 1, 0]])


def kind_of(head: AnyHead) -> str:
    return head.kind


def logits_of(head: AnyHead, layers: nn.Module, states: Tensor, mask: Tensor) -> Tensor:
    """Logits in training mode under one seed; every text has the one word that begins at its second token."""
    words = WordTensors(torch.ones(len(states), 1, dtype=torch.long), torch.zeros(len(states), 1, dtype=torch.long))
    torch.manual_seed(11)
    return head.logits(layers.train(), states, mask, words)


@pytest.mark.parametrize(
    ("head", "width", "outputs"),
    [
        (SingleLabelHead(labels=LABELS, classifier="linear"), 8, 3),
        (RegressionHead(), 8, 1),
        (TokenTagHead(labels=("O", "B-X", "I-X"), classifier="linear"), 8 + len(SHAPES), 3),
    ],
    ids=["single_label", "regression", "token_tags"],
)
def test_a_head_is_dropout_and_a_linear_layer_to_the_bit(head: AnyHead, width: int, outputs: int) -> None:
    torch.manual_seed(7)
    found = head.layers(8)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    plain = nn.Sequential(nn.Dropout(0.1), nn.Linear(width, outputs))
    assert torch.equal(drawn, torch.rand(1))
    assert found.state_dict().keys() == plain.state_dict().keys()
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in found.state_dict().items())

    states, mask = torch.randn(2, 5, 8), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    read = mean_states(states, mask)
    if head.of_words:
        shape = nn.functional.one_hot(torch.tensor([[0], [0]]), len(SHAPES)).float()
        read = torch.cat([states[:, 1:2], shape], dim=-1)
    torch.manual_seed(11)
    expected = plain.train()(read)
    assert torch.equal(logits_of(head, found, states, mask).reshape(expected.shape), expected)


@pytest.mark.parametrize("head", OF_TEXTS, ids=kind_of)
@pytest.mark.parametrize("pooling", ["mean", "first", "attention"])
def test_logits_of_a_text_do_not_depend_on_padding_however_it_is_pooled(head: AnyHead, pooling: str) -> None:
    pooled = head.model_copy(update={"pooling": pooling})
    torch.manual_seed(0)
    layers = pooled.layers(4).eval()
    for parameter in layers.parameters():
        nn.init.normal_(parameter)
    states = torch.randn(1, 3, 4)
    padded = torch.cat([states, torch.full((1, 2, 4), 7.0)], dim=1)
    short = pooled.logits(layers, states, torch.ones(1, 3), None)
    long = pooled.logits(layers, padded, torch.tensor([[1, 1, 1, 0, 0]]), None)
    assert torch.allclose(short, long)


def test_the_first_token_alone_is_read_where_that_is_asked_for() -> None:
    head = RegressionHead(pooling="first", dropout=0.0)
    layers = head.layers(2)
    changed = STATES.clone()
    changed[:, 1:] = 5.0
    assert torch.equal(logits_of(head, layers, STATES, MASK), logits_of(head, layers, changed, MASK))
    changed[:, 0] = 5.0
    assert not torch.equal(logits_of(head, layers, STATES, MASK), logits_of(head, layers, changed, MASK))


def test_attention_weighs_tokens_by_the_softmax_of_their_products_with_a_query() -> None:
    # The second token fits better by log 3, so its weight is 3/4; the third is padding.
    query = torch.tensor([torch.tensor(3.0).log().item() / 2, 0.0])
    assert attended_states(STATES, MASK, query).tolist() == [pytest.approx([2.5, 17.5])]


def test_attention_begins_as_the_mean_and_learns_what_to_look_at() -> None:
    mean, attention = (RegressionHead(pooling=pooling, dropout=0.0) for pooling in ("mean", "attention"))  # type: ignore[arg-type]
    torch.manual_seed(3)
    plain = mean.layers(2)
    torch.manual_seed(3)
    layers = attention.layers(2)
    first = logits_of(attention, layers, STATES, MASK)
    assert first.tolist() == pytest.approx(logits_of(mean, plain, STATES, MASK).tolist())
    first.sum().backward()  # type: ignore[no-untyped-call]
    query = layers.get_parameter("query").grad
    assert query is not None
    assert query.abs().sum() > 0


def layers_of(**settings: Any) -> list[str]:
    """The layers of a classifier of three labels on states of width 8, in words."""
    head = SingleLabelHead.model_validate({"labels": LABELS, **settings})
    return [
        f"{layer.in_features} to {layer.out_features}"
        if isinstance(layer, nn.Linear)
        else f"cosine of {layer.weight.shape[1]} to {layer.weight.shape[0]}"
        if isinstance(layer, CosineLayer)
        else f"drop {layer.p}"
        if isinstance(layer, nn.Dropout)
        else type(layer).__name__
        for layer in head.layers(8).children()
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["drop 0.1", "cosine of 8 to 3"]),
        ({"classifier": "linear"}, ["drop 0.1", "8 to 3"]),
        ({"dropout": 0.4}, ["drop 0.4", "cosine of 8 to 3"]),
        ({"hidden": [5]}, ["drop 0.1", "8 to 5", "ReLU", "drop 0.1", "cosine of 5 to 3"]),
        (
            {"classifier": "linear", "hidden": [64, 32], "dropout": [0.5, 0.3]},
            ["8 to 64", "ReLU", "drop 0.5", "64 to 32", "ReLU", "drop 0.3", "32 to 3"],
        ),
    ],
)
def test_hidden_layers_and_their_dropout_stand_where_the_settings_say(
    settings: dict[str, Any], expected: list[str]
) -> None:
    assert layers_of(**settings) == expected


@pytest.mark.parametrize("head", [*OF_TEXTS, TokenTagHead(labels=("O", "B-X", "I-X"))], ids=kind_of)
def test_every_kind_of_head_may_have_hidden_layers(head: AnyHead) -> None:
    deep = head.model_copy(update={"hidden": (5,)})
    found = logits_of(deep, deep.layers(4), torch.randn(2, 3, 4), torch.ones(2, 3))
    plain = logits_of(head, head.layers(4), torch.randn(2, 3, 4), torch.ones(2, 3))
    assert found.shape == plain.shape
    assert sum(weight.ndim == 2 for weight in deep.layers(4).parameters()) == 2


def test_a_list_of_dropouts_is_as_long_as_that_of_hidden_layers() -> None:
    with pytest.raises(ValidationError, match=r"2 shares for 1 hidden layers; give one for each"):
        SingleLabelHead.model_validate({"hidden": [64], "dropout": [0.5, 0.3]})
    with pytest.raises(ValidationError, match=r"1 shares for 0 hidden layers"):
        SingleLabelHead.model_validate({"dropout": [0.5]})


@pytest.mark.parametrize(
    "settings", [{"dropout": 1.0}, {"hidden": [0]}, {"hidden": [4], "dropout": [1.0]}, {"pooling": "max"}]
)
def test_settings_that_make_no_layers_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SingleLabelHead.model_validate(settings)


def test_settings_of_layers_come_back_from_json() -> None:
    heads: dict[str, AnyHead] = {
        "a": SingleLabelHead(labels=LABELS, hidden=(64, 32), dropout=(0.5, 0.3), pooling="attention"),
        "b": MultiLabelHead(labels=LABELS, threshold=0.3, dropout=0.2),
        "c": OrdinalHead(labels=LABELS, pooling="first"),
    }
    assert HeadsAdapter.validate_json(HeadsAdapter.dump_json(heads)) == heads
