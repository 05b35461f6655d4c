"""Sharding: an encoder of which each rank holds a part, and fetches the rest layer by layer when it computes.

That is FSDP, by torch's `fully_shard`. Heads are small, and whole everywhere. What is saved is whole, so a training
may go on with another number of ranks, or without sharding.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from tasks.modeling.encoder import layer_stack
from tasks.modeling.network import MultiTaskNetwork
from tasks.training.ranks import Ranks


def shard(encoder: nn.Module, ranks: Ranks, device: torch.device) -> None:
    """Leaves this rank's part of every weight in the encoder, on the device."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    mesh = init_device_mesh(device.type, (ranks.count,))
    for layer in layer_stack(encoder)[1]:
        fully_shard(layer, mesh=mesh)
    fully_shard(encoder, mesh=mesh)
    for part in encoder.modules():
        if isinstance(part, FSDPModule):
            # Sums, where the default is the mean of the ranks: a loss is already divided by the labels of all of them.
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
            # What is fetched first in inference mode, as by a training that is resumed, could not be trained later.
            part.unshard()
            part.reshard()


def whole(state: Any) -> Any:
    """The state with what is sharded in it put together, in the memory of every rank; all have to ask for it."""
    # One by one: together they may not fit into a GPU.
    return pytree.tree_map(lambda value: _joined(value).cpu() if is_part(value) else value, state)


def load_whole(part: Any, state: Mapping[str, Any]) -> None:
    """Gives a module or an optimiser its part of a state that is whole."""
    if isinstance(part, torch.optim.Optimizer):
        weights = [weight for group in part.param_groups for weight in group["params"]]
        of_weights = {
            place: {name: _part_of(value, weights[place]) for name, value in of_weight.items()}
            for place, of_weight in state["state"].items()
        }
        part.load_state_dict({**state, "state": of_weights})
    else:
        own = part.state_dict()
        part.load_state_dict({name: _part_of(value, own.get(name)) for name, value in state.items()})


def clip_gradients(network: MultiTaskNetwork, most: float) -> Tensor:
    """The norm of all gradients, which are then no longer than `most`, as `clip_grad_norm_` does it."""
    heads, encoder = _gradients(network.layers), _gradients(network.encoder)
    norms = [_joined(nn.utils.get_total_norm(gradients)) for gradients in (heads, encoder)]
    norm: Tensor = torch.linalg.vector_norm(torch.stack([of.to(norms[0].device) for of in norms]))
    factor = min(1.0, most / (float(norm) + 1e-6))
    for gradient in (*heads, *encoder):
        gradient.mul_(factor)
    return norm


def passes_left(learning: Iterable[int], rank: int) -> int:
    """How many micro-batches less than another rank this one has in a step, of which `learning` has each one's rank."""
    counts = Counter(learning)
    return max(counts.values(), default=0) - counts[rank]


def pass_idly(states: Tensor) -> None:
    """Learns nothing from the states, so that the other ranks are not left waiting for this one's part."""
    if states.requires_grad:
        (states.sum() * 0).backward()  # type: ignore[no-untyped-call]


def is_part(value: Any) -> bool:
    """Whether a tensor is sharded."""
    # Importing its class takes a second of every process, sharded or not.
    return hasattr(value, "full_tensor")


def _joined(value: Any) -> Any:
    return value.full_tensor() if is_part(value) else value


def _part_of(value: Any, like: Any) -> Any:
    if not is_part(like) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    # Every rank has read the same file, so nothing has to be sent.
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def _gradients(module: nn.Module) -> list[Tensor]:
    return [weight.grad for weight in module.parameters() if weight.grad is not None]
