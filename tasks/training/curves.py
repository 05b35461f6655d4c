"""What there is to look at of a training: TensorBoard's curves, histograms and graph, and the epochs in numbers."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from tensorboard.compat.proto.event_pb2 import Event
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from data_contracts.errors import InputError
from tasks.modeling.encoder import layer_stack
from tasks.modeling.history import EpochRecord
from tasks.modeling.network import MultiTaskNetwork
from tasks.training.graph import graph_of
from tasks.training.rows import Batch

logger = logging.getLogger(__name__)
# On a GPU a number that is read makes it wait for all it has been given to do.
STEPS_AT_ONCE = {"cpu": 1}
STEPS_AT_ONCE_ELSEWHERE = 20
# Of a part's weights; more would move no bin of a histogram by what can be seen.
MOST_VALUES = 10_000


@dataclass(frozen=True)
class _Step:
    number: int
    started: float
    tokens: int
    measured: dict[str, Tensor]
    known: dict[str, float]


class Curves:
    """Writes what a training measures below `folder`, and keeps the epochs' records; a part of its checkpoints.

    Without a folder nothing is written, as by all but one of the processes of a training.
    """

    def __init__(self, folder: Path | None, device: torch.device) -> None:
        self.loss = float("nan")
        self._folder = folder
        self._device = device
        self._at_once = STEPS_AT_ONCE.get(device.type, STEPS_AT_ONCE_ELSEWHERE)
        self._waiting: list[_Step] = []
        self._epochs: list[EpochRecord] = []
        self._losses: dict[str, list[float]] = {}

    @property
    def epochs(self) -> list[EpochRecord]:
        """What came of each epoch so far."""
        return list(self._epochs)

    def begin(self, step: int) -> Self:
        """Opens the files; what an interrupted training wrote of that step and of later ones is forgotten."""
        self._writer: Any = SummaryWriter(str(self._folder), purge_step=step) if self._folder else _NoWriter()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._writer.close()

    def step(
        self,
        number: int,
        started: float,
        *,
        losses: Mapping[str, Tensor],
        norm: Tensor,
        learning_rate: float,
        tokens: int,
        computed_tokens: int,
    ) -> None:
        """Scalars of one optimiser step, counted from 0, which began at `started` on `time.perf_counter`.

        From 0, so that a resumed training, which purges from its own step on, purges only what it repeats.
        Raises InputError where the training has diverged, at the latest before its next checkpoint.
        """
        measured = {**{f"loss/{task}": loss for task, loss in losses.items()}, "gradient_norm": norm}
        known = {"learning_rate": learning_rate, "padding_share": 1 - tokens / computed_tokens}
        self._waiting.append(_Step(number, started, tokens, measured, known))
        if len(self._waiting) >= self._at_once:
            self._write()

    def histograms(self, network: MultiTaskNetwork, step: int) -> None:
        """Weights that learn and their gradients, by layer of the encoder and by head."""
        if self._folder is None:
            return
        for part, weights in _parts(network).items():
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            for name, tensors in (("weights", weights), ("gradients", gradients)):
                if len(values := _some_values(tensors)):
                    self._writer.add_histogram(f"{name}/{part}", values, step)

    def graph(self, network: MultiTaskNetwork, batch: Batch) -> None:
        """The network's operations on that batch; without a graph, training is the same."""
        if self._folder is None:
            return
        try:
            graph = graph_of(network, batch)
        except Exception as error:
            # An encoder may do what cannot be traced.
            logger.info("TensorBoard has no graph of %s (%s)", type(network.encoder).__name__, error)
            return
        self._writer.file_writer.add_event(Event(graph_def=graph.SerializeToString()))

    def end_epoch(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars of an epoch that ended after so many steps, and each task's mean loss over the steps it was in."""
        self._write()
        means = {name: total / count for name, (total, count) in self._losses.items()}
        record = EpochRecord(step, {**{f"mean_{name}": mean for name, mean in means.items()}, **values})
        for name, value in record.values.items():
            self._writer.add_scalar(name, value, step)
        self._epochs.append(record)
        self._losses = {}

    def flush(self) -> None:
        """Writes all that was measured."""
        self._write()
        self._writer.flush()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training goes on from."""
        return {"epochs": [vars(record) for record in self._epochs], "losses": self._losses}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from there."""
        self._epochs = [EpochRecord(**record) for record in state["epochs"]]
        self._losses = state["losses"]

    def _write(self) -> None:
        if not self._waiting:
            return
        measured = [value for step in self._waiting for value in step.measured.values()]
        numbers = iter(torch.stack([value.detach().float().to(self._device) for value in measured]).tolist())
        # Taken after the numbers, for which what was begun had to be done.
        seconds = time.perf_counter() - self._waiting[0].started
        rate = sum(step.tokens for step in self._waiting) / seconds
        for step in self._waiting:
            values = {name: next(numbers) for name in step.measured}
            for name, value in (values | step.known | {"tokens_per_second": rate}).items():
                self._writer.add_scalar(name, value, step.number)
            losses = {name: value for name, value in values.items() if name.startswith("loss/")}
            if not math.isfinite(values["gradient_norm"]):
                raise _divergence(step.number, values["gradient_norm"], losses)
            for name, value in losses.items():
                total, count = self._losses.get(name, (0.0, 0))
                self._losses[name] = [total + value, count + 1]
            self.loss = sum(losses.values())
        self._waiting = []


def _divergence(step: int, norm: float, losses: Mapping[str, float]) -> InputError:
    """From such a step on, weights are no numbers, and no model comes of them."""
    of_tasks = ", ".join(f"{name.removeprefix('loss/')} {value:.3g}" for name, value in losses.items())
    return InputError(
        f"the training diverged: at step {step + 1} the gradient has norm {norm}, and the losses are {of_tasks}. Lower "
        "training.encoder_learning_rate, training.head_learning_rate or a head's loss_weight, or set a smaller "
        "training.gradient_clip; where it happens in bf16 alone, training.precision: fp32."
    )


class _NoWriter:
    """Takes what a SummaryWriter does, and leaves it at that."""

    def add_scalar(self, *_: object) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def _parts(network: MultiTaskNetwork) -> dict[str, list[nn.Parameter]]:
    """Weights that learn: of each layer of the encoder, of what it has besides, such as embeddings, of each head."""
    path, stack = layer_stack(network.encoder)
    parts: dict[str, list[nn.Parameter]] = {}
    for name, weight in network.named_parameters():
        if not weight.requires_grad:
            continue
        place = name.removeprefix(f"encoder.{path}.") if len(stack) else name
        first, second, *_ = name.split(".")
        part = f"layer_{place.split('.')[0]}" if place != name else f"{'head' if first == 'layers' else first}_{second}"
        parts.setdefault(part, []).append(weight)
    return parts


def _some_values(tensors: Sequence[Tensor]) -> Tensor:
    """At most about 10,000 of the finite values, evenly spaced over the tensors."""
    every = max(1, -(-sum(tensor.numel() for tensor in tensors) // MOST_VALUES))
    chosen = [tensor.detach().reshape(-1)[::every].float() for tensor in tensors]
    values = torch.cat(chosen).cpu() if chosen else torch.empty(0)
    return values[values.isfinite()]
