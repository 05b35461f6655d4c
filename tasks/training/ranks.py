"""Ranks: the processes that train one model together, and what they tell each other.

All hold the same weights, plan the same steps and take them together; each computes its own rows. What they learn is
added up by hand: a wrapper such as DistributedDataParallel takes the mean of the processes, where a task's loss is its
mean over the rows of all of them.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, distributed, nn

T = TypeVar("T")
BUCKET_NUMBERS = 1 << 24
# Whoever starts the ranks ends them all when one dies, so a rank that waits waits for work, such as a validation.
LONGEST_WAIT = timedelta(days=7)


@dataclass(frozen=True)
class Ranks:
    """One of `count` processes, with its number from 0 on. Of these methods, all have to call the same ones."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this one writes, scores and reports for all."""
        return self.rank == 0

    def begin_step(self, seed: int, step: int) -> None:
        """Lets what is drawn at random hang on seed, step and rank; a process alone goes on with what it has drawn."""
        if self.count > 1:
            torch.manual_seed(int(np.random.SeedSequence([seed, step, self.rank]).generate_state(1)[0]))

    def total(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """The sum over all ranks of each number; all have the same keys."""
        if self.count == 1 or not numbers:
            return dict(numbers)
        values = torch.tensor(list(numbers.values()), dtype=torch.float64)
        distributed.all_reduce(values)
        return dict(zip(numbers, values.tolist(), strict=True))

    def sums(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The sum over all ranks of each value, which is one number; all have the same keys."""
        if self.count == 1 or not values:
            return dict(values)
        found = torch.stack(list(values.values())).double()
        distributed.all_reduce(found)
        return dict(zip(values, found, strict=True))

    def of_first(self, value: T) -> T:
        """What the first rank has for `value`."""
        if self.count == 1:
            return value
        told = [value]
        distributed.broadcast_object_list(told, src=0, device=torch.device("cpu"))
        return told[0]

    def add_up(self, values: Tensor) -> Tensor:
        """The sum over all ranks, in place."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values

    def add_up_gradients(self, weights: Iterable[nn.Parameter]) -> None:
        """Gives each weight the sum of the gradients of all ranks; one that no rank has any for stays without."""
        if self.count == 1:
            return
        # Of a sharded encoder, the gradients are whole as soon as they are there.
        own = [weight for weight in weights if weight.requires_grad and not hasattr(weight, "full_tensor")]
        found = self.total({str(place): float(weight.grad is not None) for place, weight in enumerate(own)})
        learnt = [weight for weight, ranks in zip(own, found.values(), strict=True) if ranks]
        for bucket in _buckets(learnt):
            parts = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in bucket]
            flat = self.add_up(torch.cat([part.reshape(-1) for part in parts]))
            for weight, part in zip(bucket, torch.split(flat, [weight.numel() for weight in bucket]), strict=True):
                # A copy: a view would keep the whole bucket.
                weight.grad = part.view_as(weight).clone()


ALONE = Ranks()


@contextlib.contextmanager
def joined(meeting_point: Path, rank: int, count: int) -> Iterator[Ranks]:
    """The ranks of one machine, which find each other by a file that is not there yet; each has a GPU of its own."""
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    if count == 1:
        yield ALONE
        return
    if not torch.cuda.is_available():
        torch.set_num_threads(max(1, torch.get_num_threads() // count))
    # What lies in memory goes by gloo in either case, so that telling a number does not wait for the GPU.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(
        backend, init_method=meeting_point.as_uri(), rank=rank, world_size=count, timeout=LONGEST_WAIT
    )
    yield Ranks(rank, count)
    # Only at a good end: where a rank has failed, taking leave of it would wait for an answer.
    distributed.destroy_process_group()


def _buckets(weights: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """The weights in their order, some 64 MB at once, which bounds what is copied at a time."""
    bucket: list[nn.Parameter] = []
    size = 0
    for weight in weights:
        if bucket and size + weight.numel() > BUCKET_NUMBERS:
            yield bucket
            bucket, size = [], 0
        bucket.append(weight)
        size += weight.numel()
    if bucket:
        yield bucket
