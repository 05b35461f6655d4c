"""One file with everything a training needs to go on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from data_contracts.errors import InputError
from tasks.training.checkpoint import Progress, load_checkpoint, save_checkpoint


def parts(seed: int, width: int = 3, steps: int = 2) -> dict[str, Any]:
    """A layer with an optimiser that has taken some steps."""
    torch.manual_seed(seed)
    network = nn.Linear(width, 2)
    found = {"network": network, "optimiser": torch.optim.AdamW(network.parameters(), lr=0.1)}
    for _ in range(steps):
        step(**found)
    return found


def step(network: nn.Linear, optimiser: Any) -> None:
    """One optimiser step on random numbers."""
    optimiser.zero_grad()
    network(torch.randn(4, network.in_features)).square().sum().backward()
    optimiser.step()


def test_a_training_goes_on_as_if_it_had_not_been_interrupted(tmp_path: Path) -> None:
    first = parts(seed=1)
    progress = Progress(2, 3, 23, 1, 0.75, 1, {"weight": torch.ones(2)}, skills=[0.75, 0.5], stopped={"intent": 2})
    save_checkpoint(tmp_path / "scratch" / "checkpoint.pt", first, progress)
    step(**first)
    second = parts(seed=2, steps=1)
    found = load_checkpoint(tmp_path / "scratch" / "checkpoint.pt", second)
    step(**second)
    assert torch.equal(first["network"].weight, second["network"].weight)
    assert (found.skills, found.stopped) == ([0.75, 0.5], {"intent": 2})
    assert vars(found).keys() == vars(progress).keys()
    assert (found.epoch, found.step_in_epoch, found.step, found.best_epoch, found.best_skill, found.stale_epochs) == (
        2, 3, 23, 1, 0.75, 1,
    )  # fmt: skip
    assert torch.equal(found.best_weights["weight"], torch.ones(2))


def test_a_checkpoint_replaces_the_one_before_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for at in (1, 2):
        save_checkpoint(path, parts(seed=1), Progress(step=at))
    assert load_checkpoint(path, parts(seed=1)).step == 2
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "incomplete", "of another network"])
def test_a_checkpoint_that_cannot_be_used_is_refused_with_a_remedy(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, parts(seed=1, width=4 if damage == "of another network" else 3), Progress())
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif damage == "other":
        path.write_bytes(b"not a checkpoint at all")
    elif damage == "incomplete":
        torch.save({"parts": {"network": parts(seed=1)["network"].state_dict()}}, path)
    with pytest.raises(InputError, match=r"checkpoint .*checkpoint\.pt cannot be .*Delete it to train from the start"):
        load_checkpoint(path, parts(seed=1))
