"""The first piece of every word, by the characters that pieces and words cover."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from tasks.modeling.ragged import Ragged

Spans = Sequence[Sequence[tuple[int, int]]]


def first_pieces(pieces: Spans, words: Spans) -> Ragged:
    """For each text the position of the first piece of each word, -1 where the tokenizer dropped the word.

    Pieces and words are (start, end) in characters of their text and in its order; a special token covers none.
    """
    pieces_of, of_pieces = _flat(pieces)
    words_of, of_words = _flat(words)
    positions = np.arange(len(of_pieces)) - np.repeat(np.cumsum(pieces_of) - pieces_of, pieces_of)
    # Texts are laid end to end, far enough apart that no piece of one covers a word of the next.
    width = 1 + max(int(of_pieces.max(initial=0)), int(of_words.max(initial=0)))
    of_pieces += (np.repeat(np.arange(len(pieces_of)), pieces_of) * width)[:, None]
    of_words += (np.repeat(np.arange(len(words_of)), words_of) * width)[:, None]
    covering = of_pieces[:, 1] > of_pieces[:, 0]
    positions, (starts, ends) = positions[covering], of_pieces[covering].T
    if not len(positions):
        return Ragged(np.full(len(of_words), -1, dtype=np.int32), words_of)
    at = np.searchsorted(starts, of_words[:, 0])
    begins_here = starts[np.minimum(at, len(starts) - 1)] == of_words[:, 0]
    # A piece may hold more than the word: an emoji glued to it, or the space before it (SentencePiece).
    at -= ~begins_here & (at > 0) & (ends[at - 1] > of_words[:, 0])
    at = np.where(at < len(starts), at, len(starts) - 1)
    found = np.where((starts[at] < of_words[:, 1]) & (ends[at] > of_words[:, 0]), positions[at], -1)
    return Ragged(found.astype(np.int32), words_of)


def _flat(spans: Spans) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many spans each text has, and (spans, 2) of all of them."""
    lengths = np.fromiter(map(len, spans), dtype=np.int64, count=len(spans))
    ends = np.fromiter(chain.from_iterable(chain.from_iterable(spans)), dtype=np.int64, count=2 * int(lengths.sum()))
    return lengths, ends.reshape(-1, 2)
