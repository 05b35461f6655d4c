"""How long a text may be: encoders have a position for every token, and some of them keep the first ones."""

from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    LongformerConfig,
    MPNetConfig,
    MPNetModel,
    PretrainedConfig,
    RobertaConfig,
    RobertaModel,
    RobertaPreLayerNormConfig,
    RobertaPreLayerNormModel,
    T5Config,
    XLNetConfig,
)

from tasks.modeling.encoder import token_positions


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        (BertConfig(), 512),
        (RobertaConfig(max_position_embeddings=514), 512),
        (RobertaConfig(max_position_embeddings=514, pad_token_id=0), 513),
        (LongformerConfig(max_position_embeddings=4098), 4096),
        (MPNetConfig(max_position_embeddings=514, pad_token_id=0), 512),
        (XLNetConfig(), None),
        (T5Config(), None),
    ],
)
def test_positions_limit_a_text_and_those_before_the_first_token_are_none(
    config: PretrainedConfig, positions: int | None, tmp_path: Path
) -> None:
    config.save_pretrained(tmp_path)
    assert token_positions(tmp_path) == positions


@pytest.mark.parametrize(
    ("model", "config"),
    [(RobertaModel, RobertaConfig), (RobertaPreLayerNormModel, RobertaPreLayerNormConfig), (MPNetModel, MPNetConfig)],
)
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_a_text_with_a_token_for_every_position_is_read(
    model: type[torch.nn.Module], config: type[PretrainedConfig], padding: int, tmp_path: Path
) -> None:
    layers = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    encoder = model(config(**layers, vocab_size=50, max_position_embeddings=20, pad_token_id=padding))
    encoder.config.save_pretrained(tmp_path)  # type: ignore[union-attr, operator]
    longest = token_positions(tmp_path)
    assert longest is not None
    assert encoder(torch.full((1, longest), 7)).last_hidden_state.isfinite().all()
    with pytest.raises((IndexError, RuntimeError)):
        encoder(torch.full((1, longest + 1), 7))
