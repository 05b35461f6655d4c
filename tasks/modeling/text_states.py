"""What a pre-trained encoder, which has learnt no task, makes of texts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.modeling.encoder import load_encoder
from tasks.modeling.inference import run_network
from tasks.modeling.limits import TokenLimit
from tasks.modeling.network import MultiTaskNetwork
from tasks.modeling.tokenized import TokenizedRows
from tasks.modeling.tokens import TextEncoder


def text_states(encoder: Path, texts: Sequence[str], limit: TokenLimit) -> NDArray[np.float32]:
    """(texts, width) means of the token states."""
    reader = TextEncoder(encoder, limit)
    encoded = reader.encode(texts)
    segments = None if encoded.segments is None else encoded.segments.lists()
    tokens = TokenizedRows(encoded.input_ids.lists(), encoded.rows.tolist(), {}, segments)
    network = MultiTaskNetwork(load_encoder(encoder), {})
    return run_network(network, tokens, pad_id=reader.pad_id, description="reading texts").embeddings
