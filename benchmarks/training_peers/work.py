"""The work: a label a text, of several data sets; one encoder, and for each set a linear head on the mean of states."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import ROOT

DATASETS = ROOT.parent / "shared" / "datasets"
# Commands to assistants, and sentences of tweets, reviews and news.
SETS = ("clinc150", "snips", "hwu64", "vader_sentiment")
MAX_TOKENS = 64
ROWS_PER_STEP = 32
ENCODER_LEARNING_RATE, HEAD_LEARNING_RATE = 2e-4, 1e-3
HEAD_DROPOUT = 0.1
# Of the states inside the encoder; attention's weights have none.
ENCODER_DROPOUT = 0.1
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
    if rows > len(everything):
        raise SystemExit(f"{rows:,} training rows were asked for; {', '.join(sets)} have {len(everything):,}")
    random.Random(SEED).shuffle(everything)
    validation = [row for splits in read.values() for row in splits["validation"][:FEW]]
    return Work(everything[:rows], validation, labels)


def real_tokens(work: Work, encoder: Path) -> int:
    """Tokens of the training rows, special ones counted and padding not."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    ids = tokenizer([text for text, *_ in work.train], truncation=True, max_length=MAX_TOKENS)["input_ids"]
    return sum(map(len, ids))


def _rows_of(name: str, split: str) -> list[tuple[str, str, str]]:
    paths = sorted((DATASETS / name).glob(f"{split}.jsonl")) or sorted((DATASETS / name).glob(f"*_{split}.jsonl"))
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    return [(row["text"], name, row["label"]) for row in map(json.loads, lines)]
