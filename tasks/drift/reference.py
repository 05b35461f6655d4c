"""What held-out rows look like through a model, kept with it: later windows are held against this."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.modeling.answers import read_answers, read_embeddings, read_labels
from tasks.modeling.heads import AnyHead

HELD_OUT = ("validation", "test")


@dataclass(frozen=True)
class Seen:
    """Rows through a model: embeddings (rows, width); by task the confidences (rows,), and, where labels are known,
    whether each answer was right as a whole (rows,): 1, 0, or NaN for a row without a label. Regressions, whose answers
    are neither right nor wrong, are left out."""

    embeddings: NDArray[np.float32]
    confidences: dict[str, NDArray[np.float64]]
    right: dict[str, NDArray[np.float64]]


def freeze_reference(snapshot: Path, answers: Path, heads: Mapping[str, AnyHead], output: Path) -> int:
    """Writes `reference.npz` from the held-out rows in domain; returns how many there are."""
    parts = [see(answers, split, heads, read_labels(snapshot, split, heads)) for split in HELD_OUT]
    arrays = {"embeddings": np.concatenate([part.embeddings for part in parts])}
    for task in parts[0].confidences:
        arrays[f"confidence/{task}"] = np.concatenate([part.confidences[task] for part in parts])
        arrays[f"right/{task}"] = np.concatenate([part.right[task] for part in parts])
    np.savez(output / "reference.npz", **arrays)  # type: ignore[arg-type]
    return len(arrays["embeddings"])


def read_reference(folder: Path) -> Seen:
    """What `freeze_reference` wrote; `right` holds the tasks that have a label in any row."""
    with np.load(folder / "reference.npz", allow_pickle=False) as arrays:
        tasks = [name.removeprefix("right/") for name in arrays.files if name.startswith("right/")]
        right = {task: arrays[f"right/{task}"] for task in tasks}
        return Seen(
            arrays["embeddings"],
            {task: arrays[f"confidence/{task}"] for task in tasks},
            {task: values for task, values in right.items() if not np.isnan(values).all()},
        )


def see(
    answers: Path, split: str, heads: Mapping[str, AnyHead], labels: Mapping[str, list[object]] | None = None
) -> Seen:
    """One split through a model; without labels `right` is empty."""
    found = read_answers(answers / f"{split}.parquet", heads)
    decided = [task for task, head in heads.items() if head.has_confidence]
    right = {task: _right(heads[task], found.answers[task], labels[task]) for task in decided} if labels else {}
    confidences = {task: np.array(found.confidences[task]) for task in decided}
    return Seen(read_embeddings(answers / f"{split}.npy"), confidences, right)


def _right(head: AnyHead, answers: list[object], labels: list[object]) -> NDArray[np.float64]:
    pairs = zip(answers, labels, strict=True)
    return np.array([np.nan if wanted is None else float(head.is_right(found, wanted)) for found, wanted in pairs])
