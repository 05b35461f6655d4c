"""Texts to token ids, and words to their first pieces."""

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import InputError
from tasks.modeling.encoder import token_positions


@dataclass(frozen=True)
class EncodedTexts:
    """Ids with special tokens, cut at the limit; `offsets` are (start, end) in characters, (0, 0) if special."""

    input_ids: list[list[int]]
    offsets: list[list[tuple[int, int]]]
    truncated: int

    def word_starts(self, spans: list[list[tuple[int, int]]]) -> list[list[int]]:
        """For each text the position of the first piece of each word span, -1 where the word was cut off or dropped."""
        return [_starts(offsets, words) for offsets, words in zip(self.offsets, spans, strict=True)]


class TextEncoder:
    """The fast tokenizer of an encoder folder, with a limit that counts special tokens."""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        from transformers import AutoTokenizer

        positions = token_positions(folder)
        if positions is not None and max_tokens > positions:
            raise InputError(
                f"`tokenization.max_tokens: {max_tokens}` is more than the {positions} tokens that the encoder in "
                f"{folder} has positions for. Lower it, or choose an encoder for longer texts."
            )
        self._tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
        self._max_tokens = max_tokens
        self.pad_id = int(self._tokenizer.pad_token_id or 0)

    def encode(self, texts: list[str]) -> EncodedTexts:
        """Token ids of each text; a text beyond the limit is cut and counted."""
        # Whole first, cut here: the tokenizer's own truncation does not say which texts it cut.
        whole = self._tokenizer(texts, add_special_tokens=True, return_offsets_mapping=True, verbose=False)
        ids, offsets, truncated = [], [], 0
        for row, spans in zip(whole["input_ids"], whole["offset_mapping"], strict=True):
            if len(row) > self._max_tokens:
                truncated += 1
                row = [*row[: self._max_tokens - 1], row[-1]]
                spans = [*spans[: self._max_tokens - 1], (0, 0)]
            ids.append(list(row))
            offsets.append([(int(start), int(end)) for start, end in spans])
        return EncodedTexts(ids, offsets, truncated)


def _starts(offsets: list[tuple[int, int]], words: list[tuple[int, int]]) -> list[int]:
    pieces = [(start, end, position) for position, (start, end) in enumerate(offsets) if end > start]
    starts = [start for start, _, _ in pieces]
    found = []
    for start, end in words:
        at = bisect_left(starts, start)
        begins_here = at < len(pieces) and starts[at] == start
        # A piece may hold more than the word: an emoji glued to it, or the space before it (SentencePiece).
        if not begins_here and at > 0 and pieces[at - 1][1] > start:
            at -= 1
        found.append(pieces[at][2] if at < len(pieces) and starts[at] < end else -1)
    return found
