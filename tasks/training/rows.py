"""Rows in memory, ready to be cut into batches: token ids, words, and every task's labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from torch import Tensor
from torch.nn import functional

from tasks.modeling.heads import MISSING, AnyHead, WordTensors
from tasks.modeling.inference import Words, mask_of, pad, words_in


@dataclass(frozen=True)
class Batch:
    """Tensors of one micro-batch. `targets` are by task, `words` by tag column."""

    input_ids: Tensor
    mask: Tensor
    words: dict[str, WordTensors]
    targets: dict[str, Tensor]


@dataclass(frozen=True)
class Rows:
    """All rows of a split."""

    input_ids: list[list[int]]
    words: dict[str, Words]
    labels: dict[str, list[Any]]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(ids) for ids in self.input_ids]

    def batch(self, rows: Sequence[int], heads: Mapping[str, AnyHead], pad_id: int) -> Batch:
        """The micro-batch of those rows; words that were cut off at the token limit have no target."""
        ids = [self.input_ids[row] for row in rows]
        words = {column: of_column.at(rows).padded() for column, of_column in self.words.items()}
        targets = {}
        for task, head in heads.items():
            target = head.targets([self.labels[task][row] for row in rows])
            if head.kind == "token_tags":
                starts = words[head.column].starts
                # As wide as the words are: a text without tags may have more words than any with tags.
                target = functional.pad(target, (0, starts.shape[1] - target.shape[1]), value=MISSING)
                target[starts < 0] = MISSING
            targets[task] = target
        return Batch(pad(ids, pad_id), mask_of(ids), words, targets)


def read_rows(snapshot: Path, tokens: Path, split: str, heads: Mapping[str, AnyHead]) -> Rows:
    """The rows of one split, from its validated snapshot and its tokens."""
    encoded = pq.read_table(tokens / f"{split}.parquet").to_pydict()
    labelled = pq.read_table(snapshot / f"{split}.parquet", columns=sorted({head.column for head in heads.values()}))
    return Rows(
        input_ids=encoded["input_ids"],
        words=words_in(encoded),
        labels={task: labelled.column(head.column).to_pylist() for task, head in heads.items()},
    )
