"""A multi-task network that has learnt nothing, and its folder."""

from pathlib import Path

import pytest

from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead, TokenTagHead
from tasks.modeling.limits import TokenLimit

LIMIT = TokenLimit(max_tokens=16)


@pytest.fixture(scope="session")
def heads() -> dict[str, AnyHead]:
    """A head of each kind, bound to a column."""
    return {
        "intent": SingleLabelHead(column="intent", labels=("refund", "delivery", "praise")),
        "places": TokenTagHead(column="tags", labels=("O", "B-PLACE", "I-PLACE")),
        "urgency": RegressionHead(column="urgency", mean=0.5, deviation=0.25),
    }


@pytest.fixture(scope="session")
def saved_network(tiny_encoder: Path, heads: dict[str, AnyHead], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network with these heads and a limit of 16 tokens."""
    import torch

    from tasks.modeling.network import new_network, save_network

    folder = tmp_path_factory.mktemp("network")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_network(new_network(tiny_encoder, heads), tiny_encoder, LIMIT, folder)
    return folder
