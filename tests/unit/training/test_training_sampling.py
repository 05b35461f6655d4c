"""Shares of tasks, by hand."""

import pytest
from pydantic import ValidationError

from tasks.training.recipe import Recipe
from tasks.training.sampling import (
    AllRows,
    AnnealedSampling,
    FixedSampling,
    ProportionalSampling,
    TemperatureSampling,
    UniformSampling,
)

ROWS = {"intent": 900, "places": 100}


def test_all_rows_are_drawn_for_no_task() -> None:
    assert AllRows().shares(ROWS, 0, 10) is None


def test_proportional_shares_are_those_of_the_rows_and_uniform_ones_are_alike() -> None:
    assert ProportionalSampling().shares(ROWS, 3, 10) == {"intent": 0.9, "places": 0.1}
    assert UniformSampling().shares(ROWS, 3, 10) == {"intent": 0.5, "places": 0.5}


def test_a_temperature_of_2_takes_square_roots() -> None:
    # 30 and 10.
    assert TemperatureSampling().shares(ROWS, 0, 10) == pytest.approx({"intent": 0.75, "places": 0.25})


def test_a_temperature_of_1_is_proportional_and_a_very_high_one_uniform() -> None:
    assert TemperatureSampling(temperature=1).shares(ROWS, 0, 10) == pytest.approx({"intent": 0.9, "places": 0.1})
    assert TemperatureSampling(temperature=1e9).shares(ROWS, 0, 10) == pytest.approx({"intent": 0.5, "places": 0.5})


def test_rows_beyond_the_cap_do_not_count() -> None:
    # min(900, 400) and 100: 20 and 10.
    assert TemperatureSampling(cap=400).shares(ROWS, 0, 10) == pytest.approx({"intent": 2 / 3, "places": 1 / 3})


def test_annealed_shares_go_from_proportional_to_uniform() -> None:
    found = [AnnealedSampling().shares(ROWS, epoch, 3) for epoch in range(3)]
    assert found[0] == pytest.approx({"intent": 0.9, "places": 0.1})
    assert found[1] == pytest.approx({"intent": 0.75, "places": 0.25})
    assert found[2] == pytest.approx({"intent": 0.5, "places": 0.5})
    assert AnnealedSampling(last_exponent=0.5).shares(ROWS, 2, 3) == pytest.approx({"intent": 0.75, "places": 0.25})
    assert AnnealedSampling().shares(ROWS, 0, 1) == pytest.approx({"intent": 0.9, "places": 0.1})


def test_fixed_shares_are_parts_of_those_that_still_learn() -> None:
    fixed = FixedSampling(tasks={"intent": 3, "places": 1, "urgency": 4})
    assert fixed.shares(ROWS, 0, 10) == {"intent": 0.75, "places": 0.25}


def test_fixed_shares_name_every_head_and_no_other() -> None:
    fixed = FixedSampling(tasks={"intent": 3, "colour": 1})
    assert fixed.misfits(["intent", "places"]) == [
        "sampling.tasks gives places no part",
        "sampling.tasks: no head is called colour",
    ]
    assert UniformSampling().misfits(["intent", "places"]) == []


@pytest.mark.parametrize("tasks", [{}, {"intent": 0}, {"intent": -1}])
def test_a_share_is_more_than_nothing(tasks: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="tasks"):
        FixedSampling(tasks=tasks)


def test_a_task_that_is_trained_alone_is_drawn_for_by_all_kinds() -> None:
    for sampling in (UniformSampling(), TemperatureSampling(cap=50), FixedSampling(tasks={"intent": 1, "places": 3})):
        alone = sampling.alone("places")
        assert alone.misfits(["places"]) == []
        assert alone.shares({"places": 100}, 0, 10) == {"places": 1.0}
    assert AllRows().alone("places") == AllRows()


def test_a_recipe_for_one_task_says_nothing_of_the_others_and_the_same_of_all_else() -> None:
    recipe = Recipe(
        sampling=FixedSampling(tasks={"intent": 1, "places": 3}),
        skill_floors={"intent": 0.9},
        reference_scores={"intent": 0.8, "places": 0.7},
        epochs=3,
    )
    alone = recipe.alone("places")
    assert alone.misfits(["places"]) == []
    assert (alone.skill_floors, alone.reference_scores, alone.epochs) == ({}, {"places": 0.7}, 3)
    assert recipe.alone("intent").skill_floors == {"intent": 0.9}
    assert Recipe().alone("intent") == Recipe()
