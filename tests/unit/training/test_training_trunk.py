"""The frozen part of an encoder, computed once: the same states and gradients as computing it in every step."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    DebertaV2Config,
    DebertaV2Model,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    ModernBertConfig,
    ModernBertModel,
    MPNetConfig,
    MPNetModel,
)

from tasks.modeling.encoder import freeze, set_dropout
from tasks.modeling.inference import mask_of, pad
from tasks.modeling.packing import pack
from tasks.training import trunk as module
from tasks.training.trunk import Trunk, trunk_of

WIDTH = {"vocab_size": 500, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
IDS = [[5 + row + at for at in range(3 + 2 * row)] for row in range(12)]
BATCH = [7, 0, 3]


def encoders() -> dict[str, nn.Module]:
    """Small encoders of three layers with random weights, as different as these come."""
    torch.manual_seed(0)
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    distil = DistilBertConfig(vocab_size=500, dim=32, n_layers=3, n_heads=2, hidden_dim=64)
    distances = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}
    return {
        "bert": BertModel(BertConfig(**WIDTH, num_hidden_layers=3), add_pooling_layer=False),
        "distilbert": DistilBertModel(distil),
        "modernbert": ModernBertModel(ModernBertConfig(**WIDTH, **special, num_hidden_layers=3)),
        "deberta": DebertaV2Model(DebertaV2Config(**WIDTH, num_hidden_layers=3, type_vocab_size=0, **distances)),
        "mpnet": MPNetModel(MPNetConfig(**WIDTH, num_hidden_layers=3, pad_token_id=0), add_pooling_layer=False),
    }


def states(encoder: nn.Module, rows: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Padded ids of those rows, their mask, and the states that the encoder computes as a whole."""
    ids = [IDS[row] for row in rows]
    batch, mask = pad(ids, 0), mask_of(ids)
    return batch, mask, encoder(input_ids=batch, attention_mask=mask).last_hidden_state


def prepared(encoder: nn.Module, layers: int) -> nn.Module:
    """The encoder as a training has it: without dropout, and frozen below `layers`."""
    set_dropout(encoder, 0.0)
    freeze(encoder, layers)
    return encoder.train()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("name", ["bert", "distilbert", "modernbert"])
def test_states_and_gradients_are_those_of_the_whole_encoder(
    name: str, layers: int, packed: bool, tmp_path: Path
) -> None:
    encoder = prepared(encoders()[name], layers)
    assert not packed or pack(encoder)
    trunk = trunk_of(encoder, layers, IDS, 0, 64, bf16=False, packed=packed, folder=tmp_path)
    assert trunk is not None
    batch, mask, whole = states(encoder, BATCH)
    kept = trunk.states(BATCH, batch, mask)
    assert torch.allclose(kept[mask.bool()], whole[mask.bool()], rtol=0, atol=1e-5)
    learning = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    assert bool(learning) == whole.requires_grad == kept.requires_grad
    if not learning:
        return
    expected, found = (
        torch.autograd.grad((reached * mask.unsqueeze(-1)).square().sum(), learning, allow_unused=True)
        for reached in (whole, kept)
    )
    assert any(gradient is not None for gradient in expected)
    for wanted, given in zip(expected, found, strict=True):
        assert (wanted is None) == (given is None)
        if wanted is not None and given is not None:
            assert torch.allclose(given, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["deberta", "mpnet"])
def test_whatever_is_learnt_frozen_layers_say_the_same_where_all_layers_share_distances(
    name: str, tmp_path: Path
) -> None:
    encoder = prepared(encoders()[name], 1)
    trunk = trunk_of(encoder, 1, IDS, 0, 64, bf16=False, packed=False, folder=tmp_path)
    assert trunk is not None
    with torch.no_grad():
        for weight in encoder.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight))
    batch, mask, whole = states(encoder, BATCH)
    kept = trunk.states(BATCH, batch, mask)
    assert torch.allclose(kept[mask.bool()], whole[mask.bool()], rtol=0, atol=1e-4)


def test_frozen_layers_are_not_computed_again(tmp_path: Path) -> None:
    encoder = prepared(encoders()["bert"], 2)
    trunk = trunk_of(encoder, 2, IDS, 0, 64, bf16=False, packed=False, folder=tmp_path)
    assert trunk is not None
    computed: list[int] = []
    for number, layer in enumerate(encoder.encoder.layer):  # type: ignore[union-attr, arg-type]
        layer.register_forward_hook(lambda _, __, ___, number=number: computed.append(number))
    batch, mask = pad([IDS[row] for row in BATCH], 0), mask_of([IDS[row] for row in BATCH])
    trunk.states(BATCH, batch, mask)
    assert computed == [2]


def test_an_encoder_that_cannot_be_cut_is_computed_as_a_whole_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Between embeddings and layers it has a projection, which the states would go through a second time.
    electra = prepared(ElectraModel(ElectraConfig(**WIDTH, num_hidden_layers=3, embedding_size=16)), 2)
    with caplog.at_level(logging.INFO):
        assert trunk_of(electra, 2, IDS, 0, 64, bf16=False, packed=False, folder=tmp_path) is None
    assert "the frozen layers of ElectraModel are computed in every step" in caplog.text


def test_nothing_is_left_behind_in_an_encoder_that_cannot_be_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = prepared(encoders()["bert"], 2)
    monkeypatch.setattr(module, "mask_of", lambda ids: mask_of(ids)[:, :-1])
    assert trunk_of(encoder, 2, IDS, 0, 64, bf16=False, packed=False, folder=tmp_path) is None
    assert not any(part._forward_hooks for part in encoder.modules())


def test_states_that_differ_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = prepared(encoders()["bert"], 2)
    monkeypatch.setattr(module.Trunk, "states", lambda *_: states(encoder, list(range(8)))[2] + 1e-3)
    monkeypatch.setattr(module, "ROWS_COMPARED", 8)
    with caplog.at_level(logging.INFO):
        assert trunk_of(encoder, 2, IDS[:8], 0, 64, bf16=False, packed=False, folder=tmp_path) is None
    assert "a state differs by 1.0e-03" in caplog.text


def test_states_are_found_on_disk_by_whoever_asks_for_the_same(tmp_path: Path) -> None:
    trunk = trunk_of(prepared(encoders()["bert"], 2), 2, IDS, 0, 64, bf16=False, packed=False, folder=tmp_path)
    (kept,) = tmp_path.glob("states-*.bin")
    assert kept.stat().st_size == 4 * 32 * sum(len(ids) for ids in IDS)
    written = kept.stat().st_mtime_ns
    # In batches of another size they would be others by some bits.
    again = trunk_of(prepared(encoders()["bert"], 2), 2, IDS, 0, 16, bf16=False, packed=False, folder=tmp_path)
    assert list(tmp_path.glob("states-*.bin")) == [kept]
    assert kept.stat().st_mtime_ns == written
    batch, mask = pad([IDS[row] for row in BATCH], 0), mask_of([IDS[row] for row in BATCH])
    assert trunk is not None
    assert again is not None
    assert torch.equal(trunk.states(BATCH, batch, mask), again.states(BATCH, batch, mask))


@pytest.mark.parametrize("change", ["segments", "weights", "layers", "rows", "precision", "encoder"])
def test_states_of_something_else_are_not_taken(change: str, tmp_path: Path) -> None:
    assert (
        trunk_of(prepared(encoders()["bert"], 1), 1, IDS, 0, 64, bf16=False, packed=False, folder=tmp_path) is not None
    )
    encoder, layers, ids = encoders()["distilbert" if change == "encoder" else "bert"], 1, IDS
    if change == "weights":
        with torch.no_grad():
            encoder.encoder.layer[0].output.dense.bias[3] += 0.5  # type: ignore[union-attr, index]
    if change == "layers":
        layers = 2
    segments = [[0] * len(row) for row in IDS] if change == "segments" else None
    if change == "rows":
        ids = [*IDS[:-1], [*IDS[-1][:-1], 499]]
    prepared(encoder, layers)
    assert trunk_of(
        encoder, layers, ids, 0, 64, bf16=change == "precision", packed=False, folder=tmp_path, segments=segments
    )
    assert len(list(tmp_path.glob("states-*.bin"))) == 2


def test_weights_that_learn_are_no_part_of_what_the_states_hang_on() -> None:
    # Its last norm is called behind whatever layers there are, those of the frozen part too.
    encoder = prepared(encoders()["modernbert"], 1)
    first = Trunk(encoder, 1, packed=False).digest(IDS, None)
    with torch.no_grad():
        encoder.final_norm.weight[3] += 0.5  # type: ignore[union-attr, index]
    assert Trunk(encoder, 1, packed=False).digest(IDS, None) == first
