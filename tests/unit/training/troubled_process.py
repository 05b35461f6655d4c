"""A process of a training that gets into trouble: `python -m ... TROUBLE FOLDER RANK COUNT`.

TROUBLE is JSON: `what` happens to a micro-batch of more than `tokens` padded tokens, behind the first `after` ones. All
else is what `tasks.training.launched` does. Recording is no trouble where the job asks for none.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from tasks.modeling.network import MultiTaskNetwork
from tasks.training import launched
from tasks.training.recording import RecordingError

trouble, folder, rank, count = json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
states = MultiTaskNetwork.states
seen: list[int] = []


def happen() -> None:
    """What a device without memory does, or the kernel of a machine without, or an encoder that cannot be recorded."""
    if trouble["what"] == "recording":
        if json.loads((folder / launched.JOB).read_text(encoding="utf-8"))["recipe"]["kernels"] == "recorded":
            raise RecordingError("the encoder has a will of its own")
        return
    if trouble["what"] == "memory":
        if torch.cuda.is_available():
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
        raise torch.OutOfMemoryError(f"CUDA out of memory, in process {rank}")
    counters = Path(trouble["counters"])
    name, value = counters.read_text(encoding="utf-8").split()
    counters.write_text(f"{name} {int(value) + 1}\n", encoding="utf-8")
    os.kill(os.getpid(), signal.SIGKILL)


def troubled(network: MultiTaskNetwork, input_ids: torch.Tensor, *rest: Any) -> torch.Tensor:
    """The states, unless there is trouble."""
    seen.append(input_ids.numel())
    if network.training and len(seen) > trouble.get("after", 0) and input_ids.numel() > trouble["tokens"]:
        happen()
    return states(network, input_ids, *rest)


MultiTaskNetwork.states = troubled  # type: ignore[method-assign]
launched.main(folder, rank, count)
