"""Teaching: what one micro-batch adds to the gradients, in the way that is fastest on the device."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tasks.modeling.inference import lower_precision
from tasks.modeling.network import MultiTaskNetwork
from tasks.modeling.packing import Layout, layout_of
from tasks.training.gradients import ProjectedGradients, StepGradients
from tasks.training.recording import Recorder
from tasks.training.rows import Batch
from tasks.training.trunk import Trunk
from tasks.training.widening import Size, size_above, size_of, size_rounded, widened


class Teacher:
    """Teaches a network that is on `device`; by recordings, if it is to, where that goes with all else."""

    def __init__(
        self,
        network: MultiTaskNetwork,
        gradients: StepGradients,
        trunk: Trunk | None,
        pad_id: int,
        device: torch.device,
        *,
        bf16: bool,
        recorded: bool,
    ) -> None:
        self._network = network
        self._gradients = gradients
        self._trunk = trunk
        self._pad_id = pad_id
        self._device = device
        self._bf16 = bf16
        # Of each task by itself, or of rows that lie elsewhere, what is computed hangs on more than a batch's size.
        fixed = network.packed and trunk is None and not isinstance(gradients, ProjectedGradients)
        records = recorded and fixed and device.type == "cuda"
        self._recorder = Recorder(self._learn, network, gradients, bf16=bf16) if records else None

    def teach(self, batch: Batch, counts: Mapping[str, float], rows: Sequence[int]) -> dict[str, Tensor]:
        """Adds the gradients of a batch in memory, and gives {task: loss / count}, until the next call.

        `counts` are the labels of the whole step, so that its cut into micro-batches changes nothing, for each task
        that the batch teaches; `rows` are those of the batch.
        """
        if size := self._size_for(batch):
            batch = widened(batch, size, self._network.heads, self._pad_id)
            if self._recorder:
                return self._recorder.learn(batch, counts)
        layout = layout_of(batch.mask).to(self._device) if self._network.packed else None
        return self._learn(batch.to(self._device), layout, counts, rows)

    def computed_tokens(self, batch: Batch) -> int:
        """Tokens that are computed for a batch, with those that pad it."""
        if size := self._size_for(batch):
            return size.tokens
        return int(batch.mask.sum()) if self._network.packed else batch.mask.numel()

    def _learn(
        self, batch: Batch, layout: Layout | None, counts: Mapping[str, float | Tensor], rows: Sequence[int] = ()
    ) -> dict[str, Tensor]:
        """Of a batch on the device. On a GPU, nothing here may wait for it."""
        network = self._network
        with lower_precision(self._device, self._bf16):
            if self._trunk:
                states = self._trunk.states(rows, batch.input_ids, batch.mask, layout)
            else:
                states = network.states(batch.input_ids, batch.mask, batch.segments, layout)
            logits = network.logits(states, batch.mask, batch.words, list(counts))
        losses = {task: network.heads[task].loss(logits[task], batch.targets[task]) / of for task, of in counts.items()}
        self._gradients.add(losses)
        return {task: loss.detach() for task, loss in losses.items()}

    def _size_for(self, batch: Batch) -> Size | None:
        """What a batch is widened to, where the device is faster with few sizes: to be recorded, or, in bf16 on a CPU,
        because a matrix product of another size is compiled anew (a tenth of the time of a training, torch 2.13).
        """
        if self._recorder:
            return size_above(size_of(batch))
        compiles = self._device.type == "cpu" and self._bf16
        return size_rounded(size_of(batch)) if compiles and self._network.packed and not self._trunk else None
