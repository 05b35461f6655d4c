"""Answers that are parts of a text: which characters the tokens of its windows cover, and which tokens an answer is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.modeling.head import WordTensors

Numbers = Sequence[int] | NDArray[np.int32]
# The first token of a window, which is a special one, stands for no answer (Devlin et al. 2019, arXiv:1810.04805, 4.3).
NO_ANSWER = (0, 0)


class TextPieces(NamedTuple):
    """A text, and for each of its windows the (start, end) in characters of every token, (tokens, 2); -1 for none."""

    text: str
    windows: Sequence[NDArray[np.int64]]


@dataclass(frozen=True)
class Pieces:
    """The characters that every token of some windows covers, of the text that answers are parts of.

    Both are -1 for a token of another text, and for a special one. `texts` are by row.
    """

    starts: Sequence[Numbers]
    ends: Sequence[Numbers]
    texts: Sequence[str]

    def of(self, row: int, windows: Sequence[int]) -> TextPieces:
        """The row's text with its windows."""
        return TextPieces(self.texts[row], [self._places(window) for window in windows])

    def tokens(self, windows: Sequence[int]) -> WordTensors:
        """The tokens that an answer may begin and end at, in the place of words: (windows, longest), -1 for others."""
        import torch

        longest = max(1, *(len(self.starts[window]) for window in windows))
        found = torch.full((len(windows), longest), -1)
        for at, window in enumerate(windows):
            covering = _answerable(self._places(window))
            found[at, covering] = torch.from_numpy(covering)
        return WordTensors(found, torch.zeros_like(found))

    def answers(self, rows: Sequence[int], labels: Sequence[Any]) -> list[tuple[int, int] | None]:
        """For each window the first and last token of its row's answer, by the row that each is of.

        That is NO_ANSWER in a window that does not hold all of it, and None in all of a row without a label, or whose
        answer no window holds: it was cut off, or is longer than what windows share.
        """
        found: list[tuple[int, int] | None] = []
        start = 0
        while start < len(rows):
            end = start + 1
            while end < len(rows) and rows[end] == rows[start]:
                end += 1
            found += _answers_of_row([self._places(window) for window in range(start, end)], labels[rows[start]])
            start = end
        return found

    def _places(self, window: int) -> NDArray[np.int64]:
        return np.array([self.starts[window], self.ends[window]], dtype=np.int64).T


def candidates(places: NDArray[np.int64], scores: NDArray[np.float64], most_tokens: int) -> "Candidates":
    """Every part of a window's text of so many tokens at most, from (tokens, 2) scores of its first and last token."""
    tokens = _answerable(places)
    starts, ends = scores[tokens, 0], scores[tokens, 1]
    firsts, lasts, sums = [], [], []
    for more in range(min(most_tokens, len(tokens))):
        until = len(tokens) - more
        firsts.append(tokens[:until])
        lasts.append(tokens[more:])
        sums.append(starts[:until] + ends[more:])
    if not sums:
        return Candidates(np.empty((0, 2), dtype=np.int64), np.empty(0))
    spans = np.stack([places[np.concatenate(firsts), 0], places[np.concatenate(lasts), 1]], axis=1)
    return Candidates(spans, np.concatenate(sums))


class Candidates(NamedTuple):
    """Parts of a text, (parts, 2) in characters, and the score of each."""

    spans: NDArray[np.int64]
    scores: NDArray[np.float64]


def joined(windows: Sequence[Candidates]) -> Candidates:
    """The parts that any window holds, each once, with its best score in any window."""
    if len(windows) == 1:
        return windows[0]
    spans, scores = (np.concatenate(of) for of in zip(*windows, strict=True))
    order = np.lexsort((-scores, spans[:, 1], spans[:, 0]))
    spans, scores = spans[order], scores[order]
    fresh = np.concatenate([np.ones(min(1, len(spans)), dtype=bool), (spans[1:] != spans[:-1]).any(axis=1)])
    return Candidates(spans[fresh], scores[fresh])


def _answerable(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tokens that cover some of the text, without the first one of the window, which stands for no answer."""
    return 1 + np.flatnonzero(places[1:, 0] >= 0)


def _answers_of_row(windows: Sequence[NDArray[np.int64]], label: Any) -> list[tuple[int, int] | None]:
    if label is None:
        return [None] * len(windows)
    if not label["text"]:
        return [NO_ANSWER] * len(windows)
    start, end = label["start"][0], label["start"][0] + len(label["text"][0].rstrip())
    every = np.concatenate([places[_answerable(places)] for places in windows])
    touched = every[(every[:, 1] > start) & (every[:, 0] < end)]
    # Nothing but what was cut off ends behind all tokens.
    if not len(touched) or end > every[:, 1].max():
        return [None] * len(windows)
    # An answer that begins or ends inside of a token is learnt as all of it.
    wanted = touched[:, 0].min(), touched[:, 1].max()
    found = [_tokens_of(places, *wanted) for places in windows]
    return [None if not any(found) else held or NO_ANSWER for held in found]


def _tokens_of(places: NDArray[np.int64], start: int, end: int) -> tuple[int, int] | None:
    tokens = _answerable(places)
    first, last = tokens[places[tokens, 0] == start], tokens[places[tokens, 1] == end]
    return (int(first[0]), int(last[-1])) if len(first) and len(last) else None
