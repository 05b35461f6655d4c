"""Trainings that are killed again and again: whatever they learn by, they end with the bits of one that was not."""

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.modeling.heads import AnyHead
from tasks.preparation.rows import prepare_rows
from tasks.preparation.settings import Preparation
from tasks.tokenization.encoding import encode_splits
from tasks.tokenization.settings import Tokenization

SETTINGS = {"epochs": 4, "checkpoint_steps": 3, "patience_epochs": 4}
DROPOUT = {"encoder_dropout": 0.1}
# Nothing is learnt, so every epoch is a plateau.
IDLE = {"encoder_learning_rate": 1e-30, "head_learning_rate": 1e-30}
WAYS: dict[str, dict[str, Any]] = {
    "augmented": {},
    "temperature": {**DROPOUT, "sampling": {"kind": "temperature"}, "loss_weighting": {"kind": "uncertainty"}},
    "annealed": {**DROPOUT, "sampling": {"kind": "annealed"}, "loss_weighting": {"kind": "pcgrad"}},
    "stopping": {**DROPOUT, "sampling": {"kind": "annealed"}, "task_patience_epochs": 1},
    "plateau": {**DROPOUT, "schedule": {"kind": "reduce_on_plateau"}, **IDLE},
    "frozen": {"frozen_layers": 1},
}

processes = multiprocessing.get_context("forkserver")
# So that a training is there at once, with everything imported that it would import as it goes.
processes.set_forkserver_preload(
    [
        "tasks.training.loop",
        "transformers.models.auto.tokenization_auto",
        "transformers.models.bert.modeling_bert",
        "seqeval.metrics.sequence_labeling",
        "pytest",
    ]
)


def train_until(arguments: dict[str, Any], share: float, delay: float) -> None:
    """Trains, and kills its process after that share of all steps; with a delay, whatever it does by then."""
    from tasks.training.loop import fine_tune

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def report(done: float, _: str) -> None:
        if done == share and delay:
            threading.Timer(delay, kill).start()
        elif done == share:
            kill()

    fine_tune(**arguments, report=report)


def killed(arguments: dict[str, Any], share: float, delay: float = 0.0) -> int | None:
    """How a process ended that trained until then."""
    process = processes.Process(target=train_until, args=(arguments, share, delay))
    process.start()
    process.join()
    return process.exitcode


@pytest.fixture
def augmented_splits(
    write_splits: Callable[..., Path], toy_rows: list[dict[str, Any]], tiny_encoder: Path, tmp_path: Path
) -> Path:
    """The toy problem with variants of its rows, as preparation leaves it ahead of every training."""
    plain = write_splits("plain", toy_rows, toy_rows[:12]) / "snapshot"
    for path in plain.glob("*.parquet"):
        table = pq.read_table(path)
        ids = pa.array([f"{path.stem}-{row}" for row in range(table.num_rows)])
        pq.write_table(table.append_column("_id", ids), path)
    snapshot, tokens = tmp_path / "augmented" / "snapshot", tmp_path / "augmented" / "tokens"
    augment = [{"kind": "typing_noise", "share": 0.5}, {"kind": "word_dropout", "share": 0.5}, {"kind": "casing"}]
    tokens.mkdir(parents=True)
    prepare_rows(
        plain,
        Preparation.model_validate({"augment": augment}),
        text_column="text",
        tag_columns=("places",),
        output=snapshot,
    )
    encode_splits(snapshot, tiny_encoder, Tokenization(max_tokens=24), ("places",), output=tokens)
    kinds = {name.partition("~")[2] for name in pq.read_table(snapshot / "train.parquet").column("_id").to_pylist()}
    assert kinds == {"", "typing_noise1", "word_dropout1", "casing1"}
    return tmp_path / "augmented"


@pytest.mark.parametrize("way", WAYS)
def test_a_training_that_is_killed_again_and_again_ends_with_the_weights_of_one_that_is_not(
    way: str,
    training: Callable[..., dict[str, Any]],
    train: Callable[..., Any],
    toy_heads: dict[str, AnyHead],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    splits = request.getfixturevalue("augmented_splits" if way == "augmented" else "toy_splits")
    # With dropout in the heads, so that chance matters where there is none in the encoder.
    heads = {task: head.model_copy(update={"dropout": 0.1}) for task, head in toy_heads.items()}
    settings = {**SETTINGS, **WAYS[way], "splits": splits, "heads": heads}
    steps: list[float] = []
    whole = train("whole", **settings | {"checkpoint_steps": 1000}, report=lambda share, _: steps.append(share))
    assert len(steps) == whole.steps
    assert whole.epochs >= 3
    arguments = training("killed", **settings)
    folder, chance = tmp_path / "killed", random.Random(way)

    first, second = sorted(chance.sample(steps[:-4], 2))
    kept: set[tuple[int, int]] = set()
    for share, delay in ((first, 0.0), (second, chance.uniform(0.001, 0.01))):
        assert killed(arguments, share, delay) == -signal.SIGKILL
        assert list((folder / "model").iterdir()) == []
        kept |= {(path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("checkpoints/states-*.bin")}
    resumed = train("killed", **settings)

    assert resumed == whole
    for name in ("weights.safetensors", "model.json", "history.json"):
        assert (folder / "model" / name).read_bytes() == (tmp_path / "whole" / "model" / name).read_bytes()
    # What frozen layers give was written by the first process, and read by all others.
    assert len(kept) == (1 if way == "frozen" else 0)
