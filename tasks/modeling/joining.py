"""One answer from the several windows of a text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tasks.modeling.heads import AnyHead


@dataclass(frozen=True)
class Reading:
    """What the network made of some texts or windows, on the CPU: logits by task, (texts, ...), embeddings (texts,
    width), and how many words each has, by tag column."""

    logits: dict[str, Tensor]
    embeddings: Tensor
    words: dict[str, list[int]]

    def words_for(self, head: AnyHead) -> list[int]:
        """How many words of each text that head has to do with."""
        return self.words.get(head.column, [0] * len(self.embeddings))


class WindowReading(NamedTuple):
    """What the network made of one window of so many tokens; logits of a tagger are (words, tags), of answers in the
    text (tokens, 2)."""

    logits: dict[str, Tensor]
    embedding: Tensor
    words: dict[str, int]
    tokens: int


def split_windows(reading: Reading, tokens: Sequence[int], heads: Mapping[str, AnyHead]) -> list[WindowReading]:
    """Window by window, without padding."""
    found = []
    for at, size in enumerate(tokens):
        logits = {
            task: reading.logits[task][at, : reading.words_for(head)[at]]
            if _is_list(head)
            else reading.logits[task][at]
            for task, head in heads.items()
        }
        words = {column: counts[at] for column, counts in reading.words.items()}
        found.append(WindowReading(logits, reading.embeddings[at], words, size))
    return found


def join_windows(texts: Sequence[Sequence[WindowReading]], heads: Mapping[str, AnyHead]) -> Reading:
    """Of each text's windows, what they say of the text: logits of words and tokens in order, means of all the rest."""
    sizes = [[window.tokens for window in of] for of in texts]
    logits = {}
    for task, head in heads.items():
        parts = [[window.logits[task] for window in of] for of in texts]
        logits[task] = _end_to_end(parts) if _is_list(head) else _means(parts, sizes)
    columns = texts[0][0].words
    return Reading(
        logits,
        _means([[window.embedding for window in of] for of in texts], sizes),
        {column: [sum(window.words[column] for window in of) for of in texts] for column in columns},
    )


def _is_list(head: AnyHead) -> bool:
    """Whether it has logits of each word or token, which are laid end to end."""
    return head.of_words or head.in_text


def mean_over_windows(values: Sequence[Tensor], tokens: Sequence[int]) -> Tensor:
    """Mean of what each window of a text gave, by its number of tokens.

    Of a classifier's logits this is the mean of the windows' log-probabilities, from which the logits of a window
    differ by a constant that no probability depends on. So a window that rules a label out outvotes others that are
    undecided, where in a mean of probabilities many windows of small talk would drown the one that says what it is.
    Log-odds, which several labels and labels in order have, are such logits of two classes.
    """
    weights = torch.tensor(tokens, dtype=torch.float32)
    mean: Tensor = torch.tensordot(weights / weights.sum(), torch.stack([value.float() for value in values]), dims=1)
    return mean


def _means(texts: Sequence[Sequence[Tensor]], sizes: Sequence[Sequence[int]]) -> Tensor:
    return torch.stack([mean_over_windows(of, tokens) for of, tokens in zip(texts, sizes, strict=True)])


def _end_to_end(texts: Sequence[Sequence[Tensor]]) -> Tensor:
    """(texts, most words, tags), to be decoded as one sequence a text."""
    return nn.utils.rnn.pad_sequence([torch.cat(list(windows)) for windows in texts], batch_first=True)
