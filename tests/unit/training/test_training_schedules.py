"""Learning rates by formula."""

import math
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from tasks.training.recipe import Recipe
from tasks.training.schedules import Schedule

KINDS = ("linear", "cosine", "constant", "exponential", "reduce_on_plateau")


def factors(
    kind: str, warmup: int = 2, total: int = 10, skills: tuple[float, ...] = (), **settings: Any
) -> list[float]:
    """What a schedule of that kind gives for every step."""
    schedule = TypeAdapter[Any](Schedule).validate_python({"kind": kind, **settings})
    return [schedule.factor(step, warmup, total, skills) for step in range(total)]


@pytest.mark.parametrize("kind", KINDS)
def test_all_rise_in_a_line_and_are_whole_at_its_end(kind: str) -> None:
    assert factors(kind, warmup=4)[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_that_is_all_warm_up_has_the_whole_rate(kind: str) -> None:
    assert factors(kind, warmup=1, total=1) == [1.0]


def test_linear_goes_down_in_a_line_that_would_reach_0_after_the_last_step() -> None:
    assert factors("linear")[2:] == [8 / 8, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]


@pytest.mark.parametrize(("warmup", "total"), [(1, 1), (1, 7), (3, 10), (10, 10), (9, 10)])
def test_linear_gives_the_rates_that_torch_does_to_the_bit(warmup: int, total: int) -> None:
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=2e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warmup, max(0.0, (total - step) / max(1, total - warmup)))
    )
    for factor in factors("linear", warmup, total):
        assert schedule.get_last_lr() == [2e-4 * factor]
        optimiser.step()
        schedule.step()


def test_cosine_goes_down_as_half_a_cosine_does() -> None:
    found = factors("cosine")
    assert found[2:] == pytest.approx([(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)])
    assert found[6] == pytest.approx(0.5)  # half way


def test_constant_stays() -> None:
    assert factors("constant")[2:] == [1.0] * 8


def test_exponential_loses_the_same_part_in_every_step() -> None:
    found = factors("exponential", last_factor=1 / 256)
    assert found[2:] == pytest.approx([2.0**-step for step in range(8)])


@pytest.mark.parametrize(
    ("skills", "factor"),
    [
        ((), 1.0),
        ((0.5, 0.6, 0.7), 1.0),
        ((0.5, 0.5), 1.0),
        ((0.5, 0.5, 0.4), 0.5),
        ((0.5, 0.5, 0.6, 0.6, 0.7), 1.0),  # never two in a row
        ((0.5, 0.4, 0.4, 0.4, 0.4), 0.25),
        ((0.5, *[0.4] * 8), 0.1),  # 0.5 ^ 4 is below the least
    ],
)
def test_a_plateau_of_two_epochs_halves_the_rate(skills: tuple[float, ...], factor: float) -> None:
    found = factors("reduce_on_plateau", skills=skills, plateau_epochs=2, least_factor=0.1)
    assert found[2:] == [factor] * 8
    assert found[0] == 0.5


def test_a_plateau_that_training_ends_before_is_refused() -> None:
    Recipe.model_validate({"patience_epochs": 3, "schedule": {"kind": "reduce_on_plateau", "plateau_epochs": 2}})
    with pytest.raises(ValidationError, match="never reduced; make it fewer"):
        Recipe.model_validate({"patience_epochs": 3, "schedule": {"kind": "reduce_on_plateau", "plateau_epochs": 3}})
