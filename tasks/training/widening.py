"""Wider batches: a batch with rows of padding behind it, so that batches of many sizes become batches of a few.

The rows that are added have no label, so what is learnt is the same.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tasks.modeling.heads import AnyHead, WordTensors
from tasks.training.rows import Batch

# For recordings: to make one takes as long as some twenty steps, and a step of a small encoder hardly any longer for
# more tokens, so sizes are far apart.
TOKENS = (256, 512, 768, 1024, 1536, 2048, 2560, 3072)
# For a processor, which prepares itself for each number of tokens that it is given.
TOKENS_APART = 32
# Of a row that is added: as many as any encoder has positions for.
MOST_ADDED = 32
ROWS_APART = 8
SHORTEST = 32


class Size(NamedTuple):
    """Real tokens, rows, and tokens, or words if those are more, of the longest row."""

    tokens: int
    rows: int
    longest: int


def size_of(batch: Batch) -> Size:
    """That of the batch as it is."""
    rows, longest = batch.mask.shape
    words = (words.starts.shape[1] for words in batch.words.values())
    return Size(int(batch.mask.sum()), rows, max(longest, *words, 1))


def size_above(size: Size) -> Size | None:
    """The next of the few sizes that a batch can be widened to, or None where it is larger than those.

    How many rows are added hangs on the tokens of that size alone, so that there are few: as many as take what it may
    have more, and a token each.
    """
    longest = max(SHORTEST, 1 << (size.longest - 1).bit_length())
    for below, tokens in pairwise((0, *TOKENS)):
        rows = rounded_up(size.rows, ROWS_APART) + rounded_up((tokens - below) // MOST_ADDED + 1, ROWS_APART)
        if size.tokens + rows - size.rows <= tokens:
            return Size(tokens, rows, longest)
    return None


def size_rounded(size: Size) -> Size | None:
    """The next size whose tokens are a multiple of 32, or None for one that is such a size."""
    tokens = rounded_up(size.tokens, TOKENS_APART)
    rows = size.rows - (size.tokens - tokens) // size.longest
    return Size(tokens, rows, size.longest) if tokens > size.tokens else None


def widened(batch: Batch, to: Size, heads: Mapping[str, AnyHead], pad_id: int) -> Batch:
    """The batch with rows of padding behind its own, which come before and have the same states, labels and losses."""
    size = size_of(batch)
    added = to.rows - size.rows
    each, rest = divmod(to.tokens - size.tokens, added)
    lengths = torch.full((added,), each)
    lengths[:rest] += 1
    mask = _wider(batch.mask, to, 0)
    mask[size.rows :] = torch.arange(to.longest) < lengths[:, None]
    words = {column: WordTensors(*(_wider(of, to, -1) for of in given)) for column, given in batch.words.items()}
    targets = {}
    for task, given in batch.targets.items():
        missing = float(heads[task].targets([None]).flatten()[0])
        targets[task] = _wider(given, to, missing, of_words=heads[task].of_words)
    segments = None if batch.segments is None else _wider(batch.segments, to, 0)
    return Batch(_wider(batch.input_ids, to, pad_id), mask, words, targets, segments)


def _wider(values: Tensor, to: Size, filler: float, *, of_words: bool = True) -> Tensor:
    """(rows, ...) with more rows, and more to the right of them where it is of tokens or words."""
    down = to.rows - values.shape[0]
    right = to.longest - values.shape[1] if of_words else 0
    return functional.pad(values, (0, down) if values.dim() == 1 else (0, right, 0, down), value=filler)


def rounded_up(number: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-number // step) * step
