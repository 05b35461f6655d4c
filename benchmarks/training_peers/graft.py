"""graft: one call of `fine_tune`, with loading, the choice of the best epoch and saving in its time."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import Clock, report
from benchmarks.training_peers.work import (
    ENCODER_DROPOUT,
    ENCODER_LEARNING_RATE,
    HEAD_DROPOUT,
    HEAD_LEARNING_RATE,
    MAX_TOKENS,
    ROWS_PER_STEP,
    SEED,
    SETS,
    load_work,
)

Columns = dict[str, list[str | None]]


def main(folder: Path, rows: int, epochs: int, precision: str) -> None:
    """Trains on rows of all sets, each with a label of its own set, and reports seconds and real tokens."""
    work = load_work(rows)
    splits = {
        split: {
            "text": [text for text, *_ in read],
            **{name: [label if name == task else None for _, task, label in read] for name in SETS},
        }
        for split, read in (("train", work.train), ("validation", work.validation))
    }
    seconds, processor_seconds, tokens = train(folder, splits, work.labels, epochs=epochs, precision=precision)
    report({"train": seconds}, {"tokens": tokens * epochs}, processor_seconds)


def train(
    folder: Path, splits: dict[str, Columns], labels: dict[str, list[str]], *, epochs: int, precision: str
) -> tuple[float, float, int]:
    """Seconds and processor seconds of a training with a head for each entry of `labels`, and real tokens an epoch."""
    from tasks.modeling.encoder import EncoderSettings, encoder_folder, load_encoder
    from tasks.modeling.heads import SingleLabelHead
    from tasks.modeling.inference import device_of_choice
    from tasks.tokenization.encoding import encode_splits
    from tasks.tokenization.settings import Tokenization
    from tasks.training.loop import fine_tune
    from tasks.training.recipe import Recipe

    encoder = encoder_folder(EncoderSettings().name, None)
    snapshot, tokens, output = folder / "snapshot", folder / "tokens", folder / "model"
    for made in (snapshot, tokens, output):
        made.mkdir()
    for split, columns in splits.items():
        ids = [str(number) for number in range(len(columns["text"]))]
        pq.write_table(pa.table({"_id": ids, **columns}), snapshot / f"{split}.parquet")
    facts = encode_splits(snapshot, encoder, Tokenization(max_tokens=MAX_TOKENS), (), tokens)
    # The peers' heads are linear layers.
    heads = {
        name: SingleLabelHead(column=name, labels=tuple(of), classifier="linear", dropout=HEAD_DROPOUT)
        for name, of in labels.items()
    }
    settings: dict[str, Any] = {"epochs": epochs, "rows_per_step": ROWS_PER_STEP, "precision": precision, "seed": SEED}
    settings |= {"encoder_learning_rate": ENCODER_LEARNING_RATE, "head_learning_rate": HEAD_LEARNING_RATE}
    # The peers keep the encoder as it was learnt.
    settings |= {"encoder_dropout": ENCODER_DROPOUT, "pretrained_share": 0.0}
    # The peers have imported everything and have their encoder on the device before their time begins.
    load_encoder(encoder).to(device_of_choice())
    folders = {"checkpoints": folder / "scratch", "curves": folder / "curves", "output": output}
    clock = Clock()
    fine_tune(snapshot, tokens, encoder, heads, Recipe(**settings), **folders)
    return clock.seconds, clock.processor_seconds, facts["tokens"]["train"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
