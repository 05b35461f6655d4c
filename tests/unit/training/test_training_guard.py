"""The guard: how an encoder reads a batch is chosen by what it says of rows, and refused where that is wrong."""

import logging

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    FNetConfig,
    FNetModel,
    GPT2Config,
    GPT2Model,
    MPNetConfig,
    MPNetModel,
    T5Config,
    T5Model,
)

from data_contracts.errors import InputError
from tasks.modeling import packing
from tasks.modeling.heads import SingleLabelHead
from tasks.modeling.network import MultiTaskNetwork
from tasks.training.guard import choose_packing

WIDTH = {"vocab_size": 500, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
IDS = [[5 + row + at for at in range(3 + 2 * row)] for row in range(12)]


def network_of(encoder: nn.Module) -> MultiTaskNetwork:
    """The encoder with a head."""
    return MultiTaskNetwork(encoder, {"intent": SingleLabelHead(column="intent", labels=("a", "b"))})


def bert() -> BertModel:
    """Three layers with random weights and dropout."""
    torch.manual_seed(0)
    return BertModel(BertConfig(**WIDTH, num_hidden_layers=3), add_pooling_layer=False)


@pytest.mark.parametrize("bf16", [False, True])
def test_an_encoder_that_says_the_same_end_to_end_is_packed(bf16: bool) -> None:
    network = network_of(bert()).train()
    choose_packing(network, IDS, 0, bf16=bf16)
    assert network.packed
    assert network.training


@pytest.mark.parametrize("name", ["mpnet", "gpt2"])
def test_an_encoder_whose_attention_cannot_be_replaced_or_is_of_another_kind_pads(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = {
        "mpnet": lambda: MPNetModel(MPNetConfig(**WIDTH, num_hidden_layers=2), add_pooling_layer=False),
        "gpt2": lambda: GPT2Model(GPT2Config(vocab_size=500, n_embd=32, n_layer=2, n_head=2)),
    }[name]()
    network = network_of(encoder)
    choose_packing(network, IDS, 0, bf16=False)
    assert not network.packed
    assert encoder.config._attn_implementation != packing.ATTENTION
    assert ("GPT2Model reads padded batches" in caplog.text) == (name == "gpt2")


def test_an_encoder_that_says_something_else_end_to_end_pads_and_the_log_says_by_how_much(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # As if the kernel attended across rows.
    monkeypatch.setattr(packing, "layout_of", lambda mask: everything_in_one_row(mask))
    network = network_of(bert())
    with caplog.at_level(logging.WARNING):
        choose_packing(network, IDS, 0, bf16=False)
    assert not network.packed
    assert "BertModel reads padded batches, which takes longer: end to end, a state differs by" in caplog.text


def everything_in_one_row(mask: Tensor) -> packing.Layout:
    """A layout that takes all rows for one."""
    real = int(mask.sum())

    class Wrong(packing.Layout):
        def side_by_side(self, states: Tensor) -> Tensor:
            if states.shape[1:] == (32,):
                places = mask.flatten().nonzero().squeeze(1)
                return packing.Layout(mask, places, self.ends, self.lengths).side_by_side(states)
            return super().side_by_side(states)

        def end_to_end(self, states: Tensor) -> Tensor:
            return states[mask.bool()] if states.shape[:2] == mask.shape else super().end_to_end(states)

    return Wrong(torch.ones(1, real, dtype=torch.bool), torch.arange(real), torch.tensor([0, real]), {real: 1})


class TakesPaddingForText(BertModel):
    """An encoder that does not look at its mask."""

    def forward(self, *args: object, **others: object) -> object:  # type: ignore[override]
        """As ever."""
        return super().forward(*args, **{**others, "attention_mask": None})  # type: ignore[arg-type]

    def _can_set_attn_implementation(self) -> bool:  # type: ignore[override]
        return False


def test_an_encoder_that_takes_padding_for_text_is_refused() -> None:
    torch.manual_seed(0)
    network = network_of(TakesPaddingForText(BertConfig(**WIDTH, num_hidden_layers=2), add_pooling_layer=False))
    with pytest.raises(
        InputError, match=r"TakesPaddingForText cannot be trained in batches: of 8 training rows, a sta"
    ):
        choose_packing(network, IDS, 0, bf16=False)


def test_an_encoder_that_mixes_tokens_without_attention_is_refused_and_has_no_other_attention() -> None:
    layers = {"vocab_size": 500, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}
    network = network_of(FNetModel(FNetConfig(**layers), add_pooling_layer=False))
    before = packing.attention_of(network.encoder)
    with pytest.raises(InputError, match="encoder FNetModel cannot be trained in batches"):
        choose_packing(network, IDS, 0, bf16=False)
    assert packing.attention_of(network.encoder) == before


def test_an_encoder_that_asks_for_more_than_tokens_is_refused() -> None:
    network = network_of(T5Model(T5Config(vocab_size=500, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2)))
    with pytest.raises(InputError, match=r"encoder T5Model gives no states of tokens and their mask alone: You must s"):
        choose_packing(network, IDS, 0, bf16=False)


def test_rows_of_all_lengths_are_compared() -> None:
    network, seen = network_of(bert()), []
    network.encoder.register_forward_pre_hook(
        lambda _, __, given: seen.append(given["input_ids"].shape), with_kwargs=True
    )
    choose_packing(network, IDS, 0, bf16=False)
    assert [shape[1] for shape in seen] == [3, 5, 9, 11, 15, 17, 21, 25, 106]
