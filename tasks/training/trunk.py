"""The frozen part of an encoder, computed once: what does not learn says the same of a row in every epoch."""

import copy
import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from tasks.modeling.encoder import layer_stack
from tasks.modeling.inference import batches_by_length, lower_precision, mask_of, pad

logger = logging.getLogger(__name__)
Lists = Sequence[Sequence[int]]
MOST_BYTES = 2 << 30
ROWS_COMPARED = 8
# Largest difference between the two ways to compute a state, which is of the order of 1.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


class Trunk:
    """States of every row behind the frozen layers, kept in memory; `states` goes on from there."""

    def __init__(self, encoder: nn.Module, layers: int) -> None:
        name, stack = layer_stack(encoder)
        self._given = _Given()
        self._last = stack[layers - 1]
        self._lower = _with_part(encoder, name, nn.ModuleList(stack[:layers]))
        self._upper = _with_part(_with_part(encoder, "embeddings", self._given), name, nn.ModuleList(stack[layers:]))
        self._rows: list[Tensor] = []

    def remember(
        self, input_ids: Lists, pad_id: int, tokens: int, device: torch.device, segments: Lists | None = None
    ) -> None:
        """Computes the rows, in batches of at most so many padded tokens."""
        reached: list[Tensor] = []
        hook = self._last.register_forward_hook(lambda _, __, output: reached.append(_first(output)))
        rows: list[Tensor] = [torch.empty(0)] * len(input_ids)
        bar = tqdm(total=len(input_ids), desc="frozen layers", unit="row", disable=None, leave=False)
        try:
            for batch in batches_by_length([len(ids) for ids in input_ids], tokens):
                reached.clear()
                with torch.no_grad():
                    self._lower(**_inputs(batch, input_ids, pad_id, device, segments))
                for row, states in zip(batch, reached[-1].cpu(), strict=True):
                    # A copy: a view would keep the whole batch, padding and all.
                    rows[row] = states[: len(input_ids[row])].clone()
                bar.update(len(batch))
        finally:
            # Left in place, it would go on keeping what every step of the training computes.
            hook.remove()
            bar.close()
        self._rows = rows

    def states(self, rows: Sequence[int], input_ids: Tensor, mask: Tensor) -> Tensor:
        """Last hidden states of remembered rows: (rows, tokens, width)."""
        self._given.states = nn.utils.rnn.pad_sequence([self._rows[row] for row in rows], batch_first=True).to(
            mask.device
        )
        result: Tensor = self._upper(input_ids=input_ids, attention_mask=mask).last_hidden_state
        return result


def trunk_of(
    encoder: nn.Module,
    layers: int,
    input_ids: Lists,
    pad_id: int,
    tokens: int,
    *,
    bf16: bool,
    segments: Lists | None = None,
) -> Trunk | None:
    """The trunk of an encoder in which nothing below `layers` learns or drops out, or None where it is of no use.

    That is where the states would take more than 2 GiB, or where the encoder is built so that they do not lead to what
    it computes as a whole, which eight rows are compared for. Training is then slower and otherwise the same.
    """
    device = next(encoder.parameters()).device
    width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
    if 4 * width * sum(len(ids) for ids in input_ids) > MOST_BYTES:
        logger.info("the frozen layers are computed in every step: what they give is too much to keep in memory")
        return None
    rows = [int(row) for row in torch.linspace(0, len(input_ids) - 1, min(ROWS_COMPARED, len(input_ids)))]
    some = None if segments is None else [segments[row] for row in rows]
    try:
        batch = _inputs(rows, input_ids, pad_id, device, segments)
        mask = batch["attention_mask"]
        trunk = Trunk(encoder, layers)
        with lower_precision(device, bf16), torch.no_grad():
            trunk.remember([input_ids[row] for row in rows], pad_id, tokens, device, some)
            difference = trunk.states(range(len(rows)), batch["input_ids"], mask) - encoder(**batch).last_hidden_state
            difference = difference[mask.bool()].abs().max()
        if difference > TOLERANCE[torch.bfloat16 if bf16 else torch.float32]:
            raise ValueError(f"a state differs by {float(difference):.1e}")
    except Exception as error:
        # An encoder of another make may take other arguments or hold its layers otherwise.
        logger.info("the frozen layers of %s are computed in every step (%s)", type(encoder).__name__, error)
        return None
    with lower_precision(device, bf16):
        trunk.remember(input_ids, pad_id, tokens, device, segments)
    return trunk


class _Given(nn.Module):
    """In place of the embeddings: whatever it is called with, the states it was given."""

    states: Tensor

    def forward(self, *_: object, **__: object) -> Tensor:
        """(batch, tokens, width)."""
        return self.states


def _inputs(
    rows: Sequence[int], input_ids: Lists, pad_id: int, device: torch.device, segments: Lists | None
) -> dict[str, Tensor]:
    """What the encoder is called with for those rows."""
    ids = [input_ids[row] for row in rows]
    batch = {"input_ids": pad(ids, pad_id), "attention_mask": mask_of(ids)}
    if segments is not None:
        batch["token_type_ids"] = pad([segments[row] for row in rows], 0)
    return {name: values.to(device) for name, values in batch.items()}


def _first(output: Any) -> Tensor:
    """States from what a layer returns, which is often a tuple that begins with them."""
    states: Tensor = output[0] if isinstance(output, tuple) else output
    return states


def _with_part(module: nn.Module, path: str, part: nn.Module) -> nn.Module:
    """A copy of the module with another part at `path`; all other parts, and so all weights, are the same ones."""
    name, _, below = path.partition(".")
    twin = copy.copy(module)
    twin._modules = dict(module._modules)
    twin._modules[name] = _with_part(module.get_submodule(name), below, part) if below else part
    return twin
