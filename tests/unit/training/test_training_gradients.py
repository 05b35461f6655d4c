"""How the losses of tasks become one step, by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tasks.modeling.heads import AnyHead
from tasks.modeling.network import MultiTaskNetwork, new_network
from tasks.training.gradients import StepGradients, UncertaintyGradients, projected_sum
from tasks.training.optimiser import new_optimiser
from tasks.training.recipe import Recipe
from tasks.training.weighting import FixedWeighting, GradientSurgery, UncertaintyWeighting


@pytest.fixture
def network(tiny_encoder: Path, toy_heads: dict[str, AnyHead]) -> MultiTaskNetwork:
    """A network of three tasks, whose losses weigh the same."""
    torch.manual_seed(0)
    return new_network(tiny_encoder, {t: head.model_copy(update={"loss_weight": 1.0}) for t, head in toy_heads.items()})


def losses(network: MultiTaskNetwork, rows: slice, signs: dict[str, float]) -> dict[str, Tensor]:
    """A loss of each task: the mean logit on some rows, with that sign."""
    ids = torch.arange(5, 45).reshape(4, 10)[rows]
    states = network.states(ids, torch.ones_like(ids)).mean(dim=1)
    return {task: sign * network.layers[task][1].weight[:, :32].mm(states.T).sum() for task, sign in signs.items()}


def gradients(network: MultiTaskNetwork, part: str) -> Tensor:
    """All gradients below `part` of the network as one vector; those that are not there are 0."""
    weights = network.get_submodule(part).parameters()
    return torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in weights])


def test_weights_are_those_of_the_heads(toy_heads: dict[str, AnyHead]) -> None:
    heads = {**toy_heads, "intent": toy_heads["intent"].model_copy(update={"loss_weight": 2.0})}
    # By default, that of tags is 3.
    assert FixedWeighting().weights(heads) == {"intent": 2.0, "places": 3.0, "urgency": 1.0}


def test_normalised_weights_are_divided_by_the_loss_of_guessing(toy_heads: dict[str, AnyHead]) -> None:
    heads = {**toy_heads, "intent": toy_heads["intent"].model_copy(update={"loss_weight": 2.0})}
    # Two labels, three tags, and a number.
    expected = {"intent": 2 / math.log(2), "places": 3 / math.log(3), "urgency": 1.0}
    assert FixedWeighting(normalise=True).weights(heads) == pytest.approx(expected)


def test_fixed_weights_add_up_the_losses_of_all_micro_batches() -> None:
    a, b = torch.tensor(2.0, requires_grad=True), torch.tensor(5.0, requires_grad=True)
    step = StepGradients({"intent": 1.0, "places": 10.0})
    step.add({"intent": a * a, "places": a * b})
    step.add({"places": b * b})
    step.finish(0, ["intent", "places"])
    assert (float(a.grad or 0), float(b.grad or 0)) == (2 * 2 + 10 * 5, 10 * 2 + 10 * 2 * 5)
    assert list(step.parameters()) == []


def test_uncertainty_weighs_by_the_inverse_variance_and_learns_it() -> None:
    a = torch.tensor(3.0, requires_grad=True)
    step = UncertaintyGradients({"intent": 1.0, "places": 2.0})
    variances = list(step.log_variances)
    with torch.no_grad():
        variances[0].fill_(math.log(4))
    assert step.weights() == pytest.approx({"intent": 0.25, "places": 2.0})
    step.add({"intent": a * a / 3})
    step.add({"intent": 2 * a * a / 3})  # the rest of the rows of the same step
    step.finish(0, ["intent"])
    # d/da of a^2 / 4, and d/ds of exp(-s) * 9 + s / 2 where exp(s) = 4.
    assert float(a.grad or 0) == pytest.approx(1.5)
    assert float(variances[0].grad or 0) == pytest.approx(-9 / 4 + 1 / 2)
    assert variances[1].grad is None  # it did not learn in this step


def test_the_variance_that_uncertainty_comes_to_is_twice_the_loss() -> None:
    step = UncertaintyGradients({"intent": 1.0})
    optimiser = torch.optim.SGD(step.parameters(), lr=0.5)
    for number in range(200):
        optimiser.zero_grad()
        step.add({"intent": torch.tensor(0.2)})
        step.finish(number, ["intent"])
        optimiser.step()
    assert step.weights()["intent"] == pytest.approx(1 / (2 * 0.2), rel=1e-4)


def test_log_variances_are_learnt_without_decay_and_kept_with_the_training(network: MultiTaskNetwork) -> None:
    step = UncertaintyWeighting().gradients(network, seed=1)
    group = new_optimiser(network, step, Recipe(head_learning_rate=0.01, weight_decay=0.3)).param_groups[-1]
    assert (len(group["params"]), group["lr"], group["weight_decay"]) == (3, 0.01, 0.0)
    assert {float(value) for value in step.state_dict().values()} == {0.0}
    assert len(step.state_dict()) == 3
    plain = new_optimiser(network, FixedWeighting().gradients(network, seed=1), Recipe())
    assert len(plain.param_groups) == 4


def test_two_gradients_that_conflict_lose_what_they_have_against_each_other() -> None:
    order = np.random.default_rng(0)
    # (1, 0) and (-1, 1): the first less -1/2 of the second is (1/2, 1/2), the second less -1 of the first is (0, 1).
    assert projected_sum(torch.tensor([[1.0, 0.0], [-1.0, 1.0]]), order).tolist() == [0.5, 1.5]


def test_gradients_that_do_not_conflict_are_added_as_they_are() -> None:
    order = np.random.default_rng(0)
    assert projected_sum(torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0]]), order).tolist() == [3.0, 4.0]
    assert projected_sum(torch.tensor([[1.0, -2.0]]), order).tolist() == [1.0, -2.0]


def test_gradients_that_are_opposite_or_nothing_cancel() -> None:
    order = np.random.default_rng(0)
    assert projected_sum(torch.tensor([[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]]), order).tolist() == [0.0, 0.0]


def test_projecting_against_others_follows_an_order_that_hangs_on_the_generator_alone() -> None:
    three = torch.randn(6, 4, generator=torch.Generator().manual_seed(3))
    found = [projected_sum(three, np.random.default_rng([13, step])) for step in (0, 0, 1, 2, 3)]
    assert torch.equal(found[0], found[1])
    assert any(not torch.equal(found[0], other) for other in found[2:])


def test_surgery_leaves_heads_as_they_are_and_an_encoder_without_conflict_too(network: MultiTaskNetwork) -> None:
    signs = {"intent": 1.0, "places": 1.0}
    plain, surgery = FixedWeighting().gradients(network, 1), GradientSurgery().gradients(network, 1)
    found = []
    for step in (plain, surgery):
        network.zero_grad()
        for rows in (slice(0, 1), slice(1, 4)):
            step.add(losses(network, rows, {"intent": signs["intent"]}))
        step.finish(0, ["intent"])
        found.append((gradients(network, "encoder"), gradients(network, "layers")))
    assert torch.allclose(found[0][0], found[1][0], rtol=1e-5, atol=1e-7)
    assert torch.equal(found[0][1], found[1][1])
    assert list(surgery.parameters()) == []


def test_surgery_projects_what_all_micro_batches_of_a_step_say_together(network: MultiTaskNetwork) -> None:
    signs = {"intent": 1.0, "places": 1.0, "urgency": 1.0}
    # Of the first task's gradient, something runs against each of the others', and these are not at right angles.
    for task, (along, across) in {"intent": (1.0, 0.0), "places": (-0.8, 0.6), "urgency": (-0.6, -0.2)}.items():
        with torch.no_grad():
            network.layers[task][1].weight.zero_()
            network.layers[task][1].weight[0, :16:2] = along
            network.layers[task][1].weight[0, 1:16:2] = across
    alone = []
    for task, sign in signs.items():
        network.zero_grad()
        losses(network, slice(0, 4), {task: sign})[task].backward()  # type: ignore[no-untyped-call]
        alone.append(gradients(network, "encoder"))
    stacked = torch.stack(alone)
    assert (stacked @ stacked.T).min() < 0  # or nothing conflicts
    expected = [projected_sum(stacked, np.random.default_rng([5, step])) for step in range(4)]
    size = float(stacked.sum(dim=0).abs().max())
    assert any(float((other - expected[0]).abs().max()) > 1e-3 * size for other in expected)  # or no order matters
    for cuts in ([slice(0, 4)], [slice(0, 1), slice(1, 3), slice(3, 4)]):
        surgery = GradientSurgery().gradients(network, 5)
        for step in range(4):
            network.zero_grad()
            for rows in cuts:
                surgery.add(losses(network, rows, signs))
            surgery.finish(step, list(signs))
            assert float((gradients(network, "encoder") - expected[step]).abs().max()) < 1e-4 * size
            assert float((stacked.sum(dim=0) - expected[step]).abs().max()) > 1e-2 * size


def test_a_step_of_surgery_keeps_nothing_of_the_one_before(network: MultiTaskNetwork) -> None:
    surgery = GradientSurgery().gradients(network, 5)
    surgery.add(losses(network, slice(0, 4), {"intent": 1.0}))
    surgery.finish(0, ["intent"])
    network.zero_grad()
    surgery.add(losses(network, slice(0, 4), {"places": 1.0}))
    surgery.finish(1, ["places"])
    assert float(gradients(network, "layers.intent").abs().max()) == 0
    found = gradients(network, "encoder")
    network.zero_grad()
    losses(network, slice(0, 4), {"places": 1.0})["places"].backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(found, gradients(network, "encoder"), rtol=1e-5, atol=1e-7)


def test_surgery_on_an_encoder_that_is_frozen_whole_trains_the_heads(network: MultiTaskNetwork) -> None:
    network.encoder.requires_grad_(False)
    surgery = GradientSurgery().gradients(network, 5)
    surgery.add(losses(network, slice(0, 4), {"intent": 1.0, "places": -1.0}))
    surgery.finish(0, ["intent", "places"])
    assert float(gradients(network, "layers.intent").abs().max()) > 0
    assert float(gradients(network, "encoder").abs().max()) == 0
