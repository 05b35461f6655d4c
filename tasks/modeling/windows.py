"""Windows of texts that are longer than what an encoder reads at once: where they lie, and whose word is whose."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.modeling.limits import TokenLimit
from tasks.modeling.ragged import Ragged


@dataclass(frozen=True)
class Frame:
    """How many tokens stand before a text and behind it, of all texts or of each (texts,); a window has the same.

    They are special ones, and before the second text of a pair all of the first.
    """

    before: int | NDArray[np.int64]
    behind: int | NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Windows of some texts, in order, (windows,) each: the text it is of, its first token and how many it has.

    Tokens are counted without those `before` and `behind` the text. Every text has one window or more.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    before: NDArray[np.int64]
    behind: NDArray[np.int64]

    def of(self, texts: Ragged) -> Ragged:
        """The ids of every window, framed by special tokens, from those of the whole texts."""
        lengths = self.lengths + self.before + self.behind
        if np.array_equal(lengths, texts.lengths):
            return texts
        begins, ends = texts.offsets[:-1][self.rows], texts.offsets[1:][self.rows]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        taken = np.repeat(begins + self.starts, lengths) + within
        # What stands before and behind a window is what stands before and behind its text.
        taken -= np.where(within < np.repeat(self.before, lengths), np.repeat(self.starts, lengths), 0)
        from_end = np.repeat(lengths, lengths) - within
        taken = np.where(from_end <= np.repeat(self.behind, lengths), np.repeat(ends, lengths) - from_end, taken)
        return Ragged(texts.values[taken], lengths)

    def owning(self, pieces: Ragged) -> Ragged:
        """The words of each window, from the position of each word's first piece in its whole text, -1 for none.

        A word belongs to the window where the poorer of its two sides has most tokens, as in BERT's reading of long
        documents (`_check_is_max_context` in google-research/bert, run_squad.py), and to the earlier of two that are as
        good. So the windows of a text hold its words in order, each once; a word without a piece follows the one before
        it. Positions are then those in the window; -1 also for a word that was cut off. Words that stand before the
        text, in the first one of a pair, are the first window's.
        """
        rows = np.repeat(np.arange(len(pieces.lengths)), pieces.lengths)
        together = self.rows[1:] == self.rows[:-1]
        firsts = np.flatnonzero(np.concatenate([np.ones(min(1, len(self.rows)), dtype=bool), ~together]))
        before = self.before[firsts][rows]
        tokens = pieces.values.astype(np.int64) - before
        standing_before = (pieces.values >= 0) & (tokens < 0)
        ends = self.starts + self.lengths - 1
        # Twice the middle between the end of a window and the start of the next: a word behind it is the next one's.
        borders = (ends[:-1] + self.starts[1:])[together]
        span = 2 * int(ends.max(initial=0)) + 3
        keys = rows * span + np.clip(2 * tokens, 0, span - 1)
        owners = np.searchsorted(borders + self.rows[1:][together] * span, keys) + rows
        owners = np.maximum.accumulate(owners)
        tokens -= self.starts[owners]
        known = (pieces.values >= 0) & (tokens >= 0) & (tokens < self.lengths[owners])
        found = np.where(known | standing_before, tokens + before, -1).astype(np.int32)
        return Ragged(found, np.bincount(owners, minlength=len(self.rows)))


def windows_of(lengths: NDArray[np.int64], frame: Frame, limit: TokenLimit) -> Windows:
    """The windows of texts of so many tokens, special ones included; where the limit cuts, the first one of each."""
    before, behind = (np.broadcast_to(of, lengths.shape) for of in (frame.before, frame.behind))
    contents, room = lengths - before - behind, limit.max_tokens - before - behind
    # Where the first text of a pair leaves little room, windows share three quarters of it at most.
    step = np.maximum(np.maximum(room - limit.window_overlap, room // 4), 1)
    beyond = np.maximum(contents - room, 0)
    counts = 1 + (-(-beyond // step) if limit.beyond == "windows" else np.zeros_like(beyond))
    rows = np.repeat(np.arange(len(lengths)), counts)
    starts = (np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)) * step[rows]
    return Windows(rows, starts, np.minimum(contents[rows] - starts, room[rows]), before[rows], behind[rows])
