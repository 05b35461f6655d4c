"""Trainings of 1, 2 and 4 processes, which talk to each other through gloo."""

import contextlib
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from several_ranks import in_ranks
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.nn import functional

from tasks.modeling.heads import AnyHead
from tasks.modeling.network import MultiTaskNetwork, new_network
from tasks.training import loop, ranks, selection
from tasks.training.checkpoint import Progress, save_checkpoint
from tasks.training.optimiser import new_optimiser
from tasks.training.ranks import ALONE, Ranks
from tasks.training.recipe import Recipe
from tasks.training.weighting import FixedWeighting, GradientSurgery, LossWeights, UncertaintyWeighting

Training = Callable[..., dict[str, Any]]
TASKS = ("intent", "places", "urgency")
# Small enough that what rounding does to a step is not what the next one starts from.
SLOW = {"encoder_learning_rate": 1e-4, "head_learning_rate": 1e-3, "tokens_per_batch": 48}
WAYS: dict[str, dict[str, Any]] = {
    "default": {"epochs": 2},
    "drawn": {"sampling": {"kind": "temperature"}, "loss_weighting": {"kind": "uncertainty"}},
    "pcgrad": {"sampling": {"kind": "uniform"}, "loss_weighting": {"kind": "pcgrad"}},
    "frozen": {"frozen_layers": 1, "rows_per_step": 3},
}


def bits(network: torch.nn.Module) -> str:
    """A digest of all weights."""
    values = [value.detach().numpy().tobytes() for value in network.state_dict().values()]
    return hashlib.sha256(b"".join(values)).hexdigest()


def fine_tune(of: Ranks, arguments: dict[str, Any]) -> tuple[Any, str]:
    """What came of a training, and a digest of the weights that this process had at its end."""
    built: list[MultiTaskNetwork] = []

    def network(*given: Any) -> MultiTaskNetwork:
        built.append(new_network(*given))
        return built[0]

    def end_epoch(*given: Any) -> float:
        last.append(bits(built[0]))
        return selection.end_epoch(*given)

    last: list[str] = []
    # Both do what they are there for, and are watched.
    loop.new_network, loop.end_epoch = network, end_epoch
    return loop.fine_tune(**arguments, ranks=of), last[-1]


class StopHereError(Exception):
    """What ends a training where a test wants it to."""


def fine_tune_until(of: Ranks, arguments: dict[str, Any], step: int) -> None:
    """Trains to the first checkpoint from that step on."""

    def save(path: Path, parts: dict[str, Any], progress: Progress, ranks: Ranks) -> None:
        save_checkpoint(path, parts, progress, ranks)
        if progress.step >= step:
            raise StopHereError

    loop.save_checkpoint = save  # type: ignore[assignment]
    with contextlib.suppress(StopHereError):
        loop.fine_tune(**arguments, ranks=of)
    loop.save_checkpoint = save_checkpoint


def one_step(of: Ranks, encoder: Path, heads: dict[str, AnyHead], weighting: LossWeights) -> dict[str, Any]:
    """All weights after a step in which rank 0 had a row for intent, rank 1 one for intent and one for places.

    A process alone has all three.
    """
    torch.manual_seed(3)
    network = new_network(encoder, heads)
    gradients = weighting.gradients(network, 7)  # type: ignore[attr-defined]
    optimiser = new_optimiser(network, gradients, Recipe(weight_decay=0.5, head_learning_rate=0.1))
    lessons = [{"intent": 1}, {"intent": 2, "places": 3}]
    for lesson in lessons if of.count == 1 else lessons[of.rank : of.rank + 1]:
        states = network.states(torch.arange(5, 17).reshape(4, 3), torch.ones(4, 3, dtype=torch.long))
        losses = {}
        for task, row in lesson.items():
            layer = network.layers[task][1]
            losses[task] = layer(functional.pad(states[row, 0], (0, layer.weight.shape[1] - 32))).square().sum()
        gradients.add(losses)
    of.add_up_gradients([*network.parameters(), *gradients.parameters()])
    gradients.finish(0, ["intent", "places"], of)
    optimiser.step()
    return {name: value.numpy() for part in (network, gradients) for name, value in part.state_dict().items()}


def sums_of_gradients(of: Ranks, bucket_numbers: int) -> list[list[float] | None]:
    """What three weights have for a gradient when the ranks have added up theirs, of which only the first has some."""
    ranks.BUCKET_NUMBERS = bucket_numbers
    weights = [torch.nn.Parameter(torch.zeros(size)) for size in (2, 3, 1)]
    weights[0].grad = torch.tensor([1.0, 10.0]) * (of.rank + 1)
    if of.rank == 1:
        weights[2].grad = torch.tensor([5.0])
    of.add_up_gradients(weights)
    return [None if weight.grad is None else weight.grad.tolist() for weight in weights]


def draw(of: Ranks) -> list[float]:
    """Random numbers of two steps, and of the first one again."""
    torch.manual_seed(of.rank)
    found = []
    for step in (0, 1, 0):
        of.begin_step(13, step)
        found.append(float(torch.rand(())))
    return found


def only_train(of: Ranks, arguments: dict[str, Any]) -> Any:
    """What came of a training."""
    return loop.fine_tune(**arguments, ranks=of)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the model that a training left in `folder`."""
    found: dict[str, torch.Tensor] = load_file(folder / "model" / "weights.safetensors")
    return found


def curve(folder: Path, tag: str) -> list[float]:
    """Values of one curve."""
    return [event.value for event in EventAccumulator(str(folder / "curves")).Reload().Scalars(tag)]


@pytest.mark.parametrize("way", WAYS)
def test_one_two_and_four_processes_get_the_same_losses_and_hold_the_same_weights(
    way: str, training: Training, tmp_path: Path
) -> None:
    counts = (1, 2, 4) if way == "default" else (1, 2)
    for count in counts:
        arguments = training(f"of_{count}", **{"epochs": 1, **SLOW, **WAYS[way]})
        found = in_ranks(count, tmp_path / "meetings" / str(count), fine_tune, arguments)
        assert len(found) == count
        assert len(set(found)) == 1  # facts and bits
    for tag in [*(f"loss/{task}" for task in TASKS), "gradient_norm", "validation/skill"]:
        alone = curve(tmp_path / "of_1", tag)
        for count in counts[1:]:
            assert curve(tmp_path / f"of_{count}", tag) == pytest.approx(alone, rel=1e-6), (tag, count)


def test_two_processes_come_to_the_same_weights_again_to_the_bit_with_dropout_on(
    training: Training, tmp_path: Path
) -> None:
    found = {}
    for name, seed in {"first": 1, "again": 1, "other": 2}.items():
        arguments = training(name, epochs=1, seed=seed, encoder_dropout=0.1)
        found[name] = in_ranks(2, tmp_path / "meetings" / name, fine_tune, arguments)
    assert found["first"] == found["again"]
    assert found["first"] != found["other"]


@pytest.mark.parametrize(
    "weighting", [FixedWeighting(), UncertaintyWeighting(), GradientSurgery()], ids=lambda kind: str(kind.kind)
)
def test_a_step_of_two_processes_is_that_of_one_and_leaves_a_head_that_nobody_teaches_as_it_is(
    weighting: LossWeights, tiny_encoder: Path, toy_heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    alone = one_step(ALONE, tiny_encoder, toy_heads, weighting)
    first, second = in_ranks(2, tmp_path, one_step, tiny_encoder, toy_heads, weighting)
    torch.manual_seed(3)
    before = new_network(tiny_encoder, toy_heads).state_dict()
    for name, value in alone.items():
        assert first[name].tobytes() == second[name].tobytes(), name
        assert np.allclose(first[name], value, rtol=1e-5, atol=1e-6), name
        if name.startswith("layers."):
            assert np.array_equal(first[name], before[name].numpy()) == name.startswith("layers.urgency"), name


@pytest.mark.parametrize("bucket_numbers", [1, 3, 1000])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_gradients_are_added_up_and_a_weight_that_no_process_has_any_for_stays_without(
    count: int, bucket_numbers: int, tmp_path: Path
) -> None:
    # 1 + 2 + 3 + 4 times what the first rank has.
    whole = {1: [1.0, 10.0], 2: [3.0, 30.0], 4: [10.0, 100.0]}[count]
    found = in_ranks(count, tmp_path, sums_of_gradients, bucket_numbers)
    assert found == [[whole, None, None if count == 1 else [5.0]]] * count


def test_what_processes_draw_at_random_hangs_on_step_and_rank_and_one_alone_goes_on(tmp_path: Path) -> None:
    first, second = in_ranks(2, tmp_path, draw)
    assert len({*first, *second}) == 4
    assert (first[0], second[0]) == (first[2], second[2])
    torch.manual_seed(0)
    assert [float(torch.rand(())) for _ in range(3)] == draw(ALONE)


@pytest.mark.parametrize(
    "way",
    [
        {"epochs": 2, "frozen_layers": 0},
        {"rows_per_step": 1, "task_patience_epochs": 1},  # the second process never has a row
        {"sampling": {"kind": "uniform"}, "loss_weighting": {"kind": "uncertainty"}, "gradient_clip": 0.1},
    ],
    ids=["plain", "idle", "drawn"],
)
def test_an_encoder_of_which_each_process_holds_a_part_learns_as_a_whole_one_does(
    way: dict[str, Any], training: Training, tmp_path: Path
) -> None:
    settings = {"epochs": 1, **SLOW, **way}
    (facts,) = in_ranks(1, tmp_path / "meeting_alone", only_train, training("alone", **settings))
    sharded = training("sharded", **settings, sharding="full")
    found = in_ranks(2, tmp_path / "meeting", only_train, sharded)
    for tag in [*(f"loss/{task}" for task in TASKS), "gradient_norm", "validation/skill"]:
        # Of an answer that is all but certain, the loss is the logarithm of 1 and a little, which fp32 rounds to 6e-8.
        expected = pytest.approx(curve(tmp_path / "alone", tag), rel=1e-5, abs=1e-7)
        assert curve(tmp_path / "sharded", tag) == expected, tag
    whole, parts = weights(tmp_path / "alone"), weights(tmp_path / "sharded")
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.allclose(parts[name], value, rtol=0, atol=1e-5), name
    assert [of.steps for of in found] == [facts.steps] * 2


def test_a_training_of_two_processes_that_was_stopped_goes_on_in_one_in_four_and_sharded(
    training: Training, tmp_path: Path
) -> None:
    settings = {"epochs": 2, "checkpoint_steps": 2, **SLOW}
    in_ranks(2, tmp_path / "meeting", fine_tune_until, training("stopped", **settings), 6)
    in_ranks(1, tmp_path / "meeting_alone", only_train, training("alone", **settings))
    for name, (count, sharding) in {"one": (1, "none"), "four": (4, "none"), "sharded": (2, "full")}.items():
        shutil.copytree(tmp_path / "stopped", tmp_path / name)
        arguments = training(name, **settings, sharding=sharding)
        in_ranks(count, tmp_path / f"meeting_{name}", only_train, arguments)
        assert curve(tmp_path / name, "loss/places") == pytest.approx(
            curve(tmp_path / "alone", "loss/places"), rel=1e-5
        )


def test_a_sharded_training_that_was_stopped_goes_on_to_the_same_weights_and_also_with_a_whole_encoder(
    training: Training, tmp_path: Path
) -> None:
    settings = {"epochs": 2, "checkpoint_steps": 2, **SLOW}
    parts = {**settings, "sharding": "full"}
    in_ranks(2, tmp_path / "meeting", fine_tune_until, training("stopped", **parts), 6)
    shutil.copytree(tmp_path / "stopped", tmp_path / "alone")
    whole = in_ranks(2, tmp_path / "meeting_whole", only_train, training("whole", **parts))
    assert in_ranks(2, tmp_path / "meeting_on", only_train, training("stopped", **parts)) == whole
    assert in_ranks(1, tmp_path / "meeting_one", only_train, training("alone", **settings))[0].steps == whole[0].steps
    first, second, alone = (weights(tmp_path / name) for name in ("whole", "stopped", "alone"))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        assert torch.allclose(value, alone[name], rtol=0, atol=1e-5), name


def test_what_is_sharded_and_projected_gradients_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="sharding: full does not go with loss_weighting pcgrad"):
        Recipe.model_validate({"sharding": "full", "loss_weighting": {"kind": "pcgrad"}})
