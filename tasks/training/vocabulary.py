"""The part of an encoder's vocabulary that occurs in training, which is all of it that learns.

The embeddings of other tokens have no gradient. Left in, they are half of a small encoder and most of a multilingual
one: a gradient of zeros to fill, clip and apply in every step, two moments of the optimiser each, and a weight decay
that draws what was pre-trained to 0 though no row has anything to say against it.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional


class LearntEmbedding(nn.Module):
    """Embeddings of a whole vocabulary, of which only some learn: those are `weight`, (tokens that occur, width)."""

    def __init__(self, whole: nn.Embedding, occurring: Tensor) -> None:
        super().__init__()
        # Neither a part nor in the state: the rest of it stays what was pre-trained.
        self._whole = (whole,)
        self.register_buffer("rest", whole.weight.detach(), persistent=False)
        self.register_buffer("occurring", occurring, persistent=False)
        places = torch.full((whole.num_embeddings,), -1, device=occurring.device)
        places[occurring] = torch.arange(len(occurring), device=occurring.device)
        self.register_buffer("places", places, persistent=False)
        self.weight = nn.Parameter(self.get_buffer("rest")[occurring].clone())
        self.train(whole.training)
        # An encoder may know padding by another id than its tokenizer, one that no text has: -1 would be the last row.
        place = -1 if whole.padding_idx is None else int(places[whole.padding_idx])
        self._padding = None if place < 0 else place

    def forward(self, input_ids: Tensor) -> Tensor:
        """(..., width); in training, of tokens that occur in it."""
        places = self.get_buffer("places")[input_ids]
        learnt = functional.embedding(places if self.training else places.clamp(min=0), self.weight, self._padding)
        if self.training:
            return learnt
        rest = functional.embedding(input_ids, self.get_buffer("rest"))
        return torch.where(places.unsqueeze(-1) < 0, rest, learnt)

    def joined(self) -> nn.Embedding:
        """The whole vocabulary, with what was learnt in it."""
        weights = self.get_buffer("rest").clone()
        weights[self.get_buffer("occurring")] = self.weight.detach()
        (whole,) = self._whole
        whole.weight = nn.Parameter(weights)
        return whole


def learn_occurring(encoder: nn.Module, input_ids: Iterable[Sequence[int]], pad_id: int) -> bool:
    """Has only those tokens' embeddings learn; False where the encoder's learn not at all, or are of another make."""
    whole, name = _word_embedding(encoder)
    if whole is None or not whole.weight.requires_grad:
        return False
    occurring = torch.tensor(sorted({pad_id, *chain.from_iterable(input_ids)}), device=whole.weight.device)
    _replace(encoder, name, LearntEmbedding(whole, occurring))
    return True


def learn_all(encoder: nn.Module) -> None:
    """Puts the whole vocabulary back where `learn_occurring` took it apart."""
    for name, part in list(encoder.named_modules()):
        if isinstance(part, LearntEmbedding):
            _replace(encoder, name, part.joined())


def _word_embedding(encoder: nn.Module) -> tuple[nn.Embedding | None, str]:
    """The embedding of token ids and its path; none where it is scaled or shared, as its make says."""
    part = encoder.get_input_embeddings()  # type: ignore[operator]
    paths = [name for name, module in encoder.named_modules(remove_duplicate=False) if module is part]
    plain = type(part) is nn.Embedding and part.max_norm is None and not part.sparse and len(paths) == 1
    return (part, paths[0]) if plain else (None, "")


def _replace(encoder: nn.Module, path: str, part: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(encoder.get_submodule(parent), name, part)
