"""Kernels that are recorded: what they say is what they say one by one; where there is no GPU, all but the kernels."""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from graphs_done_again import Processor
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from tasks.modeling.encoder import set_dropout
from tasks.modeling.heads import AnyHead
from tasks.modeling.inference import device_of_choice
from tasks.modeling.network import MultiTaskNetwork, new_network
from tasks.modeling.packing import pack
from tasks.training import widening
from tasks.training.gradients import StepGradients
from tasks.training.job import Job
from tasks.training.launching import train_in_processes
from tasks.training.loop import fine_tune
from tasks.training.recording import GradientSums, Learn, Recorder, RecordingError
from tasks.training.rows import Batch, Rows, read_rows
from tasks.training.teaching import Teacher

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="records what a GPU does, and there is none")
TROUBLED_PROCESS = Path(__file__).with_name("troubled_process.py")
COUNTS = {"intent": 8.0, "places": 40.0, "urgency": 8.0}


def test_gradients_lie_in_the_same_memory_with_what_they_were() -> None:
    weights = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2, 70)), nn.Parameter(torch.ones(1))]
    weights[2].requires_grad_(False)
    sums = GradientSums(weights)
    sums.take()
    where = [weight.grad.data_ptr() for weight in weights[:2] if weight.grad is not None]
    assert all(place % 16 == 0 for place in where)
    assert weights[2].grad is None
    (weights[0].sum() * 2).backward()  # type: ignore[no-untyped-call]
    sums.take()  # a second micro-batch adds to the first
    assert weights[0].grad is not None
    assert weights[0].grad.tolist() == [2, 2, 2]
    assert [weight.grad.data_ptr() for weight in weights[:2] if weight.grad is not None] == where

    weights[0].grad, weights[1].grad = torch.full((3,), 5.0), None  # as one that was not recorded leaves it
    sums.take()
    assert [weight.grad.data_ptr() for weight in weights[:2] if weight.grad is not None] == where
    assert weights[0].grad.tolist() == [5, 5, 5]
    assert weights[1].grad is not None
    assert float(weights[1].grad.abs().max()) == 0

    for weight in weights:
        weight.grad = None
    sums.take()
    assert weights[0].grad.tolist() == [0, 0, 0]
    weights[0].grad += 1
    assert float(sums.clear().sum()) == 3
    assert weights[0].grad.tolist() == [0, 0, 0]


def test_a_training_whose_kernels_cannot_be_recorded_goes_on_in_a_process_that_starts_them_one_by_one(
    training: Callable[..., dict[str, Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = training("unrecorded", epochs=1)
    job = Job(**given, encoder_digest="d" * 64, ceilings=tmp_path / "ceilings.json")
    trouble = json.dumps({"what": "recording", "tokens": 0})
    with caplog.at_level(logging.WARNING):
        facts = train_in_processes(job, 1, command=(sys.executable, str(TROUBLED_PROCESS), trouble))
    assert facts.steps == 5
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("going on in a fresh process with kernels started one by one, which is slower: ")
    assert "RecordingError: the encoder has a will of its own" in said
    assert not (tmp_path / "ceilings.json").exists()


@pytest.fixture
def rows(toy_splits: Path, toy_heads: dict[str, AnyHead]) -> Rows:
    """The toy problem's."""
    return read_rows(toy_splits / "snapshot", toy_splits / "tokens", "train", toy_heads)


class Taught:
    """A network on the device, what it learns one by one, and a recorder of that."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, encoder: Path, heads: Mapping[str, AnyHead], dropout: float = 0.0
    ) -> None:
        torch.manual_seed(0)
        self.network: MultiTaskNetwork = new_network(encoder, heads)
        set_dropout(self.network.encoder, dropout)
        device = device_of_choice()
        self.network.to(device).train()
        self.network.packed = pack(self.network.encoder)
        self.gradients = StepGradients(dict.fromkeys(heads, 1.0))
        self.teacher = Teacher(self.network, self.gradients, None, 0, device, bf16=False, recorded=False)
        self.processor = None if torch.cuda.is_available() else Processor()
        if self.processor:
            self.processor.stand_in(monkeypatch)

    def recorder(self, changed: Callable[[Learn], Learn] = lambda learn: learn) -> Recorder:
        """One of what the teacher does, or of what it is changed to."""
        learn = changed(self.teacher._learn)  # type: ignore[arg-type]
        learn = self.processor.watched(learn, self.network) if self.processor else learn
        return Recorder(learn, self.network, self.gradients, bf16=False)

    def learnt(self, losses: Mapping[str, Tensor]) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Losses and gradients of what was just learnt; the gradients are then forgotten."""
        learnt = {name: weight.grad for name, weight in self.network.named_parameters() if weight.grad is not None}
        found = {name: gradient.clone() for name, gradient in learnt.items()}
        self.network.zero_grad()
        return {task: float(loss) for task, loss in losses.items()}, found


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch, tiny_encoder: Path, toy_heads: dict[str, AnyHead]) -> Taught:
    """One without dropout."""
    return Taught(monkeypatch, tiny_encoder, toy_heads)


def wide(rows: Rows, windows: list[int], heads: Mapping[str, AnyHead]) -> Batch:
    """Those windows, with all labels, and rows of padding behind them."""
    batch = rows.batch(windows, heads, 0)
    size = widening.size_above(widening.size_of(batch))
    assert size is not None
    return widening.widened(batch, size, heads, 0)


def test_a_recording_says_of_any_batch_of_its_size_what_is_said_one_by_one(
    taught: Taught, toy_heads: dict[str, AnyHead], rows: Rows
) -> None:
    recorder = taught.recorder()
    nothing: list[Any] = [None] * len(rows.lengths)
    of_one = replace(rows, window_labels={**rows.labels, "places": nothing, "urgency": nothing})
    for of, windows, tasks in (
        (rows, [0, 1, 2, 3, 4, 5], list(COUNTS)),
        (rows, [20, 30, 11, 12, 13, 39], list(COUNTS)),
        (of_one, [8, 9, 10], ["intent"]),
        (rows, [0, 1, 2, 3, 4, 5], list(COUNTS)),
    ):
        batch, counts = wide(of, windows, toy_heads), {task: COUNTS[task] for task in tasks}
        losses, gradients = taught.learnt(taught.teacher.teach(batch, counts, ()))
        found, found_gradients = taught.learnt(recorder.learn(batch, counts))
        assert found == pytest.approx(losses, rel=1e-5)
        assert found_gradients.keys() == gradients.keys()  # of heads that are not taught, there are none
        for name, gradient in gradients.items():
            assert torch.allclose(found_gradients[name], gradient, rtol=1e-3, atol=1e-6), name
    assert len(recorder._recordings) == 1


def test_micro_batches_add_up_and_weights_that_have_moved_are_seen(
    taught: Taught, toy_heads: dict[str, AnyHead], rows: Rows
) -> None:
    recorder, batch = taught.recorder(), wide(rows, [0, 1, 2, 3], toy_heads)
    taught.teacher.teach(batch, COUNTS, ())  # recorded in the midst of a step, it leaves what is there
    twice = taught.learnt(recorder.learn(batch, COUNTS))
    once = taught.learnt(recorder.learn(batch, COUNTS))
    for name, gradient in once[1].items():
        assert torch.allclose(twice[1][name], 2 * gradient, rtol=1e-3, atol=1e-6), name
    with torch.no_grad():
        for weight in taught.network.parameters():
            weight.mul_(0.9)
    moved = taught.learnt(recorder.learn(batch, COUNTS))
    assert moved[0] == pytest.approx(taught.learnt(taught.teacher.teach(batch, COUNTS, ()))[0], rel=1e-5)
    assert moved[0] != pytest.approx(once[0], rel=1e-5)


def test_each_time_dropout_draws_anew_and_recording_draws_nothing(
    monkeypatch: pytest.MonkeyPatch, tiny_encoder: Path, toy_heads: dict[str, AnyHead], rows: Rows
) -> None:
    batch = wide(rows, [0, 1, 2, 3], toy_heads)
    drawn = []
    for _ in range(2):
        taught = Taught(monkeypatch, tiny_encoder, toy_heads, dropout=0.3)
        recorder = taught.recorder()
        torch.manual_seed(5)
        drawn.append([taught.learnt(recorder.learn(batch, COUNTS))[0]["intent"] for _ in range(4)])
        assert len(set(drawn[-1])) == 4
        torch.manual_seed(5)
        again = [taught.learnt(recorder.learn(batch, COUNTS))[0]["intent"] for _ in range(4)]
        assert again == pytest.approx(drawn[-1], rel=1e-5)
    assert drawn[0] == pytest.approx(drawn[1], rel=1e-5)


def waiting(learn: Learn) -> Learn:
    """Reads a number from the GPU."""

    def changed(*given: Any) -> dict[str, Tensor]:
        losses = learn(*given)
        assert float(losses["intent"]) > 0
        return losses

    return changed


def counting(learn: Learn) -> Learn:
    """Says more each time, which Python decides, and a recording as it was decided then."""
    calls: list[int] = []

    def changed(*given: Any) -> dict[str, Tensor]:
        calls.append(1)
        return {task: loss * len(calls) for task, loss in learn(*given).items()}

    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(waiting, "synchronizing", marks=on_a_gpu),
        (counting, r"the losses of a recording are .* apart"),
    ],
)
def test_what_cannot_be_recorded_is_refused(
    change: Callable[[Learn], Learn], said: str, taught: Taught, toy_heads: dict[str, AnyHead], rows: Rows
) -> None:
    batch = wide(rows, [0, 1, 2, 3], toy_heads)
    with pytest.raises(RecordingError, match=said):
        taught.recorder(change).learn(batch, COUNTS)
    # Nothing is left in disorder, and nothing was learnt.
    assert all(weight.grad is None for weight in taught.network.parameters())
    assert taught.recorder().learn(batch, COUNTS).keys() == COUNTS.keys()


@on_a_gpu
def test_large_batches_are_left_to_be_done_one_by_one(
    training: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widening, "TOKENS", (8, 90))
    recorded: list[int] = []
    learn = Recorder.learn

    def watched(recorder: Recorder, batch: Batch, counts: Mapping[str, float]) -> dict[str, Tensor]:
        recorded.append(int(batch.mask.sum()))
        return learn(recorder, batch, counts)

    monkeypatch.setattr(Recorder, "learn", watched)
    assert fine_tune(**training("some", epochs=2)).steps == 10
    assert set(recorded) == {90}
    assert 0 < len(recorded) < 10
    shares = EventAccumulator(str(tmp_path / "some" / "curves")).Reload().Scalars("padding_share")
    assert sum(event.value > 0 for event in shares) == len(recorded)


@on_a_gpu
@pytest.mark.parametrize("settings", [{}, {"loss_weighting": {"kind": "uncertainty"}}, {"precision": "bf16"}], ids=str)
def test_a_training_with_recordings_is_that_without(
    settings: dict[str, Any], training: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    for kernels in ("recorded", "one_by_one"):
        fine_tune(**training(kernels, epochs=3, kernels=kernels, **settings))
    curves = {
        name: EventAccumulator(str(tmp_path / name / "curves"), size_guidance={"scalars": 0}).Reload()
        for name in ("recorded", "one_by_one")
    }
    close = {"rel": 5e-2, "abs": 2e-2} if settings.get("precision") == "bf16" else {"rel": 1e-3, "abs": 1e-4}
    for tag in ("loss/intent", "loss/places", "loss/urgency", "gradient_norm"):
        recorded, plain = ([event.value for event in of.Scalars(tag)] for of in curves.values())
        assert len(recorded) == 15
        assert recorded[:5] == pytest.approx(plain[:5], **close), tag
    # Rows of padding are counted as such.
    shares = [[event.value for event in of.Scalars("padding_share")] for of in curves.values()]
    assert min(shares[0]) > 0.2
    assert shares[1] == [0.0] * 15
    weights = load_file(tmp_path / "recorded" / "model" / "weights.safetensors")
    assert all(bool(value.isfinite().all()) for value in weights.values())
