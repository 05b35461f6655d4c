"""Plans: what training will see, as a pure function."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from tasks.training.plan import MicroBatch, Step, plan_epoch, shares_of, size_of_steps
from tasks.training.sampling import Sampling

LENGTHS = [int(length) for length in np.random.default_rng(5).integers(3, 60, size=401)]
# 300, 100 and 20 rows with labels; some rows have two, and 49 none.
LABELLED = {"intent": list(range(300)), "places": list(range(250, 350)), "urgency": list(range(0, 400, 20))}
TEACHING = sorted(set().union(*LABELLED.values()))
KINDS = ("proportional", "uniform", "temperature", "annealed", "fixed")
FIXED = {"intent": 5, "places": 3, "urgency": 2}


def plan(lengths: list[int] = LENGTHS, **changes: Any) -> list[Step]:
    """A plan of epoch 0 with 32 rows a step and room for 128 tokens in a micro-batch."""
    settings: dict[str, Any] = {"rows_per_step": 32, "tokens_per_batch": 128, "seed": 13, "epoch": 0, **changes}
    labelled = {task: [row for row in rows if row < len(lengths)] for task, rows in LABELLED.items()}
    return plan_epoch(lengths, labelled, **settings)


def sampling(kind: str) -> Any:
    """The sampling of that kind, as a recipe would give it."""
    given = {"kind": kind, **({"tasks": FIXED} if kind == "fixed" else {})}
    return TypeAdapter[Sampling](Sampling).validate_python(given)


def lessons(steps: list[Step]) -> list[tuple[str, int]]:
    """(task, row) of all that is drawn, step by step."""
    return [lesson for step in steps for b in step.micro_batches for lesson in zip(b.tasks, b.rows, strict=True)]


def reference_plan(rows_per_step: int, tokens: int, seed: int, epoch: int) -> list[list[list[int]]]:
    """Micro-batches of each step as the default has them: every row once that has a label, in chunks of like length."""
    random = np.random.default_rng([seed, epoch])
    order = np.argsort(np.array(LENGTHS) * random.uniform(0.9, 1.1, size=len(LENGTHS)), kind="stable").tolist()
    order = [row for row in order if row in TEACHING]
    per_step = {1: 1, 64: 4}.get(rows_per_step, 2)
    size = rows_per_step // per_step
    chunks = [order[at : at + size] for at in range(0, len(order), size)]
    drawn = random.permutation(len(chunks)).tolist()
    steps = []
    for at in range(0, len(drawn), per_step):
        batches: list[list[int]] = []
        for chunk in sorted(drawn[at : at + per_step]):
            fresh = True
            for row in chunks[chunk]:
                if fresh or (len(batches[-1]) + 1) * max(LENGTHS[r] for r in [row, *batches[-1]]) > tokens:
                    batches.append([])
                batches[-1].append(row)
                fresh = False
        steps.append(batches)
    return steps


@pytest.mark.parametrize(
    ("rows", "labelled", "sampling_kind", "expected"),
    [
        (40_000, {"a": 40_000}, "all", 32),
        (40_000, {"a": 40_000, "b": 40_000}, "all", 32),
        (40_000, {"a": 30_000, "b": 10_000}, "all", 64),
        (40_000, {"a": 30_000, "b": 10_000, "c": 10_000}, "all", 77),  # some rows have two labels
        (4_500, {"a": 3_000, "b": 1_500}, "all", 45),  # or an epoch would have fewer than a hundred steps
        (900, {"a": 600, "b": 300}, "all", 32),
        (40_000, {"a": 40_000, "b": 40_000}, "uniform", 64),  # each row is drawn for one of them
    ],
)
def test_steps_give_a_task_32_labels_on_average(
    rows: int, labelled: dict[str, int], sampling_kind: str, expected: int
) -> None:
    # From the first row on, or up to the last one, so that every row has a label.
    places = {task: range(rows)[-count:] if task != "a" else range(count) for task, count in labelled.items()}
    assert size_of_steps(places, sampling(sampling_kind)) == expected


def test_rows_without_any_label_are_in_no_step_and_make_none_larger() -> None:
    assert sorted(row for step in plan() for row in step.rows) == TEACHING
    assert [len(step.rows) for step in plan()] == [32] * 11
    many = {"a": range(0, 40_000, 4), "b": range(1, 40_000, 4)}
    few = {"a": range(0, 20_000, 2), "b": range(1, 20_000, 2)}
    assert size_of_steps(many, sampling("all")) == size_of_steps(few, sampling("all")) == 64


@pytest.mark.parametrize("rows_per_step", [1, 16, 30, 32, 64])
@pytest.mark.parametrize("tokens", [1, 128, 4096])
def test_the_default_plan_is_that_of_the_reference(rows_per_step: int, tokens: int) -> None:
    for seed, epoch in ((13, 0), (13, 4), (2, 1)):
        found = plan(rows_per_step=rows_per_step, tokens_per_batch=tokens, seed=seed, epoch=epoch)
        batches = [[list(batch.rows) for batch in step.micro_batches] for step in found]
        assert batches == reference_plan(rows_per_step, tokens, seed, epoch)
        assert all(batch.tasks == () for step in found for batch in step.micro_batches)
        assert {step.tasks for step in found} == {("intent", "places", "urgency")}


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 40, 401])
@pytest.mark.parametrize("rows_per_step", [1, 2, 3, 8, 200])
def test_every_row_that_has_a_label_is_seen_exactly_once_an_epoch(rows: int, rows_per_step: int) -> None:
    steps = plan(LENGTHS[:rows], rows_per_step=rows_per_step)
    assert sorted(row for step in steps for row in step.rows) == [row for row in TEACHING if row < rows]
    assert all(step.rows for step in steps)


@pytest.mark.parametrize("rows_per_step", [1, 2, 3, 8, 200])
def test_no_step_has_more_rows_than_asked_for(rows_per_step: int) -> None:
    assert max(len(step.rows) for step in plan(rows_per_step=rows_per_step)) <= rows_per_step


@pytest.mark.parametrize("rows_per_step", [1, 3, 7, 32, 47, 50, 63, 107])
@pytest.mark.parametrize("kind", ["all", "uniform"])
def test_nearly_all_steps_have_the_rows_that_are_asked_for(rows_per_step: int, kind: str) -> None:
    sizes = [len(step.rows) for step in plan(rows_per_step=rows_per_step, sampling=sampling(kind))]
    assert len(sizes) == -(-len(TEACHING) // rows_per_step)
    assert sizes.count(rows_per_step) >= len(sizes) - 2


def test_chunks_of_a_step_that_cannot_be_divided_differ_by_a_row() -> None:
    # With room for a chunk, but not for two of them.
    lengths = [10] * 100
    found = plan(lengths, rows_per_step=50, tokens_per_batch=170)
    assert [sorted(len(batch.rows) for batch in step.micro_batches) for step in found] == [[16, 17, 17]] * 2


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
    batches = [batch.rows for step in plan() for batch in step.micro_batches]
    assert max(len(batch) for batch in batches) > 1
    assert all(len(batch) * max(LENGTHS[row] for row in batch) <= 128 for batch in batches)


def test_a_single_row_beyond_the_budget_is_a_micro_batch_of_its_own() -> None:
    lengths = [500, 10, 10, 500]
    batches = [batch.rows for step in plan(lengths, tokens_per_batch=64) for batch in step.micro_batches]
    assert sorted(row for batch in batches for row in batch) == [0, 1, 2, 3]
    assert [batch for batch in batches if 0 in batch or 3 in batch] == [(0,), (3,)] or [(3,), (0,)]


def test_the_token_budget_changes_the_cut_into_micro_batches_and_not_the_steps() -> None:
    few, many = plan(tokens_per_batch=10_000), plan(tokens_per_batch=1)
    assert [step.rows for step in few] == [step.rows for step in many]
    assert sum(len(step.micro_batches) for step in few) < sum(len(step.micro_batches) for step in many) == len(TEACHING)


@pytest.mark.parametrize("kind", ["all", *KINDS])
def test_packed_micro_batches_hold_both_halves_of_a_step_as_far_as_real_tokens_fit(kind: str) -> None:
    chosen = sampling(kind)
    padded, packed = (plan(sampling=chosen, tokens_per_batch=500, packed=of) for of in (False, True))
    assert [step.rows for step in packed] == [step.rows for step in padded]
    sizes = [[sum(LENGTHS[row] for row in batch.rows) for batch in step.micro_batches] for step in packed]
    assert max(sum(of_step) for of_step in sizes) > 500  # or nothing was cut
    assert max(max(of_step) for of_step in sizes) <= 500
    assert all(first + following[0] > 500 - 60 for first, *following in sizes if following)
    assert any(len(step.micro_batches) == 1 for step in packed)
    assert sum(len(step.micro_batches) for step in packed) < sum(len(step.micro_batches) for step in padded)


def test_packed_micro_batches_are_cut_where_attention_alone_would_be_padding() -> None:
    (step,) = plan([100, *[1] * 31], tokens_per_batch=200, packed=True)
    # All 131 tokens would fit, but attention would see 32 * 100.
    assert [len(batch.rows) for batch in step.micro_batches] == [31, 1]
    assert [
        len(batch.rows) for batch in plan([100, *[50] * 31], tokens_per_batch=1650, packed=True)[0].micro_batches
    ] == [32]


def test_rows_of_like_length_come_together_so_little_is_padding() -> None:
    batches = [batch.rows for step in plan(tokens_per_batch=10_000) for batch in step.micro_batches]
    padded = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)
    shuffled = np.random.default_rng(0).permutation(TEACHING)
    at_random = sum(8 * max(LENGTHS[row] for row in shuffled[at : at + 8]) for at in range(0, 352, 8))
    assert padded < 0.85 * at_random


def test_steps_do_not_come_in_order_of_length() -> None:
    means = [float(np.mean([LENGTHS[row] for row in step.rows])) for step in plan()]
    assert means != sorted(means)
    assert means != sorted(means, reverse=True)


def test_no_rows_are_no_steps() -> None:
    assert plan([]) == []


@pytest.mark.parametrize("kind", ["all", *KINDS])
def test_a_micro_batch_has_no_more_rows_than_are_allowed(kind: str) -> None:
    free, capped = (plan(tokens_per_batch=4096, rows_per_batch=most, sampling=sampling(kind)) for most in (None, 3))
    assert max(len(batch.rows) for step in free for batch in step.micro_batches) == 16
    assert max(len(batch.rows) for step in capped for batch in step.micro_batches) == 3
    assert [step.rows for step in free] == [step.rows for step in capped]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epoch", [0, 3])
def test_a_row_is_drawn_for_a_task_that_it_has_a_label_for(kind: str, epoch: int) -> None:
    found = lessons(plan(sampling=sampling(kind), epoch=epoch, epochs=6))
    assert all(row in LABELLED[task] for task, row in found)
    assert {task for task, _ in found} == set(LABELLED)


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_of_drawn_rows_has_the_steps_that_the_labelled_rows_would_fill_and_all_are_full(kind: str) -> None:
    steps = plan(sampling=sampling(kind))
    labelled = len({row for rows in LABELLED.values() for row in rows})
    assert labelled == 352
    assert [len(step.rows) for step in steps] == [32] * 11


@pytest.mark.parametrize("kind", ["proportional", "uniform", "temperature", "fixed"])
def test_every_window_of_steps_has_the_mix(kind: str) -> None:
    counts = {task: len(rows) for task, rows in LABELLED.items()}
    shares = sampling(kind).shares(counts, 0, 1)
    steps = [Counter(task for task, _ in lessons([step])) for step in plan(sampling=sampling(kind), rows_per_step=8)]
    assert len(steps) == 44
    for first in range(len(steps)):
        for last in range(first, len(steps)):
            window = sum(steps[first : last + 1], Counter[str]())
            for task, share in shares.items():
                assert abs(window[task] - 8 * (last + 1 - first) * share) < 2


@pytest.mark.parametrize("kind", KINDS)
def test_no_row_comes_again_for_a_task_before_all_others_did_across_epochs(kind: str) -> None:
    seen = {task: Counter(dict.fromkeys(rows, 0)) for task, rows in LABELLED.items()}
    for epoch in range(6):
        for task, row in lessons(plan(sampling=sampling(kind), epoch=epoch, epochs=6)):
            seen[task][row] += 1
        for times in seen.values():
            assert max(times.values()) - min(times.values()) <= 1
    assert min(seen["urgency"].values()) >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_an_epoch_is_the_same_whether_or_not_those_before_it_were_planned(kind: str) -> None:
    in_turn = [plan(sampling=sampling(kind), epoch=epoch, epochs=5) for epoch in range(5)]
    assert plan(sampling=sampling(kind), epoch=4, epochs=5) == in_turn[4]
    assert len({str(found) for found in in_turn}) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_rows_of_like_length_come_together_so_little_is_padding(kind: str) -> None:
    steps = plan(sampling=sampling(kind), tokens_per_batch=4096)
    batches = [batch.rows for step in steps for batch in step.micro_batches]
    padded = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)
    real = sum(LENGTHS[row] for batch in batches for row in batch)
    shuffled = np.random.default_rng(0).permutation([row for batch in batches for row in batch])
    at_random = sum(16 * max(LENGTHS[row] for row in shuffled[at : at + 16]) for at in range(0, len(shuffled), 16))
    assert padded - real < 0.4 * (at_random - real)


@pytest.mark.parametrize("kind", ["all", *KINDS])
def test_each_half_of_a_step_goes_from_short_rows_to_long_ones(kind: str) -> None:
    for step in plan(sampling=sampling(kind)):
        for half in (step.rows[:16], step.rows[16:]):
            lengths = [LENGTHS[row] for row in half]
            # Jittered by a tenth, so a row may come before one that is a little shorter.
            assert all(a * 0.9 <= b * 1.1 for at, a in enumerate(lengths) for b in lengths[at:])


def test_two_tasks_that_have_the_same_rows_are_not_drawn_in_the_same_order() -> None:
    labelled = {"intent": list(range(400)), "places": list(range(400))}
    found = plan_epoch(
        LENGTHS, labelled, rows_per_step=32, tokens_per_batch=128, seed=1, epoch=0, sampling=sampling("uniform")
    )
    drawn = [{row for of, row in lessons(found) if of == task} for task in labelled]
    assert len(drawn[0]) == len(drawn[1]) == 208
    assert 80 < len(drawn[0] & drawn[1]) < 140


@pytest.mark.parametrize("kind", ["all", *KINDS])
@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_the_ranks_share_each_step_of_one_process_among_them(kind: str, world_size: int) -> None:
    alone, shared = plan(sampling=sampling(kind)), plan(sampling=sampling(kind), world_size=world_size)
    assert len(alone) == len(shared)
    for whole, step in zip(alone, shared, strict=True):
        parts = [step.of_rank(rank) for rank in range(world_size)]
        assert tuple(batch for part in parts for batch in part) == step.micro_batches
        if kind == "all":
            assert sorted(step.rows) == sorted(whole.rows)
        else:
            assert sorted(lessons([step])) == sorted(lessons([whole]))
        sizes = [sum(len(batch.rows) for batch in part) for part in parts]
        assert max(sizes) - min(sizes) <= 2
        assert all(len(b.rows) * max(LENGTHS[row] for row in b.rows) <= 128 for b in step.micro_batches)


def test_ranks_have_the_same_number_of_rows_even_where_half_a_step_cannot_be_divided() -> None:
    for step in plan(LENGTHS[:348], rows_per_step=6, world_size=2):
        assert [sum(len(batch.rows) for batch in step.of_rank(rank)) for rank in (0, 1)] == [3, 3]


def test_a_rank_may_have_nothing_in_a_step_of_few_rows() -> None:
    steps = plan([5, 6, 7], rows_per_step=2, world_size=4)
    assert sorted(row for step in steps for row in step.rows) == [0, 1, 2]
    assert any(step.of_rank(3) == () for step in steps)


def test_rows_that_teach_only_what_has_stopped_are_left_out_and_the_others_come_once() -> None:
    stopped = {"intent": 2}
    before, after = (plan(epoch=epoch, stopped=stopped) for epoch in (1, 2))
    assert before == plan(epoch=1)
    assert {step.tasks for step in after} == {("places", "urgency")}
    still = {*LABELLED["places"], *LABELLED["urgency"]}
    assert sorted(row for step in after for row in step.rows) == sorted(still)


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_has_stopped_is_drawn_no_more_and_the_others_go_on_where_they_were(kind: str) -> None:
    stopped = {"intent": 2}
    seen = {task: Counter(dict.fromkeys(rows, 0)) for task, rows in LABELLED.items()}
    for epoch in range(4):
        steps = plan(sampling=sampling(kind), epoch=epoch, epochs=4, stopped=stopped)
        for task, row in lessons(steps):
            seen[task][row] += 1
        assert ("intent" in {task for task, _ in lessons(steps)}) == (epoch < 2)
        assert {step.tasks for step in steps} == {tuple(LABELLED) if epoch < 2 else ("places", "urgency")}
        for times in seen.values():
            assert max(times.values()) - min(times.values()) <= 1


def test_when_all_have_stopped_there_is_nothing_to_plan() -> None:
    for kind in ("all", *KINDS):
        assert plan(sampling=sampling(kind), epoch=1, epochs=2, stopped=dict.fromkeys(LABELLED, 1)) == []


def test_shares_of_a_plan_are_those_of_what_its_rows_teach() -> None:
    # Row 250 to 299 teach two tasks, and so on: 300, 100 and 20 labels.
    assert shares_of(plan(), LABELLED) == pytest.approx({"intent": 300 / 420, "places": 100 / 420, "urgency": 20 / 420})
    drawn = [Step((MicroBatch((1, 2, 0), ("intent", "intent", "urgency")), MicroBatch((260,), ("places",))))]
    assert shares_of(drawn, LABELLED) == {"intent": 0.5, "places": 0.25, "urgency": 0.25}
    assert shares_of([], LABELLED) == {"intent": 0.0, "places": 0.0, "urgency": 0.0}
