"""Rows end to end: the states of each row by itself, whatever stands beside it, and no computation for padding."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    EuroBertConfig,
    EuroBertModel,
    ModernBertConfig,
    ModernBertModel,
    RobertaConfig,
    RobertaModel,
    masking_utils,
)
from transformers.modeling_outputs import BaseModelOutput

from tasks.modeling import packing
from tasks.modeling.encoder import set_dropout
from tasks.modeling.inference import mask_of, pad
from tasks.modeling.packing import Layout, attend, attention_of, layout_of, pack, packed_states, unpack

WIDTH = {"vocab_size": 500, "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
IDS = [[5 + row + at for at in range(length)] for row, length in enumerate((7, 1, 12, 3, 12))]


def encoders() -> dict[str, nn.Module]:
    """Small encoders with random weights: with learnt positions, from 0 or 2 on, and rotary ones; with windows of
    attention that are shorter than the rows; with fewer heads of keys than of queries."""
    torch.manual_seed(0)
    layers = {**WIDTH, "num_hidden_layers": 3}
    return {
        "bert": BertModel(BertConfig(**layers), add_pooling_layer=False),
        "roberta": RobertaModel(RobertaConfig(**layers, pad_token_id=1), add_pooling_layer=False),
        "distilbert": DistilBertModel(DistilBertConfig(vocab_size=500, dim=32, n_layers=3, n_heads=4, hidden_dim=64)),
        "modernbert": ModernBertModel(ModernBertConfig(**layers, **SPECIAL, local_attention=6)),
        "eurobert": EuroBertModel(EuroBertConfig(**layers, **SPECIAL, mask_token_id=3, num_key_value_heads=2)),
    }


def alone(encoder: nn.Module, row: list[int]) -> Tensor:
    """The states of a row by itself, (tokens, width)."""
    states: Tensor = encoder(input_ids=torch.tensor([row])).last_hidden_state[0]
    return states


@pytest.mark.parametrize("kernel", ["_length_by_length", "_side_by_side"])
@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "modernbert", "eurobert"])
def test_states_and_gradients_are_those_of_each_row_by_itself(
    name: str, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_kernel_for", lambda *_: getattr(packing, kernel))
    encoder = encoders()[name]
    set_dropout(encoder, 0.0)
    expected = torch.cat([alone(encoder, row) for row in IDS])
    learning = list(encoder.parameters())
    wanted = torch.autograd.grad(expected.square().sum(), learning)
    assert pack(encoder)
    mask = mask_of(IDS)
    states = packed_states(encoder, pad(IDS, 0), mask)
    assert states.shape == (5, 12, 32)
    assert torch.allclose(states[mask.bool()], expected, rtol=0, atol=2e-6)
    assert states[~mask.bool()].abs().max() == 0
    found = torch.autograd.grad(states.square().sum(), learning)
    for gradient, other in zip(found, wanted, strict=True):
        assert torch.allclose(gradient, other, rtol=1e-3, atol=2e-4)


def test_in_bf16_a_cpu_attends_in_fp32_whose_gradient_is_a_tenth_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    attended: list[torch.dtype] = []
    real = packing._attention

    def attention(states: list[Tensor], *others: object) -> Tensor:
        attended.extend(of.dtype for of in states)
        found = real(states, *others)  # type: ignore[arg-type]
        attended.append(found.dtype)
        return found

    monkeypatch.setattr(packing, "_attention", attention)
    encoder = encoders()["bert"].eval()
    expected = torch.cat([alone(encoder, row) for row in IDS])
    assert pack(encoder)
    with torch.autocast("cpu", torch.bfloat16):
        found = packed_states(encoder, pad(IDS, 0), mask_of(IDS))[mask_of(IDS).bool()]
    assert set(attended) == {torch.float32}
    assert not torch.equal(found, expected)
    assert torch.allclose(found.float(), expected, rtol=0, atol=4e-2)
    query = torch.randn(1, 4, 35, 8, dtype=torch.bfloat16)
    attended_in_half, _ = attend(nn.Module(), query, query, query, None, layout=layout_of(mask_of(IDS)))
    assert attended_in_half.dtype == torch.bfloat16


def test_windows_of_attention_are_told_apart_from_attention_to_all() -> None:
    encoder = encoders()["modernbert"]
    assert pack(encoder)
    windowed = packed_states(encoder, pad(IDS, 0), mask_of(IDS))
    whole = ModernBertModel(ModernBertConfig(**WIDTH, **SPECIAL, num_hidden_layers=3, local_attention=64))
    whole.load_state_dict(encoder.state_dict())
    assert pack(whole)
    assert (packed_states(whole, pad(IDS, 0), mask_of(IDS)) - windowed).abs().max() > 1e-3


def test_a_padded_batch_is_still_read_as_such() -> None:
    encoder = encoders()["bert"].eval()
    expected = encoder(input_ids=pad(IDS, 0), attention_mask=mask_of(IDS)).last_hidden_state
    assert pack(encoder)
    found = encoder(input_ids=pad(IDS, 0), attention_mask=mask_of(IDS)).last_hidden_state
    assert torch.equal(found, expected)
    unpack(encoder, "eager")
    assert attention_of(encoder) == "eager"


def test_no_layer_sees_padding() -> None:
    encoder = encoders()["bert"]
    assert pack(encoder)
    shapes: list[tuple[int, ...]] = []
    for layer in encoder.encoder.layer:  # type: ignore[union-attr]
        layer.register_forward_hook(lambda _, given, __: shapes.append(tuple(given[0].shape)))
    packed_states(encoder, pad(IDS, 0), mask_of(IDS))
    assert shapes == [(1, 35, 32)] * 3


def test_rows_end_to_end_need_no_mask_of_tokens_by_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    make = masking_utils.sdpa_mask

    def watched(*arguments: Any, **others: Any) -> Any:
        made.append(1)
        return make(*arguments, **others)

    monkeypatch.setattr(masking_utils, "sdpa_mask", watched)
    encoder = encoders()["modernbert"]  # whose window of attention would ask for one
    assert pack(encoder)
    packed_states(encoder, pad(IDS, 0), mask_of(IDS))
    assert made == []
    encoder(input_ids=pad(IDS, 0), attention_mask=mask_of(IDS))
    assert made


def test_an_encoder_with_attention_of_its_own_is_not_packed() -> None:
    class Own(nn.Module):
        """Mean of the embeddings so far."""

        def forward(self, input_ids: Tensor) -> BaseModelOutput:
            """States of no width."""
            return BaseModelOutput(last_hidden_state=input_ids.unsqueeze(-1).float())  # type: ignore[arg-type]

    assert not pack(Own())


@pytest.mark.parametrize("others", [{"softcap": 30.0}, {"position_bias": torch.zeros(1)}])
def test_attention_of_another_kind_is_refused(others: dict[str, object]) -> None:
    layout, states = layout_of(mask_of(IDS)), torch.zeros(1, 2, 35, 4)
    with pytest.raises(ValueError, match="more than weigh all tokens"):
        attend(nn.Identity(), states, states, states, None, layout=layout, **others)
    causal = nn.Identity()
    causal.is_causal = True  # type: ignore[assignment]
    with pytest.raises(ValueError, match="causal"):
        attend(causal, states, states, states, None, layout=layout)


def test_a_layout_says_where_rows_stand() -> None:
    layout = layout_of(torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 0]]))
    assert layout.places.tolist() == [3, 0, 1, 9, 10, 6, 7, 8]
    assert layout.ends.tolist() == [0, 1, 3, 5, 8]
    assert layout.ends.dtype == torch.int32  # as the kernels want it
    assert layout.lengths == {1: 1, 2: 2, 3: 1}
    tokens = torch.arange(1, 9)
    assert layout.side_by_side(tokens).tolist() == [[2, 3, 0], [1, 0, 0], [6, 7, 8], [4, 5, 0]]
    assert layout.end_to_end(layout.side_by_side(tokens)).tolist() == tokens.tolist()
    assert isinstance(layout, Layout)


def test_the_two_texts_of_a_pair_are_told_apart() -> None:
    encoder = encoders()["bert"].eval()
    kinds = [[0] * (len(row) // 2) + [1] * (len(row) - len(row) // 2) for row in IDS]
    expected = [
        encoder(input_ids=torch.tensor([row]), token_type_ids=torch.tensor([of])).last_hidden_state[0]
        for row, of in zip(IDS, kinds, strict=True)
    ]
    assert pack(encoder)
    mask = mask_of(IDS)
    states = packed_states(encoder, pad(IDS, 0), mask, token_type_ids=pad(kinds, 0))
    assert torch.allclose(states[mask.bool()], torch.cat(expected), rtol=0, atol=2e-6)
    assert not torch.allclose(packed_states(encoder, pad(IDS, 0), mask), states, atol=1e-3)
