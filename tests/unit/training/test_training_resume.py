"""Trainings that were interrupted and went on."""

import logging
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data_contracts.errors import InputError

Train = Callable[..., Any]
ROOT = Path(__file__).parents[3]
TRAIN = """
import pickle, sys
from tasks.training.loop import fine_tune
fine_tune(**pickle.load(open(sys.argv[1], "rb")))
"""
# Dropout, so that the random state matters too.
LONG = {"epochs": 8, "encoder_dropout": 0.1, "checkpoint_steps": 3}
# Nothing is learnt, so every epoch is a plateau.
IDLE = {"encoder_learning_rate": 1e-30, "head_learning_rate": 1e-30}
# All that a checkpoint holds besides: samplings that go on from epoch to epoch, weights that are learnt, a rate that
# hangs on the epochs before, and tasks that have stopped. And what is computed in bf16.
WAYS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "proportional": {"sampling": {"kind": "proportional"}},
    "uniform": {"sampling": {"kind": "uniform"}, "loss_weighting": {"kind": "uncertainty"}},
    "temperature": {"sampling": {"kind": "temperature"}, "loss_weighting": {"kind": "pcgrad"}},
    "annealed": {"sampling": {"kind": "annealed"}, "schedule": {"kind": "exponential"}},
    "fixed": {"sampling": {"kind": "fixed", "tasks": {"intent": 3, "places": 1, "urgency": 2}}},
    "uncertainty": {"loss_weighting": {"kind": "uncertainty"}, "schedule": {"kind": "cosine"}},
    "pcgrad": {"loss_weighting": {"kind": "pcgrad"}, "schedule": {"kind": "constant"}},
    "plateau": {"schedule": {"kind": "reduce_on_plateau"}, **IDLE},
    "stale": {"task_patience_epochs": 4, **IDLE},
    "stopped": {"sampling": {"kind": "annealed"}, "task_patience_epochs": 1, "skill_floors": {"intent": 0.99}},
}
SHORT = {**LONG, "epochs": 3, "checkpoint_steps": 5}
NO_CHECKPOINT = {"checkpoint_steps": 1000}


def weights(folder: Path) -> bytes:
    """The weights that a training left in `folder`, as they lie on disk."""
    return (folder / "model" / "weights.safetensors").read_bytes()


def curve(folder: Path, tag: str) -> dict[int, float]:
    """Values of one curve by step, each of which is there once."""
    found = EventAccumulator(str(folder / "curves"), size_guidance={"scalars": 0}).Reload().Scalars(tag)
    assert len({event.step for event in found}) == len(found)
    return {event.step: event.value for event in found}


class InterruptAfter(logging.Handler):
    """Interrupts the program, as Ctrl-C does, when a message that begins so is logged."""

    def __init__(self, beginning: str) -> None:
        super().__init__()
        self._beginning = beginning

    def emit(self, record: logging.LogRecord) -> None:
        """Raises KeyboardInterrupt for that message."""
        if record.getMessage().startswith(self._beginning):
            raise KeyboardInterrupt


@contextmanager
def interrupted_after(beginning: str) -> Iterator[None]:
    """Interrupts what is trained in the block when it logs that message, and expects it to end so."""
    logger, handler = logging.getLogger("tasks.training.loop"), InterruptAfter(beginning)
    logger.addHandler(handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        logger.removeHandler(handler)


def test_a_training_that_was_killed_goes_on_to_the_same_weights_and_curves(
    training: Callable[..., dict[str, Any]], train: Train, tmp_path: Path
) -> None:
    arguments = training("killed", **LONG)
    (tmp_path / "arguments").write_bytes(pickle.dumps(arguments))
    with subprocess.Popen([sys.executable, "-c", TRAIN, str(tmp_path / "arguments")], cwd=ROOT) as process:
        whole = train("whole", **LONG | NO_CHECKPOINT)  # while the other process imports torch
        while process.poll() is None and not (tmp_path / "killed" / "checkpoints" / "checkpoint.pt").exists():
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "killed" / "checkpoints" / "checkpoint.pt").exists()
    assert list((tmp_path / "killed" / "model").iterdir()) == []

    time.sleep(1)  # TensorBoard orders files by the second; no process starts again within one
    resumed = train("killed", **LONG)

    assert resumed == whole
    assert whole.steps == 40
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    for tag in ("loss/intent", "loss/places", "learning_rate", "validation/skill", "mean_loss/places"):
        assert curve(tmp_path / "killed", tag) == curve(tmp_path / "whole", tag)
    assert list(curve(tmp_path / "killed", "loss/intent")) == list(range(40))
    events = EventAccumulator(str(tmp_path / "killed" / "curves"), size_guidance={"histograms": 0}).Reload()
    assert [event.step for event in events.Histograms("weights/layer_1")] == list(range(4, 40, 5))
    assert events.Tags()["graph"]


@pytest.mark.parametrize("way", WAYS)
def test_a_training_that_was_interrupted_goes_on_in_every_way_to_the_same_weights_and_curves(
    way: str, train: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tasks.training.loop")
    settings = {**LONG, "epochs": 6, "patience_epochs": 6, **WAYS[way]}
    with interrupted_after("epoch 4 of"):
        train("broken", **settings)

    resumed, whole = train("broken", **settings), train("whole", **settings | NO_CHECKPOINT)

    assert "resuming at epoch 4, step" in caplog.text
    assert resumed == whole
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")
    for tag in ("loss/places", "learning_rate", "validation/skill", "task_share/intent", "loss_weight/urgency"):
        assert curve(tmp_path / "broken", tag) == curve(tmp_path / "whole", tag)
    if way == "stopped":
        shares = [curve(tmp_path / "whole", f"task_share/{task}") for task in ("intent", "places", "urgency")]
        assert any(0.0 in list(of_task.values())[:4] for of_task in shares)  # or none has stopped before
    assert whole.epochs == {"stale": 5, "stopped": 4}.get(way, 6)


def test_a_training_that_goes_on_reports_what_it_has_reached(
    train: Train, training: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tasks.training.loop")
    settings = {**SHORT, "checkpoint_steps": 7}
    with interrupted_after("epoch 2 of"):
        train("broken", **settings)
    from tasks.training.loop import fine_tune

    reported: list[str] = []
    fine_tune(**training("broken", **settings), report=lambda _, scores: reported.append(scores))
    assert reported[0].startswith("epoch 1 of 3: skill ")


def test_a_training_that_was_interrupted_at_the_end_of_an_epoch_repeats_only_its_validation(
    train: Train, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, logger="tasks.training.loop")
    with interrupted_after("epoch 2 of"):
        train("broken", **SHORT)

    resumed, whole = train("broken", **SHORT), train("whole", **SHORT | NO_CHECKPOINT)

    assert "resuming at epoch 2, step 10" in caplog.text
    assert resumed == whole
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")
    assert curve(tmp_path / "broken", "validation/skill") == curve(tmp_path / "whole", "validation/skill")
    assert list(curve(tmp_path / "broken", "loss/intent")) == list(range(15))


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_by_default_a_minute_is_lost_at_most(
    seconds: float, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tasks.training.loop")
    monkeypatch.setattr("tasks.training.loop.SECONDS_BETWEEN_CHECKPOINTS", seconds)
    settings = {name: value for name, value in SHORT.items() if name != "checkpoint_steps"}
    with interrupted_after("epoch 3 of"):
        train("broken", **settings)
    assert (tmp_path / "broken" / "checkpoints" / "checkpoint.pt").exists() == (seconds == 0)
    train("broken", **settings)
    assert ("resuming at epoch 2, step 10" in caplog.text) == (seconds == 0)


def test_a_damaged_checkpoint_stops_the_training_and_says_what_to_do(train: Train, tmp_path: Path) -> None:
    (tmp_path / "damaged" / "checkpoints").mkdir(parents=True)
    (tmp_path / "damaged" / "checkpoints" / "checkpoint.pt").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(InputError, match=r"damaged/checkpoints/checkpoint\.pt cannot be used.*Delete it"):
        train("damaged", epochs=1)
