"""Everything a training needs to go on from where it stood, in one file that is whole or absent."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data_contracts.errors import InputError


@dataclass
class Progress:
    """Where a training stands. `step` counts optimiser steps from its start."""

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_skill: float = float("-inf")
    stale_epochs: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(path: Path, network: nn.Module, optimiser: Any, schedule: Any, progress: Progress) -> None:
    """Replaces the checkpoint by the state as it is now, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    state = {
        "network": network.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "progress": vars(progress),
    }
    with draft.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def load_checkpoint(path: Path, network: nn.Module, optimiser: Any, schedule: Any) -> Progress:
    """Puts network, optimiser, schedule and random state back, and returns where the training stood.

    Raises InputError where the file is damaged or was written by a training of another shape.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        if state["random_cuda"]:
            torch.cuda.set_rng_state_all(state["random_cuda"])
        return Progress(**state["progress"])
    except Exception as error:
        raise InputError(
            f"checkpoint {path} cannot be used: it is damaged or of another training ({type(error).__name__}). "
            "Delete it to train from the start."
        ) from error
