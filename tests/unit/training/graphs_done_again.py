"""CUDA graphs where there is no GPU: what was recorded is not kept but done again, on the same memory.

So all that Python does for a recording is tested on a processor, and the kernels alone need a GPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from tasks.modeling import packing
from tasks.modeling.network import MultiTaskNetwork
from tasks.training.recording import Learn


class Graph:
    """What `learn` was told while it was recorded, what it gave then, and where the gradients were."""

    again: Any = None

    def replay(self) -> None:
        """Does it again, and puts what comes of it where that was, whatever has other gradients by now."""
        learn, given, losses, gradients = self.again
        now = {weight: weight.grad for weight in gradients}
        for weight, gradient in gradients.items():
            weight.grad = gradient
        for task, loss in learn(*given).items():
            losses[task].copy_(loss)
        for weight, gradient in now.items():
            weight.grad = gradient


class Stream:
    """The only one that a processor has."""

    device = torch.device("cpu")

    def wait_stream(self, other: object) -> None:
        """Nothing runs beside it."""


class Processor:
    """In place of a GPU: calls of `learn` while a graph is recorded teach nothing."""

    recorded: Graph | None = None

    def stand_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Has `torch.cuda` do what is needed of it."""
        for name, does in {
            "graph_pool_handle": object,
            "Stream": Stream,
            "current_stream": Stream,
            "stream": nullcontext,
            "get_rng_state": torch.get_rng_state,
            "set_rng_state": torch.set_rng_state,
            "get_sync_debug_mode": int,
            "set_sync_debug_mode": str,
            "CUDAGraph": Graph,
            "graph": self.recording,
        }.items():
            monkeypatch.setattr(torch.cuda, name, does)
        monkeypatch.setattr(Tensor, "pin_memory", lambda values: values)
        # As that of a GPU, it asks where rows stand of tensors alone.
        monkeypatch.setattr(packing, "_kernel_for", lambda *_: packing._side_by_side)

    @contextmanager
    def recording(self, graph: Graph, **_: object) -> Iterator[None]:
        """In place of `torch.cuda.graph`."""
        self.recorded = graph
        yield
        self.recorded = None

    def watched(self, learn: Learn, network: MultiTaskNetwork) -> Learn:
        """`learn`, of which a recording knows what to do again."""

        def call(*given: Any) -> dict[str, Tensor]:
            gradients = {weight: weight.grad for weight in network.parameters() if weight.grad is not None}
            before = [gradient.clone() for gradient in gradients.values()]
            losses = learn(*given)
            if self.recorded is not None:
                self.recorded.again = (learn, given, losses, gradients)
                for gradient, value in zip(gradients.values(), before, strict=True):
                    gradient.copy_(value)
            return losses

        return call
