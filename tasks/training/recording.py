"""Recording: what a GPU does for a batch is recorded once for each size, and from then on started as a whole.

The kernels of a small encoder are over before Python has started the next ones, so a GPU that is told of them one by
one waits most of the time. A recording is a CUDA graph: the same kernels on the same memory, from the embeddings to the
gradients (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor, nn

from tasks.modeling.heads import WordTensors
from tasks.modeling.network import MultiTaskNetwork
from tasks.modeling.packing import Layout, layout_of, to_device
from tasks.training.gradients import StepGradients
from tasks.training.rows import Batch
from tasks.training.widening import Size, rounded_up, size_of

# Largest difference that is rounding, as a share of all losses or gradients: sums on a GPU have no fixed order.
TOLERANCE = {False: 1e-3, True: 2e-2}
# So that each gradient, and each part of the inputs, begins where a GPU reads several numbers at once.
BYTES_APART = 256

# Adds the gradients of a batch to those of the weights, and returns {task: loss}; told of {task: labels of the step}.
Learn = Callable[[Batch, Layout, Mapping[str, Tensor]], dict[str, Tensor]]


class RecordingError(RuntimeError):
    """What the GPU does cannot be recorded, or does something else when it is started again."""


class Recorder:
    """Calls `learn` by recordings, one for each size of batch and for the tasks that it has targets of."""

    def __init__(self, learn: Learn, network: MultiTaskNetwork, gradients: StepGradients, *, bf16: bool) -> None:
        self._learn = learn
        self._tolerance = TOLERANCE[bf16]
        self._of_encoder = GradientSums(network.encoder.parameters())
        self._of_task = {
            task: GradientSums([*network.layers[task].parameters(), *gradients.learnt_with(task)])
            for task in network.heads
        }
        self._recordings: dict[tuple[Size, tuple[str, ...], bool], _Recording] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def learn(self, batch: Batch, counts: Mapping[str, float]) -> dict[str, Tensor]:
        """What `learn` gives for a batch in memory, until the next call.

        `counts` are of the tasks that it teaches; what is computed for others is left out. Raises RecordingError where
        the kernels cannot be recorded.
        """
        # Of all tasks, so that there are few recordings: a task without a label has neither loss nor gradient.
        of_all = {task: torch.tensor(float(counts.get(task, 1.0))) for task in batch.targets}
        inputs = _Inputs(batch, layout_of(batch.mask), of_all)
        key = size_of(batch), tuple(of_all), batch.segments is None
        if key not in self._recordings:
            self._recordings[key] = self._record(inputs)
        recording = self._recordings[key]
        for sums in self._sums(counts):
            sums.take()
        recording.buffer.copy_(_in_a_row(inputs.tensors).pin_memory(), non_blocking=True)
        recording.graph.replay()
        return {task: recording.losses[task] for task in counts}

    def _sums(self, tasks: Iterable[str]) -> list["GradientSums"]:
        return [self._of_encoder, *(self._of_task[task] for task in tasks)]

    def _record(self, inputs: "_Inputs") -> "_Recording":
        """A recording that was tried: it says what `learn` does, with the same numbers drawn at random."""
        buffer = to_device(_in_a_row(inputs.tensors), self._stream.device)
        inputs = inputs.lying_in(buffer)
        sums = self._sums(inputs.counts)
        before, random = torch.cuda.current_stream(), torch.cuda.get_rng_state()
        with _set_aside(sums):
            self._stream.wait_stream(before)
            with torch.cuda.stream(self._stream):
                if not self._recordings:
                    # What is set up at the first time may wait for the GPU.
                    inputs.given_to(self._learn)
                    _cleared(sums)
                    torch.cuda.set_rng_state(random)
                with _no_waiting():
                    losses = inputs.given_to(self._learn)
                expected = [loss.clone() for loss in losses.values()], _cleared(sums)
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                    losses = inputs.given_to(self._learn)
            before.wait_stream(self._stream)
            torch.cuda.set_rng_state(random)
            graph.replay()
            found = list(losses.values()), _cleared(sums)
            torch.cuda.set_rng_state(random)
        for name, these, those in zip(("losses", "gradients"), found, expected, strict=True):
            apart = _apart(these, those)
            # So that what is no number is no match.
            if not apart <= self._tolerance:
                raise RecordingError(f"the {name} of a recording are {apart:.1e} apart from those that were recorded")
        return _Recording(graph, buffer, losses)


class GradientSums:
    """Memory that gradients of some weights are added up in: the same in every step, as recorded kernels need it."""

    def __init__(self, weights: Iterable[nn.Parameter]) -> None:
        self.weights = [weight for weight in weights if weight.requires_grad]
        sizes = [
            rounded_up(weight.numel() * weight.element_size(), BYTES_APART) // weight.element_size()
            for weight in self.weights
        ]
        device = self.weights[0].device if self.weights else torch.device("cpu")
        self._whole = torch.zeros(sum(sizes), device=device)
        self._parts = [
            part[: weight.numel()].view_as(weight)
            for weight, part in zip(self.weights, torch.split(self._whole, sizes), strict=True)
        ]

    def take(self) -> None:
        """Has the weights' gradients lie here, with what they are so far."""
        others = [
            (weight, part) for weight, part in zip(self.weights, self._parts, strict=True) if weight.grad is not part
        ]
        if len(others) == len(self._parts):
            self._whole.zero_()
        for weight, part in others:
            if weight.grad is not None:
                part.copy_(weight.grad)
            elif len(others) < len(self._parts):
                part.zero_()
            weight.grad = part

    def clear(self) -> Tensor:
        """What was added up, and zeros from here on."""
        found = self._whole.clone()
        self._whole.zero_()
        return found


@dataclass(frozen=True)
class _Inputs:
    """What `learn` is told."""

    batch: Batch
    layout: Layout
    counts: dict[str, Tensor]

    @property
    def tensors(self) -> list[Tensor]:
        """All of it, in an order that hangs on nothing but which there are."""
        batch, layout = self.batch, self.layout
        found = [batch.input_ids, batch.mask, layout.mask, layout.places, layout.ends]
        found += [of for words in batch.words.values() for of in words]
        found += [*batch.targets.values(), *self.counts.values()]
        return found if batch.segments is None else [*found, batch.segments]

    def lying_in(self, buffer: Tensor) -> "_Inputs":
        """The same, in what `_in_a_row` made of it."""
        parts = iter(_parts_of(buffer, self.tensors))
        batch, layout = self.batch, self.layout
        ids, mask = next(parts), next(parts)
        layout = Layout(next(parts), next(parts), next(parts), layout.lengths)
        words = {column: WordTensors(next(parts), next(parts)) for column in batch.words}
        targets = {task: next(parts) for task in batch.targets}
        counts = {task: next(parts) for task in self.counts}
        segments = None if batch.segments is None else next(parts)
        return _Inputs(Batch(ids, mask, words, targets, segments), layout, counts)

    def given_to(self, learn: Learn) -> dict[str, Tensor]:
        return learn(self.batch, self.layout, self.counts)


@dataclass(frozen=True)
class _Recording:
    graph: torch.cuda.CUDAGraph
    buffer: Tensor
    losses: dict[str, Tensor]


def _in_a_row(tensors: Sequence[Tensor]) -> Tensor:
    """The bytes of all of them, so that they are sent as one."""
    sizes = [of.numel() * of.element_size() for of in tensors]
    whole = torch.empty(sum(rounded_up(size, BYTES_APART) for size in sizes), dtype=torch.uint8)
    for part, of in zip(_parts_of(whole, tensors), tensors, strict=True):
        part.copy_(of)
    return whole


def _parts_of(buffer: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Views of the buffer's bytes, of those shapes and kinds."""
    sizes = [of.numel() * of.element_size() for of in like]
    starts = [0, *accumulate(rounded_up(size, BYTES_APART) for size in sizes)]
    return [
        buffer[start : start + size].view(of.dtype).view(of.shape)
        for start, size, of in zip(starts, sizes, like, strict=False)
    ]


def _cleared(sums: Iterable[GradientSums]) -> list[Tensor]:
    return [of.clear() for of in sums]


@contextmanager
def _set_aside(sums: Iterable[GradientSums]) -> Iterator[None]:
    """Zeros for gradients, and what they were afterwards."""
    weights = [weight for of in sums for weight in of.weights]
    held = [None if weight.grad is None else weight.grad.clone() for weight in weights]
    for weight in weights:
        weight.grad = None
    for of in sums:
        of.take()
    try:
        yield
    finally:
        for weight, gradient in zip(weights, held, strict=True):
            weight.grad = gradient


@contextmanager
def _no_waiting() -> Iterator[None]:
    """Raises RecordingError for what would wait for the GPU: recorded, it would leave the device in disorder."""
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        # "called a synchronizing CUDA operation", unless it cannot be computed at all, which comes out one by one.
        raise RecordingError(f"it cannot be recorded: {error}") from error
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _apart(these: list[Tensor], those: list[Tensor]) -> float:
    """The difference as a share of the second."""
    flat = [torch.cat([of.reshape(-1).double() for of in each]) for each in (these, those)]
    return float((flat[0] - flat[1]).norm() / flat[1].norm().clamp(min=1e-9))
