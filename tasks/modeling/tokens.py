"""Texts to the token ids of their windows, and words to their first pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError
from tasks.modeling.alignment import Spans, first_pieces
from tasks.modeling.encoder import token_positions
from tasks.modeling.limits import TokenLimit
from tasks.modeling.ragged import Ragged, ragged
from tasks.modeling.windows import Frame, Windows, windows_of

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


@dataclass(frozen=True)
class EncodedTexts:
    """Ids of every window with special tokens, the text each window is of, and how many texts were cut."""

    input_ids: Ragged
    rows: NDArray[np.int64]
    truncated: int


@dataclass(frozen=True)
class AlignedTexts:
    """Encoded texts whose words can be found again; `pieces` are (start, end) in characters, (0, 0) if special."""

    encoded: EncodedTexts
    pieces: Spans
    windows: Windows

    def word_starts(self, words: Spans) -> Ragged:
        """For each window the position of the first piece of each word that is its own; all words in order.

        `words` are (start, end) in characters, text by text. -1 for a word that was cut off, or that the tokenizer
        dropped.
        """
        return self.windows.owning(first_pieces(self.pieces, words))


class TextEncoder:
    """The fast tokenizer of an encoder folder, with a limit that counts special tokens."""

    def __init__(self, folder: Path, limit: TokenLimit) -> None:
        positions = token_positions(folder)
        if positions is not None and limit.max_tokens > positions:
            raise InputError(
                f"`tokenization.max_tokens: {limit.max_tokens}` is more than the {positions} tokens that the encoder "
                f"in {folder} has positions for. Lower it, or choose an encoder for longer texts."
            )
        self._tokenizer, self.pad_id = _load(folder)
        self._frame = _frame_of(self._tokenizer)
        self._limit = limit

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Token ids of each text, of as many windows as the limit makes of it."""
        return self.cut(self.read(texts))

    def align(self, texts: Sequence[str]) -> AlignedTexts:
        """The same, with what it takes to find words again, which is slower."""
        return self.cut_aligned(self.read_aligned(texts))

    def read(self, texts: Sequence[str]) -> "list[Encoding]":
        """What the tokenizer makes of whole texts, on all cores and without holding back other threads."""
        return self._tokenizer.encode_batch_fast(texts)

    def read_aligned(self, texts: Sequence[str]) -> "list[Encoding]":
        """The same, with the characters that each piece covers."""
        return self._tokenizer.encode_batch(texts)

    def text_of(self, ids: Sequence[int]) -> str:
        """The text that those ids stand for, as near as the tokenizer can tell."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def cut(self, whole: "Sequence[Encoding]") -> EncodedTexts:
        """The windows of whole texts."""
        return self._cut(whole)[0]

    def cut_aligned(self, whole: "Sequence[Encoding]") -> AlignedTexts:
        """The windows of whole texts, with what it takes to find words again."""
        encoded, windows = self._cut(whole)
        return AlignedTexts(encoded, [of_text.offsets for of_text in whole], windows)

    def _cut(self, whole: "Sequence[Encoding]") -> tuple[EncodedTexts, Windows]:
        # Whole first, cut here: the tokenizer's own truncation does not say where in the text a window begins.
        ids = ragged(of_text.ids for of_text in whole)
        windows = windows_of(ids.lengths, self._frame, self._limit)
        cut = int((ids.lengths > self._limit.max_tokens).sum()) if self._limit.beyond == "cut" else 0
        return EncodedTexts(windows.of(ids), windows.rows, cut), windows


def _load(folder: Path) -> "tuple[Tokenizer, int]":
    """The tokenizer itself, without the truncation and padding that its file may ask for, and its padding id."""
    from transformers import AutoTokenizer

    wrapped = AutoTokenizer.from_pretrained(folder, use_fast=True)
    tokenizer: Tokenizer | None = getattr(wrapped, "backend_tokenizer", None)
    if tokenizer is None:
        raise InputError(
            f"the tokenizer in {folder} is no fast one, which alone says where in a text its pieces stand. "
            "Choose an encoder that has a tokenizer.json."
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, int(wrapped.pad_token_id or 0)


def _frame_of(tokenizer: "Tokenizer") -> Frame:
    special = tokenizer.encode("a").special_tokens_mask
    before = special.index(0)
    return Frame(before, sum(special) - before)
