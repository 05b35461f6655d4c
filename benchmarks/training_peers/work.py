"""The work: intents of several data sets, one encoder, a linear head on the mean of the token states for each set."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import ROOT

DATASETS = ROOT.parent / "shared" / "datasets"
SETS = ("clinc150", "snips", "hwu64")
MAX_TOKENS = 64
ROWS_PER_STEP = 32
ENCODER_LEARNING_RATE, HEAD_LEARNING_RATE = 2e-4, 1e-3
HEAD_DROPOUT = 0.1
SEED = 13
FEW = 8


@dataclass(frozen=True)
class Work:
    """Rows as (text, task, label), drawn at random from all sets, and the labels of each set in order."""

    train: list[tuple[str, str, str]]
    validation: list[tuple[str, str, str]]
    labels: dict[str, list[str]]


def load_work(rows: int, sets: Sequence[str] = SETS) -> Work:
    """`rows` training rows over the sets in proportion, the same for every contestant; a few to validate on."""
    if not DATASETS.is_dir():
        raise SystemExit(f"{DATASETS} is not there: this benchmark reads its rows from it")
    read = {name: {split: _rows_of(name, split) for split in ("train", "validation")} for name in sets}
    labels = {name: sorted({label for *_, label in splits["train"]}) for name, splits in read.items()}
    everything = [row for splits in read.values() for row in splits["train"]]
    random.Random(SEED).shuffle(everything)
    validation = [row for splits in read.values() for row in splits["validation"][:FEW]]
    return Work(everything[:rows], validation, labels)


def _rows_of(name: str, split: str) -> list[tuple[str, str, str]]:
    lines = (Path(DATASETS) / name / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["text"], name, row["label"]) for row in map(json.loads, lines)]
