"""Texts, and pairs of texts, to the token ids of their windows, and words to their first pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import InputError
from tasks.modeling.alignment import Spans, first_pieces
from tasks.modeling.encoder import known_tokens, reading, reads_segments, token_positions
from tasks.modeling.limits import TokenLimit
from tasks.modeling.pairs import Arrangement, Input, arranged, pair_frame_of
from tasks.modeling.ragged import Ragged, ragged
from tasks.modeling.windows import Frame

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

# Files that hold a vocabulary, of which an encoder folder has at least those of one line.
TOKENIZERS = (("tokenizer.json",), ("vocab.txt",), ("*.model",), ("*.spm",), ("vocab.json", "merges.txt"))


@dataclass(frozen=True)
class EncodedTexts:
    """Ids of every window with special tokens, the text each window is of, and how many texts were cut.

    `segments` say of every token whether it is of a pair's first text (0) or its second (1); None without a pair, and
    where the encoder does not ask for that.
    """

    input_ids: Ragged
    rows: NDArray[np.int64]
    truncated: int
    segments: Ragged | None = None

    @property
    def known_segments(self) -> Ragged:
        """The same, 0 everywhere where they are None: all tokens are of a first text."""
        return self.segments or Ragged(np.zeros_like(self.input_ids.values), self.input_ids.lengths)


@dataclass(frozen=True)
class AlignedTexts:
    """Encoded texts whose words can be found again."""

    encoded: EncodedTexts
    whole: "Sequence[Encoding]"
    arrangement: Arrangement

    @property
    def pieces(self) -> Spans:
        """(start, end) in characters of the pieces of each text, (0, 0) if special; of a pair, those of the first."""
        return _pieces_left(self.whole, self.arrangement)

    def places(self, sequence: int) -> tuple[Ragged, Ragged]:
        """Start and end in characters of every token of every window, of a pair's first text (0) or its second (1).

        -1 for the tokens of the other one, and for special ones.
        """
        places = np.array([piece for of in self.whole for piece in pieces_of(of, sequence)], dtype=np.int32)
        places = places.reshape(-1, 2)
        places[places[:, 1] <= places[:, 0]] = -1
        lengths = np.fromiter(map(len, self.whole), dtype=np.int64, count=len(self.whole))
        starts, ends = (self.arrangement.of(Ragged(side, lengths)) for side in places.T)
        return starts, ends

    def word_starts(self, words: Spans) -> Ragged:
        """For each window the position of the first piece of each word that is its own; all words in order.

        `words` are (start, end) in characters, text by text. -1 for a word that was cut off, or that the tokenizer
        dropped.
        """
        return self.arrangement.windows.owning(first_pieces(self.pieces, words))


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
        self._pair_frame = pair_frame_of(self._tokenizer)
        self._limit = limit
        self._folder, self._known = folder, known_tokens(folder)
        self._check_is_known(self.pad_id)
        self.reads_segments = reads_segments(folder)

    def encode(self, inputs: Sequence[Input]) -> EncodedTexts:
        """Token ids of each text or pair, of as many windows as the limit makes of it."""
        return self.cut(self.read(inputs))

    def align(self, inputs: Sequence[Input]) -> AlignedTexts:
        """The same, with what it takes to find words again, which is slower."""
        return self.cut_aligned(self.read_aligned(inputs))

    def read(self, inputs: Sequence[Input]) -> "list[Encoding]":
        """What the tokenizer makes of whole texts, on all cores and without holding back other threads."""
        return self._tokenizer.encode_batch_fast(inputs)

    def read_aligned(self, inputs: Sequence[Input]) -> "list[Encoding]":
        """The same, with the characters that each piece covers."""
        return self._tokenizer.encode_batch(inputs)

    @property
    def unknown_id(self) -> int | None:
        """Id of what the vocabulary has no piece for; None where every text can be written with it, as by bytes."""
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        found: int | None = self._tokenizer.token_to_id(unknown) if unknown else None
        return found

    def text_of(self, ids: Sequence[int]) -> str:
        """The text that those ids stand for, as near as the tokenizer can tell."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def cut(self, whole: "Sequence[Encoding]") -> EncodedTexts:
        """The windows of whole texts. Raises NoRoomError for a pair whose first text leaves none."""
        return self._cut(whole)[0]

    def cut_aligned(self, whole: "Sequence[Encoding]") -> AlignedTexts:
        """The windows of whole texts, with what it takes to find words again."""
        encoded, arrangement = self._cut(whole)
        return AlignedTexts(encoded, whole, arrangement)

    def _cut(self, whole: "Sequence[Encoding]") -> tuple[EncodedTexts, Arrangement]:
        # Whole first, cut here: the tokenizer's own truncation does not say where in the text a window begins.
        ids = ragged(of_text.ids for of_text in whole)
        self._check_is_known(int(ids.values.max(initial=0)))
        found = arranged(whole, ids, self._frame, self._pair_frame, self._limit)
        cut = int((ids.lengths > self._limit.max_tokens).sum()) if self._limit.beyond == "cut" else 0
        asked = self.reads_segments and found.pairs
        segments = found.of(ragged(of_text.type_ids for of_text in whole)) if asked else None
        return EncodedTexts(found.of(ids), found.windows.rows, cut, segments), found

    def _check_is_known(self, token: int) -> None:
        """Raises InputError for a token that the encoder has no embedding for, as where one was added afterwards."""
        if self._known is not None and token >= self._known:
            raise InputError(
                f"the tokenizer in {self._folder} has {self._tokenizer.id_to_token(token)!r} as its token {token}, and "
                f"the encoder there embeddings for {self._known} tokens, 0 to {self._known - 1}. Put the tokenizer and "
                "the weights of one encoder there, or give the encoder embeddings for the tokens that were added "
                "(`resize_token_embeddings`)."
            )


def _load(folder: Path) -> "tuple[Tokenizer, int]":
    """The tokenizer itself, without the truncation and padding that its file may ask for, and its padding id.

    Raises InputError where the folder has none, for which transformers makes one up that knows no word.
    """
    from transformers import AutoTokenizer

    if not any(all(any(folder.glob(name)) for name in names) for names in TOKENIZERS):
        wanted = ", ".join(" with ".join(names) for names in TOKENIZERS)
        raise InputError(
            f"{folder} holds no tokenizer: none of {wanted}. Put the encoder's own there, as its authors publish it."
        )
    with reading("tokenizer", folder):
        wrapped = AutoTokenizer.from_pretrained(folder, use_fast=True)
    tokenizer: Tokenizer | None = getattr(wrapped, "backend_tokenizer", None)
    if tokenizer is None:
        raise InputError(
            f"the tokenizer in {folder} is no fast one, which alone says where in a text its pieces stand. "
            "Choose an encoder that has a tokenizer.json."
        )
    if tokenizer.get_vocab_size() <= len(wrapped.all_special_tokens):
        raise InputError(
            f"the tokenizer in {folder} knows no word: its vocabulary is {', '.join(tokenizer.get_vocab())}. Put the "
            "encoder's own there, as its authors publish it."
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, int(wrapped.pad_token_id or 0)


def _frame_of(tokenizer: "Tokenizer") -> Frame:
    special = tokenizer.encode("a").special_tokens_mask
    before = special.index(0)
    return Frame(before, sum(special) - before)


def _pieces_left(whole: "Sequence[Encoding]", arrangement: Arrangement) -> list[list[tuple[int, int]]]:
    pieces = [pieces_of(of_text, sequence=0) for of_text in whole]
    if arrangement.kept is None:
        return pieces
    kept, ends = arrangement.kept.tolist(), np.cumsum([len(of_text) for of_text in pieces]).tolist()
    return [list(compress(of_text, kept[end - len(of_text) : end])) for of_text, end in zip(pieces, ends, strict=True)]


def pieces_of(encoded: "Encoding", sequence: int) -> list[tuple[int, int]]:
    """(start, end) in characters of the pieces of one of its texts, counted from 0; (0, 0) for all other tokens."""
    if encoded.n_sequences == 1:
        return encoded.offsets if sequence == 0 else [(0, 0)] * len(encoded.ids)
    of_text = zip(encoded.offsets, encoded.sequence_ids, strict=True)
    return [piece if of == sequence else (0, 0) for piece, of in of_text]
