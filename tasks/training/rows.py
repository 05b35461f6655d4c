"""Rows in memory, ready to be cut into batches of windows: token ids, words, and every task's labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import torch
from torch import Tensor
from torch.nn import functional

from tasks.modeling.heads import MISSING, AnyHead, WordTensors
from tasks.modeling.inference import mask_of, pad, pad_segments, words_of_windows
from tasks.modeling.packing import to_device
from tasks.modeling.tokenized import TokenizedRows, Words, read_tokens


@dataclass(frozen=True)
class Batch:
    """Tensors of one micro-batch. `targets` are by task, `words` by tag column; `segments` are those of pairs."""

    input_ids: Tensor
    mask: Tensor
    words: dict[str, WordTensors]
    targets: dict[str, Tensor]
    segments: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same on that device."""
        return Batch(
            to_device(self.input_ids, device),
            to_device(self.mask, device),
            {column: WordTensors(*(to_device(of, device) for of in words)) for column, words in self.words.items()},
            {task: to_device(targets, device) for task, targets in self.targets.items()},
            None if self.segments is None else to_device(self.segments, device),
        )


@dataclass(frozen=True)
class Rows:
    """All rows of a split: what was tokenized, a label a row, and a label a window.

    A window has the labels of its row, but of the tags only those of its own words, and for an answer in the text its
    first and last token.
    """

    tokens: TokenizedRows
    labels: dict[str, list[Any]]
    window_labels: dict[str, list[Any]]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each window."""
        return [len(ids) for ids in self.tokens.input_ids]

    @property
    def labelled(self) -> dict[str, list[int]]:
        """{task: windows that have a label for it}."""
        return {
            task: [window for window, label in enumerate(labels) if label is not None]
            for task, labels in self.window_labels.items()
        }

    @property
    def labelled_rows(self) -> dict[str, dict[int, None]]:
        """{task: rows that have a label for it}, in their order."""
        return {
            task: dict.fromkeys(row for row, label in enumerate(labels) if label is not None)
            for task, labels in self.labels.items()
        }

    def batch(
        self, windows: Sequence[int], heads: Mapping[str, AnyHead], pad_id: int, drawn_for: Sequence[str] = ()
    ) -> Batch:
        """The micro-batch of those windows; words that were cut off at the token limit have no target.

        Where `drawn_for` names a task for each window, it has targets for that one alone.
        """
        ids = [self.tokens.input_ids[window] for window in windows]
        words = words_of_windows(self.tokens, windows, heads)
        targets = {}
        for task, head in heads.items():
            labels = self.window_labels[task]
            target = head.targets(
                [None if drawn_for and drawn_for[at] != task else labels[window] for at, window in enumerate(windows)]
            )
            if head.of_words:
                starts = words[head.column].starts
                # As wide as the words are: a text without tags may have more words than any with tags.
                target = functional.pad(target, (0, starts.shape[1] - target.shape[1]), value=MISSING)
                target[starts < 0] = MISSING
            targets[task] = target
        return Batch(pad(ids, pad_id), mask_of(ids), words, targets, pad_segments(self.tokens, windows))


def read_rows(snapshot: Path, tokens: Path, split: str, heads: Mapping[str, AnyHead]) -> Rows:
    """The rows of one split, from its validated snapshot and its tokens."""
    columns = sorted({head.column for head in heads.values()})
    labelled = pq.read_table(snapshot / f"{split}.parquet", columns=columns)
    labels = {task: labelled.column(head.column).to_pylist() for task, head in heads.items()}
    return rows_of(read_tokens(tokens / f"{split}.parquet"), labels, heads)


def rows_of(tokens: TokenizedRows, labels: dict[str, list[Any]], heads: Mapping[str, AnyHead]) -> Rows:
    """Rows with those labels, which every window of a row is given."""
    answers = {
        task: tokens.pieces_for(head.column).answers(tokens.rows, labels[task])
        for task, head in heads.items()
        if head.in_text
    }
    if len(tokens.rows) == len(tokens.windows_of_rows):
        return Rows(tokens, labels, {**labels, **answers} if answers else labels)
    of_windows = {
        task: _tags_of_windows(tokens.rows, tokens.words[head.column], labels[task])
        if head.of_words
        else [labels[task][row] for row in tokens.rows]
        for task, head in heads.items()
        if task not in answers
    }
    return Rows(tokens, labels, of_windows | answers)


def _tags_of_windows(rows: Sequence[int], words: Words, labels: Sequence[Any]) -> list[Any]:
    found = []
    word = 0
    for window, row in enumerate(rows):
        word = 0 if window == 0 or row != rows[window - 1] else word
        end = word + len(words.starts[window])
        found.append({"tags": labels[row]["tags"][word:end]} if labels[row] else None)
        word = end
    return found
