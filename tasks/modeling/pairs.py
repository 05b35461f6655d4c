"""Pairs of texts as one row of tokens, by the tokenizer's own template: where the second text begins, and what is cut.

A pair of more tokens than the limit loses some of the longer text, or keeps the whole first text in every window, while
windows slide over the second one, as BERT reads a question and its paragraph (google-research/bert, run_squad.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.modeling.limits import TokenLimit
from tasks.modeling.ragged import Ragged
from tasks.modeling.windows import Frame, Windows, windows_of

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

LEAST_ROOM = 8
Input = str | tuple[str, str]


class NoRoomError(ValueError):
    """A first text that leaves too few tokens for windows of the second; `position` is that of the pair."""

    def __init__(self, position: int, taken: int, limit: int) -> None:
        super().__init__(
            f"the first text and special tokens take {taken} of {limit} tokens, which leaves fewer than {LEAST_ROOM} "
            "for a window of the second. Raise `tokenization.max_tokens`, or shorten the text"
        )
        self.position = position


class PairFrame(NamedTuple):
    """How many special tokens stand before a pair, between its texts and behind it."""

    before: int
    between: int
    behind: int


@dataclass(frozen=True)
class Arrangement:
    """Windows over some encoded rows, whether any is a pair, and which tokens are `kept` where first texts are cut."""

    windows: Windows
    pairs: bool = False
    kept: NDArray[np.bool_] | None = None

    def of(self, channel: Ragged) -> Ragged:
        """One number a token of the whole rows, as the windows have it."""
        return self.windows.of(self.left(channel))

    def left(self, channel: Ragged) -> Ragged:
        """The same without what is cut from first texts."""
        if self.kept is None:
            return channel
        rows = np.repeat(np.arange(len(channel.lengths)), channel.lengths)
        return Ragged(channel.values[self.kept], np.bincount(rows[self.kept], minlength=len(channel.lengths)))


def inputs_of(texts: Sequence[str], seconds: Sequence[str | None] | None) -> Sequence[Input]:
    """What the tokenizer is given: a pair where there is a second text, else the text alone."""
    if seconds is None:
        return texts
    return [text if second is None else (text, second) for text, second in zip(texts, seconds, strict=True)]


def pair_frame_of(tokenizer: "Tokenizer") -> PairFrame:
    """The special tokens of the tokenizer's template for pairs."""
    sequences = tokenizer.encode("a", "a").sequence_ids
    first, second = sequences.index(0), sequences.index(1)
    # Counted, for a small vocabulary has two pieces for the letter, one of them the space before it.
    return PairFrame(first, sequences[first:second].count(None), sequences[second:].count(None))


def is_pair(whole: "Sequence[Encoding]") -> NDArray[np.bool_]:
    """Which of the encoded rows hold two texts."""
    return np.fromiter((of_row.n_sequences > 1 for of_row in whole), dtype=np.bool_, count=len(whole))


def arranged(whole: "Sequence[Encoding]", ids: Ragged, frame: Frame, pair: PairFrame, limit: TokenLimit) -> Arrangement:
    """Windows of encoded rows of one text or two, whose ids are `ids`.

    Raises NoRoomError where a pair has to be read in windows and its first text leaves no room for them.
    """
    pairs = is_pair(whole)
    if not pairs.any():
        return Arrangement(windows_of(ids.lengths, frame, limit))
    of_two = zip(whole, pairs.tolist(), strict=True)
    seconds = np.array([_second_start(of_row.sequence_ids, pair) if two else 0 for of_row, two in of_two])
    before, behind = np.where(pairs, seconds, frame.before), np.where(pairs, pair.behind, frame.behind)
    if limit.beyond == "windows":
        crowded = pairs & (ids.lengths > limit.max_tokens) & (before + behind + LEAST_ROOM > limit.max_tokens)
        for position in np.flatnonzero(crowded).tolist():
            raise NoRoomError(position, int(before[position] + behind[position]), limit.max_tokens)
        return Arrangement(windows_of(ids.lengths, Frame(before, behind), limit), pairs=True)
    special = pair.before + pair.between
    firsts = np.where(pairs, before - special, 0)
    # The longer text loses tokens until both fit, or both have half of the room.
    room = limit.max_tokens - special - pair.behind
    others = ids.lengths - before - behind
    shorter = np.where(pairs, np.minimum(firsts, np.maximum(room - others, room - room // 2)), 0)
    within = np.arange(len(ids.values)) - np.repeat(ids.offsets[:-1], ids.lengths)
    begins, ends = (np.repeat(pair.before + of, ids.lengths) for of in (shorter, firsts))
    kept = (within < begins) | (within >= ends)
    lost = firsts - shorter
    return Arrangement(windows_of(ids.lengths - lost, Frame(before - lost, behind), limit), pairs=True, kept=kept)


def _second_start(sequences: Sequence[int | None], pair: PairFrame) -> int:
    return sequences.index(1) if 1 in sequences else len(sequences) - pair.behind
