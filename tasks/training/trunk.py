"""The frozen part of an encoder, computed once: what does not learn says the same of a row in every epoch."""

import copy
import hashlib
import logging
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from tasks.modeling.encoder import layer_stack
from tasks.modeling.inference import batches_by_length, lower_precision, mask_of, pad
from tasks.modeling.packing import Layout, layout_of, packed_states
from tasks.training.guard import ROWS_COMPARED, difference
from tasks.training.kept_states import RowStates, keep_states

logger = logging.getLogger(__name__)
Lists = Sequence[Sequence[int]]


class Trunk:
    """The encoder in two: `compute` gives the states behind the frozen layers, and `states` goes on from there.

    It reads rows end to end where it is `packed`, which the encoder has to be fit for.
    """

    def __init__(self, encoder: nn.Module, layers: int, *, packed: bool) -> None:
        name, stack = layer_stack(encoder)
        self._packed = packed
        self._given = _Given()
        self._last = stack[layers - 1]
        self._lower = _with_part(encoder, name, nn.ModuleList(stack[:layers]))
        self._upper = _with_part(_with_part(encoder, "embeddings", self._given), name, nn.ModuleList(stack[layers:]))
        self._rows = RowStates(torch.empty(0), [])

    def compute(self, input_ids: Lists, pad_id: int, tokens: int, segments: Lists | None = None) -> Iterator[Tensor]:
        """States of the rows' tokens, row by row in `layout_order`, in batches of at most so many padded tokens."""
        device = next(self._lower.parameters()).device
        reached: list[Tensor] = []
        hook = self._last.register_forward_hook(lambda _, __, output: reached.append(_first(output)))
        bar = tqdm(total=len(input_ids), desc="frozen layers", unit="row", disable=None, leave=False)
        try:
            for batch in batches_by_length([len(ids) for ids in input_ids], tokens):
                inputs = _inputs(batch, input_ids, pad_id, device, segments)
                reached.clear()
                with torch.no_grad():
                    self._lower(**inputs)
                yield reached[-1][inputs["attention_mask"].bool()].cpu()
                bar.update(len(batch))
        finally:
            # Left in place, it would go on keeping what every step of the training computes.
            hook.remove()
            bar.close()

    def remember(self, states: Tensor, lengths: Sequence[int]) -> None:
        """Takes the states of rows of those lengths, as `compute` gives them."""
        self._rows = RowStates(states, lengths)

    def states(self, rows: Sequence[int], input_ids: Tensor, mask: Tensor, layout: Layout | None = None) -> Tensor:
        """Last hidden states of remembered rows: (rows, tokens, width); `layout` is the mask's, if it is there."""
        given = nn.utils.rnn.pad_sequence([self._rows.at(row) for row in rows], batch_first=True).to(mask.device)
        if self._packed:
            layout = layout or layout_of(mask)
            self._given.states = layout.end_to_end(given)[None]
            return packed_states(self._upper, input_ids, mask, layout)
        self._given.states = given
        result: Tensor = self._upper(input_ids=input_ids, attention_mask=mask).last_hidden_state
        return result

    def digest(self, input_ids: Lists, segments: Lists | None, *facts: object) -> str:
        """What the states of the rows depend on: weights, layers, configuration, rows, and the facts."""
        config: Any = self._lower.config
        total = hashlib.sha256(repr([type(self._lower).__name__, config.to_json_string(), *facts]).encode())
        for name, weight in self._lower.state_dict(keep_vars=True).items():
            if not weight.requires_grad:
                total.update(f"{name} {tuple(weight.shape)}".encode())
                total.update(weight.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
        kinds = () if segments is None else (chain.from_iterable(segments),)
        for numbers in (map(len, input_ids), chain.from_iterable(input_ids), *kinds):
            total.update(np.fromiter(numbers, dtype=np.int64).data)
        return total.hexdigest()


def trunk_of(
    encoder: nn.Module,
    layers: int,
    input_ids: Lists,
    pad_id: int,
    tokens: int,
    *,
    bf16: bool,
    packed: bool,
    folder: Path,
    segments: Lists | None = None,
) -> Trunk | None:
    """The trunk of an encoder in which nothing below `layers` learns or drops out, or None where it is of no use.

    Its states lie in `folder`, where a training that goes on finds them. It is of no use where there is no room for
    them, or where the encoder is built so that they do not lead to what it computes as a whole, which eight rows are
    compared for. Training is then slower and otherwise the same.
    """
    device = next(encoder.parameters()).device
    rows = [int(row) for row in torch.linspace(0, len(input_ids) - 1, min(ROWS_COMPARED, len(input_ids)))]
    ids = [input_ids[row] for row in rows]
    kinds = None if segments is None else [segments[row] for row in rows]
    try:
        batch = _inputs(range(len(rows)), ids, pad_id, device, kinds)
        mask = batch["attention_mask"]
        trunk = Trunk(encoder, layers, packed=packed)
        with lower_precision(device, bf16), torch.no_grad():
            some = torch.cat(list(trunk.compute(ids, pad_id, tokens, kinds)))
            trunk.remember(some, [len(of_row) for of_row in ids])
            whole = encoder(**batch).last_hidden_state[mask.bool()]
            found = trunk.states(range(len(rows)), batch["input_ids"], mask)[mask.bool()]
        if problem := difference(found.float(), whole.float(), bf16=bf16):
            raise ValueError(problem)
    except Exception as error:
        # An encoder of another make may take other arguments or hold its layers otherwise.
        logger.info("the frozen layers of %s are computed in every step (%s)", type(encoder).__name__, error)
        return None
    lengths = [len(of_row) for of_row in input_ids]
    path = (
        folder / f"states-{trunk.digest(input_ids, segments, layers, pad_id, some.dtype, bf16, device.type)[:12]}.bin"
    )
    with lower_precision(device, bf16):
        shape = (sum(lengths), some.shape[1])
        states = keep_states(path, shape, some.dtype, lambda: trunk.compute(input_ids, pad_id, tokens, segments))
    if states is None:
        return None
    trunk.remember(states, lengths)
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
