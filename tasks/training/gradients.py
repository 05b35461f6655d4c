"""Gradients of one optimiser step, added up over its micro-batches.

A loss that is given is that of some rows, divided by the labels of the whole step: so what comes of a step does not
depend on how it is cut.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from tasks.modeling.network import MultiTaskNetwork
from tasks.training.ranks import ALONE, Ranks

Losses = Mapping[str, Tensor]


class StepGradients(nn.Module):
    """Those of the sum of the losses by fixed weights."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self._weights = dict(weights)

    def weights(self) -> dict[str, float]:
        """{task: what its loss is multiplied by now}."""
        return dict(self._weights)

    def learnt_with(self, task: str) -> list[nn.Parameter]:
        """What is learnt here by the losses of that task."""
        return []

    def add(self, losses: Losses) -> None:
        """Adds what a micro-batch says."""
        backward([self._weights[task] * loss for task, loss in losses.items()])

    def finish(self, step: int, tasks: Sequence[str], ranks: Ranks = ALONE) -> None:
        """Ends a step in which those tasks learnt, when the weights have the sums of all ranks' gradients.

        From here on the gradients are whole.
        """


class UncertaintyGradients(StepGradients):
    """Those of weight * (exp(-s) * loss + s / 2) with the task's log variance s, which is learnt from 0 on.

    That is Kendall's loss / sigma^2 + log sigma. A squared error, which has half that factor there, comes to the same:
    its sigma is then larger by the square root of 2, and the objective by a constant.
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__(weights)
        self.log_variances = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in weights)
        self._places = {task: place for place, task in enumerate(weights)}

    def weights(self) -> dict[str, float]:
        """weight * exp(-s)."""
        return {task: weight * float(self._precision(task).detach()) for task, weight in self._weights.items()}

    def learnt_with(self, task: str) -> list[nn.Parameter]:
        """The task's log variance."""
        return [self.log_variances[self._places[task]]]

    def add(self, losses: Losses) -> None:
        """Adds what a micro-batch says, to the log variances as well."""
        backward([self._weights[task] * self._precision(task) * loss for task, loss in losses.items()])

    def finish(self, step: int, tasks: Sequence[str], ranks: Ranks = ALONE) -> None:
        """Adds the part that does not depend on rows, once a step."""
        backward([self._weights[task] * self._log_variance(task) / 2 for task in tasks])

    def _log_variance(self, task: str) -> Tensor:
        found: Tensor = self.log_variances[self._places[task]]
        return found

    def _precision(self, task: str) -> Tensor:
        return torch.exp(-self._log_variance(task))


class ProjectedGradients(StepGradients):
    """Those of the heads as they are, and in the encoder each task's without what runs against another's."""

    def __init__(self, weights: Mapping[str, float], network: MultiTaskNetwork, seed: int) -> None:
        super().__init__(weights)
        # Not modules of this one, which would count their weights among its own.
        self._shared = [weight for weight in network.encoder.parameters() if weight.requires_grad]
        self._of_head = {task: list(network.layers[task].parameters()) for task in weights}
        self._seed = seed
        self._sums: dict[str, Tensor] = {}

    def add(self, losses: Losses) -> None:
        """Adds what a micro-batch says, task by task."""
        for task, loss in losses.items():
            own = self._of_head[task]
            found = torch.autograd.grad(
                self._weights[task] * loss, [*self._shared, *own], retain_graph=True, allow_unused=True
            )
            for weight, gradient in zip(own, found[len(self._shared) :], strict=True):
                if gradient is not None:
                    weight.grad = gradient if weight.grad is None else weight.grad + gradient
            if self._shared:
                flat = _flat(self._shared, found[: len(self._shared)])
                self._sums[task] = self._sums[task] + flat if task in self._sums else flat

    def finish(self, step: int, tasks: Sequence[str], ranks: Ranks = ALONE) -> None:
        """Gives the encoder the sum of the projected gradients."""
        if not self._shared:
            return
        order = np.random.default_rng([self._seed, step])
        # By the order of the tasks: that of their first micro-batches would let the cut into them decide.
        sums = [ranks.add_up(self._sums[task] if task in self._sums else self._nothing()) for task in tasks]
        whole = projected_sum(torch.stack(sums), order)
        parts = torch.split(whole, [weight.numel() for weight in self._shared])
        for weight, part in zip(self._shared, parts, strict=True):
            weight.grad = part.view_as(weight).clone()
        self._sums = {}

    def _nothing(self) -> Tensor:
        return _flat(self._shared, [None] * len(self._shared))


def projected_sum(gradients: Tensor, order: np.random.Generator) -> Tensor:
    """Sum of (tasks, weights) gradients, each less its part along every other's that it conflicts with.

    The others are taken in random order, as algorithm 1 of the paper does (arXiv:2001.06782).
    """
    squares = gradients.square().sum(dim=1)
    total = torch.zeros_like(gradients[0])
    for task, own in enumerate(gradients):
        for other in order.permutation(len(gradients)).tolist():
            product = torch.dot(own, gradients[other])
            if other != task and product < 0:
                own = own - product / squares[other] * gradients[other]
        total += own
    return total


def backward(losses: Sequence[Tensor]) -> None:
    """Adds the gradients of the sum of those losses."""
    torch.stack(list(losses)).sum().backward()  # type: ignore[no-untyped-call]


def _flat(weights: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Tensor:
    parts = zip(weights, gradients, strict=True)
    return torch.cat([(torch.zeros_like(w) if gradient is None else gradient).reshape(-1) for w, gradient in parts])
