"""Label scores on disk: for every row of a split, what a head that answers with one label makes of each of them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_label_scores(folder: Path, split: str, task: str, scores: NDArray[np.float32]) -> None:
    """Writes (rows, labels), in the order of the head's labels."""
    np.save(_file(folder, split, task), scores, allow_pickle=False)


def read_label_scores(folder: Path, split: str, task: str) -> NDArray[np.float32]:
    """(rows, labels) log-probabilities before the head's temperature, which lack a constant a row.

    Of a `single_label` head they are the logits. Read from disk as they are asked for.
    """
    found: NDArray[np.float32] = np.load(_file(folder, split, task), mmap_mode="r", allow_pickle=False)
    return found


def _file(folder: Path, split: str, task: str) -> Path:
    return folder / f"{split}.{task}.scores.npy"
