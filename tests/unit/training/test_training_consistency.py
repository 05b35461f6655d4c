"""Rows that are answered twice, by two draws of dropout (R-Drop)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tasks.modeling.encoder import set_dropout
from tasks.modeling.heads import AnyHead
from tasks.modeling.network import MultiTaskNetwork, new_network
from tasks.training.gradients import StepGradients
from tasks.training.rows import Batch, read_rows
from tasks.training.teaching import Teacher

Train = Callable[..., Any]
CPU = torch.device("cpu")


@pytest.fixture
def batch(toy_splits: Path, toy_heads: dict[str, AnyHead]) -> Batch:
    """Twelve rows of the toy problem."""
    rows = read_rows(toy_splits / "snapshot", toy_splits / "tokens", "train", toy_heads)
    return rows.batch(list(range(12)), toy_heads, 0)


def apart(network: MultiTaskNetwork, batch: Batch) -> dict[str, float]:
    """{task: how far two passes over the batch are apart}, with the dropout that the network has."""
    with torch.no_grad():
        one, other = (
            network.logits(
                network.states(batch.input_ids, batch.mask, batch.segments, None),
                batch.mask,
                batch.words,
                list(network.heads),
            )
            for _ in range(2)
        )
    heads = network.heads
    return {task: float(heads[task].disagreement(one[task], other[task], batch.targets[task])) for task in heads}


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_loss_is_that_of_both_passes_on_average_and_what_they_are_apart_by_its_weight(
    dropout: float, batch: Batch, toy_heads: dict[str, AnyHead], tiny_encoder: Path
) -> None:
    torch.manual_seed(0)
    network = new_network(tiny_encoder, toy_heads).train()
    set_dropout(network.encoder, dropout)
    counts = dict.fromkeys(toy_heads, 2.0)

    def taught(consistency: float) -> dict[str, float]:
        gradients = StepGradients(dict.fromkeys(toy_heads, 1.0))
        teacher = Teacher(network, gradients, None, 0, CPU, bf16=False, recorded=False, consistency=consistency)
        return {task: float(loss) for task, loss in teacher.teach(batch, counts, range(12)).items()}

    torch.manual_seed(1)
    first, second = taught(0.0), taught(0.0)
    torch.manual_seed(1)
    distance = apart(network, batch)
    torch.manual_seed(1)
    both = taught(0.5)
    for task in toy_heads:
        assert (distance[task] > 0) == (dropout > 0)
        assert both[task] == pytest.approx((first[task] + second[task]) / 2 + 0.5 * distance[task] / 2, rel=1e-5)


def test_a_network_without_dropout_learns_what_it_does_in_one_pass(train: Train, tmp_path: Path) -> None:
    train("once", epochs=2)
    train("twice", epochs=2, consistency=1.0)
    once, twice = (load_file(tmp_path / name / "model" / "weights.safetensors") for name in ("once", "twice"))
    for name, weight in once.items():
        assert torch.allclose(weight, twice[name], rtol=0, atol=1e-4), name


def test_with_dropout_it_learns_something_else(train: Train, tmp_path: Path) -> None:
    for name, consistency in (("free", 0.0), ("bound", 1.0)):
        train(name, epochs=1, encoder_dropout=0.1, consistency=consistency)
    free, bound = (load_file(tmp_path / name / "model" / "weights.safetensors") for name in ("free", "bound"))
    assert any(not torch.equal(weight, bound[name]) for name, weight in free.items())
