"""Plans: what training will see, as a pure function."""

import numpy as np
import pytest

from tasks.training.plan import Step, plan_epoch

LENGTHS = [int(length) for length in np.random.default_rng(5).integers(3, 60, size=401)]


def plan(lengths: list[int] = LENGTHS, **changes: int) -> list[Step]:
    """A plan of epoch 0 with 32 rows a step and room for 128 tokens in a micro-batch."""
    settings = {"rows_per_step": 32, "tokens_per_batch": 128, "seed": 13, "epoch": 0, **changes}
    return plan_epoch(lengths, **settings)


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 40, 401])
@pytest.mark.parametrize("rows_per_step", [1, 2, 3, 8, 200])
def test_every_row_is_seen_exactly_once_an_epoch(rows: int, rows_per_step: int) -> None:
    steps = plan(LENGTHS[:rows], rows_per_step=rows_per_step)
    assert sorted(row for step in steps for row in step.rows) == list(range(rows))
    assert all(step.rows for step in steps)


@pytest.mark.parametrize("rows_per_step", [1, 2, 3, 8, 200])
def test_no_step_has_more_rows_than_asked_for(rows_per_step: int) -> None:
    assert max(len(step.rows) for step in plan(rows_per_step=rows_per_step)) <= rows_per_step


def test_nearly_all_steps_are_full() -> None:
    sizes = [len(step.rows) for step in plan()]
    assert sizes.count(max(sizes)) >= len(sizes) - 2


def test_the_same_arguments_give_the_same_plan() -> None:
    np.random.seed(1)
    first = plan()
    np.random.seed(2)
    assert plan() == first


def test_other_epochs_and_other_seeds_give_other_plans() -> None:
    found = [plan(epoch=epoch, seed=seed) for epoch in range(3) for seed in (1, 2)]
    assert all(found[a] != found[b] for a in range(6) for b in range(a))


def test_rows_do_not_keep_the_same_company_from_epoch_to_epoch() -> None:
    def pairs(epoch: int) -> set[frozenset[int]]:
        return {frozenset((a, b)) for step in plan(epoch=epoch) for a in step.rows for b in step.rows if a < b}

    shared = len(pairs(0) & pairs(1)) / len(pairs(0))
    assert shared < 0.75


def test_padded_micro_batches_stay_within_the_token_budget() -> None:
    batches = [batch for step in plan() for batch in step.micro_batches]
    assert max(len(batch) for batch in batches) > 1
    assert all(len(batch) * max(LENGTHS[row] for row in batch) <= 128 for batch in batches)


def test_a_single_row_beyond_the_budget_is_a_micro_batch_of_its_own() -> None:
    lengths = [500, 10, 10, 500]
    batches = [batch for step in plan(lengths, tokens_per_batch=64) for batch in step.micro_batches]
    assert sorted(row for batch in batches for row in batch) == [0, 1, 2, 3]
    assert [batch for batch in batches if 0 in batch or 3 in batch] == [(0,), (3,)] or [(3,), (0,)]


def test_the_token_budget_changes_the_cut_into_micro_batches_and_not_the_steps() -> None:
    few, many = plan(tokens_per_batch=10_000), plan(tokens_per_batch=1)
    assert [step.rows for step in few] == [step.rows for step in many]
    assert sum(len(step.micro_batches) for step in few) < sum(len(step.micro_batches) for step in many) == 401


def test_rows_of_like_length_come_together_so_little_is_padding() -> None:
    batches = [batch for step in plan(tokens_per_batch=10_000) for batch in step.micro_batches]
    padded = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)
    shuffled = np.random.default_rng(0).permutation(401)
    at_random = sum(8 * max(LENGTHS[row] for row in shuffled[at : at + 8]) for at in range(0, 400, 8))
    assert padded < 0.85 * at_random


def test_steps_do_not_come_in_order_of_length() -> None:
    means = [float(np.mean([LENGTHS[row] for row in step.rows])) for step in plan()]
    assert means != sorted(means)
    assert means != sorted(means, reverse=True)


def test_no_rows_are_no_steps() -> None:
    assert plan([]) == []
