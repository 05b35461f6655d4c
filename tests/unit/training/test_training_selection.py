"""Which epoch is kept, and when a task or the training is at its end."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tasks.modeling.heads import AnyHead
from tasks.modeling.network import MultiTaskNetwork, new_network
from tasks.training.checkpoint import Progress
from tasks.training.recipe import Recipe
from tasks.training.selection import end_epoch, is_over, skill_of


@pytest.fixture
def network(tiny_encoder: Path, toy_heads: dict[str, AnyHead]) -> MultiTaskNetwork:
    """A network of two tasks, whose weights are those of epoch 0."""
    network = new_network(tiny_encoder, {task: toy_heads[task] for task in ("intent", "urgency")})
    paint(network, 0)
    return network


def paint(network: MultiTaskNetwork, value: float) -> None:
    """Sets all weights of the heads, so that it can be told of which epoch they are."""
    with torch.no_grad():
        for weight in network.layers.parameters():
            weight.fill_(value)


def bias(network: MultiTaskNetwork, task: str) -> float:
    """What the head of the task was painted with."""
    return float(next(network.layers[task].parameters()).flatten()[0])


def run(network: MultiTaskNetwork, recipe: Recipe, *scores: tuple[float, float]) -> Progress:
    """Ends epochs with those scores of intent and urgency, painting those that still learn before."""
    progress = Progress()
    for epoch, (intent, urgency) in enumerate(scores, start=1):
        kept = {task: bias(network, task) for task in progress.stopped}
        paint(network, epoch)
        with torch.no_grad():
            for task, value in kept.items():
                for weight in network.layers[task].parameters():
                    weight.fill_(value)
        progress.step_in_epoch = 7
        end_epoch(progress, {"intent": intent, "urgency": urgency}, network, recipe)
    return progress


def test_the_skill_is_the_mean_score_and_with_references_the_mean_of_scores_over_them() -> None:
    scores = {"intent": 0.9, "places": 0.4}
    assert skill_of(scores, {}) == pytest.approx(0.65)
    # 0.9 / 0.9 and 0.4 / 0.5.
    assert skill_of(scores, {"intent": 0.9, "places": 0.5}) == pytest.approx(0.9)


def test_the_epoch_with_the_best_skill_is_kept(network: MultiTaskNetwork) -> None:
    progress = run(network, Recipe(), (0.5, 0.5), (0.9, 0.3), (0.4, 0.7), (0.5, 0.6))
    assert (progress.epoch, progress.step_in_epoch) == (4, 0)
    assert (progress.best_epoch, progress.stale_epochs) == (2, 2)
    assert (progress.best_skill, progress.skills) == (pytest.approx(0.6), pytest.approx([0.5, 0.6, 0.55, 0.55]))
    assert float(progress.best_weights["layers.intent.1.centre"][0]) == 2


def test_references_make_a_gain_on_a_hard_task_count_more(network: MultiTaskNetwork) -> None:
    scores = ((0.9, 0.2), (0.8, 0.28))
    assert run(network, Recipe(), *scores).best_epoch == 1
    assert run(network, Recipe(reference_scores={"intent": 1.0, "urgency": 0.4}), *scores).best_epoch == 2


def test_an_epoch_that_reaches_all_floors_goes_before_any_that_does_not(network: MultiTaskNetwork) -> None:
    recipe = Recipe(skill_floors={"urgency": 0.3})
    progress = run(network, recipe, (0.9, 0.2), (0.5, 0.3), (0.9, 0.29), (0.6, 0.3))
    assert (progress.best_epoch, progress.best_missed, progress.stale_epochs) == (4, [], 0)


def test_where_no_epoch_reaches_the_floors_the_best_is_kept_and_known_to_be_below(network: MultiTaskNetwork) -> None:
    progress = run(network, Recipe(skill_floors={"intent": 0.1, "urgency": 0.3}), (0.5, 0.2), (0.9, 0.1), (0.5, 0.1))
    assert (progress.best_epoch, progress.best_missed) == (2, ["urgency"])


def test_a_task_that_does_not_improve_stops_with_the_best_weights_of_its_head(
    network: MultiTaskNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = Recipe(task_patience_epochs=2)
    with caplog.at_level(logging.INFO):
        progress = run(network, recipe, (0.5, 0.1), (0.6, 0.2), (0.6, 0.3), (0.4, 0.4), (0.9, 0.5))
    # Its last better score was that of epoch 2; what the encoder does to it later starts nothing anew.
    assert progress.stopped == {"intent": 4}
    assert (bias(network, "intent"), bias(network, "urgency")) == (2, 5)
    assert progress.task_best["intent"] == 0.6
    assert "task intent learns no more after epoch 4; its best score was 0.600" in caplog.text


def test_without_task_patience_no_task_stops(network: MultiTaskNetwork) -> None:
    progress = run(network, Recipe(), *[(0.5, 0.5)] * 9)
    assert (progress.stopped, progress.task_heads) == ({}, {})


@pytest.mark.parametrize(
    ("progress", "over"),
    [
        (Progress(epoch=4, stale_epochs=1, stopped={"intent": 2}), False),
        (Progress(epoch=5, stale_epochs=1), True),
        (Progress(epoch=4, stale_epochs=2), True),
        (Progress(epoch=4, stale_epochs=1, stopped={"intent": 2, "urgency": 4}), True),
    ],
)
def test_training_is_over_after_all_epochs_or_when_nothing_improves(progress: Progress, over: bool) -> None:
    assert is_over(progress, 2, Recipe(epochs=5, patience_epochs=2)) == over


def test_a_recipe_that_names_other_tasks_does_not_fit() -> None:
    recipe = Recipe.model_validate(
        {
            "sampling": {"kind": "fixed", "tasks": {"intent": 1}},
            "skill_floors": {"colour": 0.5},
            "reference_scores": {"intent": 0.9},
        }
    )
    assert recipe.misfits(["intent", "urgency"]) == [
        "sampling.tasks gives urgency no part",
        "skill_floors: no head is called colour",
        "reference_scores gives urgency none, though it does others",
    ]
    assert Recipe().misfits(["intent", "urgency"]) == []


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize(
    "settings",
    [
        lambda number: {"skill_floors": {"intent": number}},
        lambda number: {"reference_scores": {"intent": number}},
        lambda number: {"sampling": {"kind": "fixed", "tasks": {"intent": number}}},
        lambda number: {"weight_decay": number},
    ],
)
def test_numbers_that_no_score_can_be_held_against_are_refused(
    settings: Callable[[float], dict[str, Any]], number: float
) -> None:
    # No score is below a floor that is no number, so it would be none.
    with pytest.raises(ValidationError, match=r"finite number|greater than"):
        Recipe.model_validate(settings(number))
