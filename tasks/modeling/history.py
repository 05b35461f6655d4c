"""How a model was learnt, epoch by epoch: a file in its folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FILE = "history.json"


@dataclass(frozen=True)
class EpochRecord:
    """What an epoch that ended after so many steps came to; `values` are named as TensorBoard's curves are."""

    step: int
    values: dict[str, float]


def write_history(folder: Path, epochs: Sequence[EpochRecord]) -> None:
    """Writes the epochs, the first of them first."""
    (folder / FILE).write_text(json.dumps([vars(epoch) for epoch in epochs], indent=1), encoding="utf-8")


def read_history(folder: Path) -> list[EpochRecord]:
    """The epochs of the model in that folder."""
    return [EpochRecord(**epoch) for epoch in json.loads((folder / FILE).read_text(encoding="utf-8"))]
