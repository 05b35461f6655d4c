"""Everything a training needs to go on from where it stood, in one file that is whole or absent."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from data_contracts.errors import InputError
from tasks.training.ranks import ALONE, Ranks
from tasks.training.sharding import load_whole, whole


@dataclass
class Progress:
    """Where a training stands. `step` counts optimiser steps from its start, `skills` are those of its epochs.

    By task: `task_best` is the best score so far, `task_stale` the epochs since, `task_heads` the weights of its head
    then, and `stopped` the first epoch in which it no longer learns. `best_missed` are the floors that the best epoch
    did not reach.
    """

    epoch: int = 0
    step_in_epoch: int = 0
    step: int = 0
    best_epoch: int = 0
    best_skill: float = float("-inf")
    stale_epochs: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    best_missed: list[str] = field(default_factory=list)
    skills: list[float] = field(default_factory=list)
    task_best: dict[str, float] = field(default_factory=dict)
    task_stale: dict[str, int] = field(default_factory=dict)
    task_heads: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    stopped: dict[str, int] = field(default_factory=dict)


def save_checkpoint(path: Path, parts: Mapping[str, Any], progress: Progress, ranks: Ranks = ALONE) -> None:
    """Replaces the checkpoint by the state of the parts as it is now, atomically; the first rank writes for all.

    Parts have a `state_dict`: network, optimiser, and whatever else learns. What several ranks draw at random hangs on
    the step, so nothing of it has to be kept.
    """
    states = whole({name: part.state_dict() for name, part in parts.items()})
    if not ranks.is_first:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    state = {
        "parts": states,
        "random": torch.get_rng_state(),
        # Of the one device in use: asking the others, of other ranks, would take memory on each.
        "random_cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
        "progress": vars(progress),
    }
    with draft.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def load_checkpoint(path: Path, parts: Mapping[str, Any]) -> Progress:
    """Puts the parts and the random state back, and returns where the training stood.

    Raises InputError where the file is damaged or was written by a training of another shape.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            load_whole(part, state["parts"][name])
        torch.set_rng_state(state["random"])
        for of_device in state["random_cuda"]:
            torch.cuda.set_rng_state(of_device)
        return Progress(**state["progress"])
    except Exception as error:
        raise InputError(
            f"checkpoint {path} cannot be used: it is damaged or of another training ({type(error).__name__}). "
            "Delete it to train from the start."
        ) from error
