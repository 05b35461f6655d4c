"""Rows as a model sees them: what a window and a reference are compared by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.modeling.answers import read_answers, read_embeddings
from tasks.modeling.calibration import shares_of
from tasks.modeling.heads import AnyHead
from tasks.modeling.label_scores import read_label_scores

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class OfTask:
    """One task's part: confidences (rows,), probabilities of its labels (rows, labels) where an answer is one of them,
    and where labels are known whether the answer is right (rows,): 1, 0, or NaN for a row without a label."""

    confidences: Numbers
    shares: NDArray[np.float32] | None = None
    right: Numbers | None = None

    @property
    def entropy(self) -> Numbers | None:
        """(rows,) entropy of the label probabilities, as a share of the largest there can be."""
        if self.shares is None:
            return None
        shares = np.maximum(self.shares.astype(float), 1e-12)
        return np.asarray(-(shares * np.log(shares)).sum(axis=1) / np.log(max(2, shares.shape[1])))

    @property
    def given(self) -> NDArray[np.int64] | None:
        """(rows,) position of the answered label."""
        return None if self.shares is None else np.asarray(self.shares.argmax(axis=1))

    def at(self, rows: NDArray[Any]) -> "OfTask":
        """Those rows, by position or mask."""
        shares = None if self.shares is None else self.shares[rows]
        return OfTask(self.confidences[rows], shares, None if self.right is None else self.right[rows])


@dataclass(frozen=True)
class Seen:
    """Rows through a model: embeddings (rows, width), and every task whose answers are right or wrong as a whole.

    Where they were compared with a reference: the position of the (other) row of it that is `nearest` to each, and the
    distance to that one.
    """

    embeddings: NDArray[np.float32]
    tasks: Mapping[str, OfTask]
    distances: Numbers | None = None
    nearest: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.embeddings)

    def at(self, rows: NDArray[Any]) -> "Seen":
        """Those rows, by position or mask."""
        distances, nearest = (None if of is None else of[rows] for of in (self.distances, self.nearest))
        tasks = {task: of.at(rows) for task, of in self.tasks.items()}
        return Seen(self.embeddings[rows], tasks, distances, nearest)

    @property
    def finite(self) -> NDArray[np.bool_]:
        """(rows,) whether the model gave numbers: a model that diverged, or an answer that was lost, gives none."""
        there = np.isfinite(self.embeddings).all(axis=1)
        for of in self.tasks.values():
            there &= np.isfinite(of.confidences)
            if of.shares is not None:
                there &= np.isfinite(of.shares).all(axis=1)
        return np.asarray(there)


def see(answers: Path, split: str, heads: Mapping[str, AnyHead]) -> Seen:
    """One split through a model, from its predictions; without what is right."""
    decided = {task: head for task, head in heads.items() if head.has_confidence}
    found = read_answers(answers / f"{split}.parquet", decided)
    tasks = {}
    for task, head in decided.items():
        shares = None
        if head.one_label:
            # Heads of one label have a temperature, which mypy cannot know.
            scores = read_label_scores(answers, split, task)
            shares = shares_of(scores, getattr(head, "temperature", 1.0)).astype(np.float32)
        # An answer that was lost has no confidence.
        known = [np.nan if value is None else value for value in found.confidences[task]]
        tasks[task] = OfTask(np.array(known, dtype=float), shares)
    return Seen(read_embeddings(answers / f"{split}.npy"), tasks)


def rights(head: AnyHead, answers: Sequence[Any], labels: Sequence[Any]) -> Numbers:
    """(rows,) 1 for a right answer, 0 for a wrong one, NaN without a label."""
    pairs = zip(answers, labels, strict=True)
    return np.array([np.nan if wanted is None else float(head.is_right(found, wanted)) for found, wanted in pairs])
