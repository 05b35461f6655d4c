"""Answers on disk: a Parquet file a split with each row's id, and every task's answer and confidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.modeling.heads import AnyHead

CONFIDENCE = "_confidence"


@dataclass(frozen=True)
class Answers:
    """Answers and confidences by task, in the order of the split's rows."""

    answers: dict[str, list[Any]]
    confidences: dict[str, list[float]]


def write_answers(path: Path, ids: list[str], found: Answers) -> None:
    """Writes one split."""
    columns: dict[str, Any] = {"_id": ids}
    for task, values in found.answers.items():
        columns[task] = values
        columns[f"{task}{CONFIDENCE}"] = found.confidences[task]
    pq.write_table(pa.table(columns), path)


def read_answers(path: Path, tasks: Mapping[str, AnyHead]) -> Answers:
    """What `write_answers` wrote."""
    columns = pq.read_table(path).to_pydict()
    return Answers({task: columns[task] for task in tasks}, {task: columns[f"{task}{CONFIDENCE}"] for task in tasks})


def read_labels(snapshot: Path, split: str, heads: Mapping[str, AnyHead]) -> dict[str, list[Any]]:
    """Every task's labels of one split of a validated snapshot, None where there is none, or no such column at all."""
    table = pq.read_table(snapshot / f"{split}.parquet")
    there = {head.column for head in heads.values()}.intersection(table.column_names)
    given = {column: table.column(column).to_pylist() for column in there}
    return {task: given.get(head.column, [None] * table.num_rows) for task, head in heads.items()}


def read_ids(snapshot: Path, split: str) -> list[str]:
    """Row ids of one split."""
    ids: list[str] = pq.read_table(snapshot / f"{split}.parquet", columns=["_id"]).column("_id").to_pylist()
    return ids


def write_embeddings(path: Path, embeddings: NDArray[np.float32]) -> None:
    """Writes (rows, width) mean token states."""
    np.save(path, embeddings, allow_pickle=False)


def read_embeddings(path: Path) -> NDArray[np.float32]:
    """(rows, width) mean token states."""
    found: NDArray[np.float32] = np.load(path, allow_pickle=False)
    return found
