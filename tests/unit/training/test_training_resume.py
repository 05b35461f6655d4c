"""Trainings that were interrupted and went on."""

import logging
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from data_contracts.errors import InputError

Train = Callable[..., Any]
ROOT = Path(__file__).parents[3]
TRAIN = (
    "import pickle, sys; from tasks.training.loop import fine_tune; fine_tune(**pickle.load(open(sys.argv[1], 'rb')))"
)
# Dropout, so that the random state matters too.
LONG = {"epochs": 8, "encoder_dropout": 0.1, "checkpoint_steps": 3}
SHORT = {**LONG, "epochs": 3, "checkpoint_steps": 5}


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


@pytest.fixture
def interrupt_after_the_second_epoch(caplog: pytest.LogCaptureFixture) -> Iterator[logging.Handler]:
    """A handler that stays until it is removed."""
    logger, handler = logging.getLogger("tasks.training.loop"), InterruptAfter("epoch 2 of")
    caplog.set_level(logging.INFO, logger="tasks.training.loop")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_training_that_was_killed_goes_on_to_the_same_weights_and_curves(
    training: Callable[..., dict[str, Any]], train: Train, tmp_path: Path
) -> None:
    arguments = training("killed", **LONG)
    (tmp_path / "arguments").write_bytes(pickle.dumps(arguments))
    process = subprocess.Popen([sys.executable, "-c", TRAIN, str(tmp_path / "arguments")], cwd=ROOT)
    whole = train("whole", **LONG)  # while the other process imports torch
    while process.poll() is None and not (tmp_path / "killed" / "checkpoints" / "checkpoint.pt").exists():
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert (tmp_path / "killed" / "checkpoints" / "checkpoint.pt").exists()
    assert list((tmp_path / "killed" / "model").iterdir()) == []

    time.sleep(1)  # TensorBoard orders files by the second; no process starts again within one
    resumed = train("killed", **LONG)

    assert resumed == whole
    assert whole.steps == 40
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    for tag in ("loss/intent", "loss/places", "learning_rate", "validation/skill"):
        assert curve(tmp_path / "killed", tag) == curve(tmp_path / "whole", tag)
    assert list(curve(tmp_path / "killed", "loss/intent")) == list(range(40))


def test_a_training_that_was_interrupted_at_the_end_of_an_epoch_repeats_only_its_validation(
    train: Train, interrupt_after_the_second_epoch: logging.Handler, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train("broken", **SHORT)
    logging.getLogger("tasks.training.loop").removeHandler(interrupt_after_the_second_epoch)
    caplog.clear()

    resumed, whole = train("broken", **SHORT), train("whole", **SHORT)

    assert "resuming at epoch 2, step 10" in caplog.text
    assert resumed == whole
    assert weights(tmp_path / "broken") == weights(tmp_path / "whole")
    assert curve(tmp_path / "broken", "validation/skill") == curve(tmp_path / "whole", "validation/skill")
    assert list(curve(tmp_path / "broken", "loss/intent")) == list(range(15))


def test_a_damaged_checkpoint_stops_the_training_and_says_what_to_do(train: Train, tmp_path: Path) -> None:
    (tmp_path / "damaged" / "checkpoints").mkdir(parents=True)
    (tmp_path / "damaged" / "checkpoints" / "checkpoint.pt").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(InputError, match=r"damaged/checkpoints/checkpoint\.pt cannot be used.*Delete it"):
        train("damaged", epochs=1)


def test_a_checkpoint_does_not_disturb_the_training_that_writes_it(train: Train, tmp_path: Path) -> None:
    for name, steps in {"every step": 1, "never": 1000}.items():
        train(name, epochs=2, encoder_dropout=0.1, checkpoint_steps=steps)
    assert (tmp_path / "every step" / "checkpoints" / "checkpoint.pt").exists()
    assert not (tmp_path / "never" / "checkpoints").exists()
    assert weights(tmp_path / "every step") == weights(tmp_path / "never")
