"""Small snapshots and answers, as the stages leave them on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.artifacts import Encoder, TrainedModel
from tasks.modeling.answers import Answers, write_answers, write_embeddings


class Folder:
    """A folder of one snapshot and of models' answers to it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write_rows(self, split: str, **columns: list[Any]) -> Path:
        """Writes a split of the snapshot, `write_rows("test", text=[...])`; gives the snapshot's folder."""
        folder = self.root / "snapshot"
        folder.mkdir(exist_ok=True)
        rows = len(next(iter(columns.values())))
        pq.write_table(pa.table({"_id": _ids(split, rows), **columns}), folder / f"{split}.parquet")
        return folder

    def write_model_answers(
        self,
        model: str,
        split: str,
        answers: dict[str, list[Any]],
        confidences: dict[str, list[float]] | None = None,
        embeddings: Any = None,
    ) -> Path:
        """Writes a model's answers to a split, with confidences of 1 where none are given; gives the model's folder."""
        folder = self.root / "answers" / model
        folder.mkdir(parents=True, exist_ok=True)
        rows = len(next(iter(answers.values())))
        given = {task: (confidences or {}).get(task, [1.0] * rows) for task in answers}
        write_answers(folder / f"{split}.parquet", _ids(split, rows), Answers(answers, given))
        if embeddings is not None:
            write_embeddings(folder / f"{split}.npy", np.asarray(embeddings, dtype=np.float32))
        return folder


def _ids(split: str, rows: int) -> list[str]:
    return [f"{split}-{row}" for row in range(rows)]


@pytest.fixture(scope="session")
def trained_model() -> Callable[[str], TrainedModel]:
    """Makes the handle of a model that was trained, by the digest of its folder."""
    return lambda digest: TrainedModel(
        digest=digest,
        parents=("5" * 64, "7" * 64),
        encoder=Encoder(digest="e" * 64, name="package:tiny"),
        max_tokens=32,
        tasks=("intent",),
        best_epoch=1,
        epochs=2,
        steps=10,
        validation_skill=0.5,
        curves="curves",
    )


@pytest.fixture(scope="session")
def writers() -> Callable[[Path], tuple[Callable[..., Path], Callable[..., Path]]]:
    """Gives `write_rows` and `write_model_answers` for a folder of one's own."""
    return lambda root: (Folder(root).write_rows, Folder(root).write_model_answers)


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., Path]:
    """`Folder.write_rows` below tmp_path."""
    return Folder(tmp_path).write_rows


@pytest.fixture
def write_model_answers(tmp_path: Path) -> Callable[..., Path]:
    """`Folder.write_model_answers` below tmp_path."""
    return Folder(tmp_path).write_model_answers
