"""What the encoder answers before it has learnt anything: the label whose name means most nearly what the text does.

Heads that do not answer with one label have no such answer.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.baselines import read_texts
from tasks.modeling.answers import Answers, read_ids, write_answers
from tasks.modeling.calibration import shares_of
from tasks.modeling.heads import AnyHead
from tasks.modeling.limits import TokenLimit
from tasks.modeling.text_states import text_states

ZERO_SHOT = "zero_shot"
# Sentence encoders learn from the softmax of 20 times the cosine (sentence-transformers, MultipleNegativesRankingLoss).
SCALE = 20.0


def answer_zero_shot(
    snapshot: Path,
    heads: Mapping[str, AnyHead],
    text_column: str,
    splits: Sequence[str],
    encoder: Path,
    limit: TokenLimit,
    output: Path,
    pair_column: str | None = None,
) -> tuple[str, ...]:
    """Writes answers to `zero_shot/<split>.parquet` and returns the tasks that have them; nothing where none has.

    The two texts of a pair are read as one. `encoder` is the pre-trained one.
    """
    answering = {task: head for task, head in heads.items() if head.one_label}
    if not answering:
        return ()
    columns = [text_column, *([pair_column] if pair_column else [])]
    names = {task: text_states(encoder, [name_of(label) for label in h.labels], limit) for task, h in answering.items()}
    (output / ZERO_SHOT).mkdir()
    for split in splits:
        states, found = text_states(encoder, read_texts(snapshot, split, columns), limit), Answers({}, {})
        for task, head in answering.items():
            found.answers[task], found.confidences[task] = _nearest(states, names[task], head.labels)
        write_answers(output / ZERO_SHOT / f"{split}.parquet", read_ids(snapshot, split), found)
    return tuple(answering)


def name_of(label: str) -> str:
    """A label as a person would say it: `card_declined` and `card-declined` are "card declined"."""
    return " ".join(label.replace("_", " ").replace("-", " ").split()) or label


def _nearest(
    states: NDArray[np.float32], names: NDArray[np.float32], labels: Sequence[str]
) -> tuple[list[str], list[float]]:
    shares = shares_of(_of_length_one(states) @ _of_length_one(names).T, 1 / SCALE)
    return [labels[best] for best in shares.argmax(axis=1)], shares.max(axis=1).tolist()


def _of_length_one(states: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12))
