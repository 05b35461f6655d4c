"""One state for a whole text from those of its tokens: `states` is (batch, tokens, width), `mask` (batch, tokens).

`attention` is a mean by weights, the softmax of the states' products with a learnt vector (Lin et al. 2017,
arXiv:1703.03130, with one row of attention and no layer below it).
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

Pooling = Literal["mean", "first", "attention"]
QUERY = "query"


def mean_states(states: "Tensor", mask: "Tensor") -> "Tensor":
    """Mean of the real tokens' states: (batch, width)."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    # Padding must not dilute the mean: divide by real tokens, not by sequence length.
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def attended_states(states: "Tensor", mask: "Tensor", query: "Tensor") -> "Tensor":
    """Mean of the real tokens' states by how well each fits `query` (width,): (batch, width)."""
    fits = (states @ query).float().masked_fill(mask == 0, float("-inf"))
    return (states * fits.softmax(dim=1).unsqueeze(-1).to(states.dtype)).sum(dim=1)


def add_pooling(layers: "nn.Module", pooling: Pooling, width: int) -> "nn.Module":
    """The layers of a head with what its pooling has to learn."""
    import torch
    from torch import nn

    if pooling == "attention":
        # Of zeros, all tokens fit alike: what is learnt begins as the mean, and draws no random number.
        layers.register_parameter(QUERY, nn.Parameter(torch.zeros(width)))
    return layers


def pooled_states(states: "Tensor", mask: "Tensor", layers: "nn.Module", pooling: Pooling) -> "Tensor":
    """(batch, width), by the query that `add_pooling` gave the layers where they have one."""
    match pooling:
        case "mean":
            return mean_states(states, mask)
        case "first":
            return states[:, 0]
        case "attention":
            return attended_states(states, mask, layers.get_parameter(QUERY))
