"""The test of shift: what permutations say, what may be held against a level, and what is found."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from data_contracts.drift import Shift
from data_contracts.errors import InputError
from tasks.drift.policy import DriftPolicy
from tasks.drift.seen import OfTask, Seen
from tasks.drift.shift import fewest_draws, joined, measure_shift, memberships, spent_level
from tasks.drift.statistics import ConfidenceShift, DriftStatistic, EmbeddingDistance, LabelMix, NoveltyShift
from tests.unit.drift.worlds import answering, draw, seen

ALL = DriftPolicy().statistics


def shift_of(
    reference: Seen, window: Seen, *statistics: DriftStatistic, level: float = 0.05, draws: int = 999
) -> Shift:
    return measure_shift(reference, window, statistics or ALL, level=level, permutations=draws)


# Memberships


@pytest.mark.parametrize("truth", [None, np.array([7, 8, 9])], ids=["no truth", "truth"])
def test_every_draw_is_a_window_of_its_own_and_those_of_one_order_share_no_row(truth: NDArray[np.int64] | None) -> None:
    found = memberships(10, 3, 7, np.random.default_rng(1), truth)
    assert found.shape == (7, 10)
    assert set(np.unique(found)) == {0, 1}
    assert found.sum(axis=1).tolist() == [3] * 7
    # An order of ten rows holds three windows of three.
    assert found[:3].sum(axis=0).max() == 1
    assert found[3:6].sum(axis=0).max() == 1
    assert not np.array_equal(found[:3], found[3:6])


def test_the_truth_comes_first_and_only_once() -> None:
    truth = np.array([7, 8, 9])
    found = memberships(10, 3, 30, np.random.default_rng(1), truth)
    assert np.flatnonzero(found[0]).tolist() == [7, 8, 9]
    assert (found[:, truth].sum(axis=1) == 3).sum() < 5


def test_all_rows_are_drawn_equally_often() -> None:
    found = memberships(10, 3, 3000, np.random.default_rng(1))
    # Of 3000 windows of 3 of 10 rows each row is in 900, give or take five times 25.
    assert np.abs(found.sum(axis=0) - 900).max() < 125


# The p-value


def test_the_p_value_is_that_of_k_permutations_as_far_as_the_truth_or_farther() -> None:
    # One row of four is the odd one. An order holds it once, so of 100 draws 25 are as far out as the truth, itself
    # among them: (24 + 1) / (99 + 1).
    reference, window = answering(0, 0, 0, of=2), answering(1, of=2)
    assert shift_of(reference, window, LabelMix(), draws=99).p_value == 25 / 100
    assert shift_of(reference, window, LabelMix(), level=0.5, draws=3).p_value == 1 / 4


def test_as_many_permutations_are_drawn_as_the_level_asks_for() -> None:
    random = np.random.default_rng(2)
    found = shift_of(draw(random, 200), draw(random, 60, moved=3), EmbeddingDistance(), level=1e-4)
    assert found.p_value == 1 / 10_000
    assert found.significant


@pytest.mark.parametrize(("rows", "of_thousand"), [(60, True), (150, False)])
def test_what_ten_of_the_first_thousand_beat_is_not_looked_at_more_closely(rows: int, of_thousand: bool) -> None:
    # One odd row of so many: of 1000 draws some 17 hold it, or some 7.
    reference, window = answering(*[0] * (rows - 1), of=2), answering(1, of=2)
    p_value = shift_of(reference, window, LabelMix(), level=1e-4).p_value
    assert p_value == pytest.approx(1 / rows, rel=0.1)
    assert (round(p_value * 10_000) % 10 == 0) is of_thousand
    assert p_value * 10_000 == pytest.approx(round(p_value * 10_000))


def test_rows_that_are_all_alike_are_no_shift() -> None:
    def alike(rows: int) -> Seen:
        return seen(np.full((rows, 8), 0.37), [0.7] * rows, [[0.7, 0.3]] * rows)

    assert shift_of(alike(200), alike(60)).p_value == 1
    assert shift_of(alike(200), alike(60), EmbeddingDistance()).p_value == 1


def test_a_task_that_always_says_the_same_hides_no_shift_of_the_texts() -> None:
    random = np.random.default_rng(3)
    reference, window = (
        seen(rows.embeddings, [0.7] * len(rows), [[0.7, 0.3]] * len(rows))
        for rows in (draw(random, 300), draw(random, 60, moved=2))
    )
    assert shift_of(reference, window).p_value == 1 / 1000


@pytest.mark.parametrize(
    ("rows", "of_window", "statistics"),
    [
        pytest.param(200, 60, ALL, id="all"),
        pytest.param(60, 200, ALL, id="all, of a larger window"),
        pytest.param(120, 120, (NoveltyShift(),), id="novelty"),
        pytest.param(200, 60, (ConfidenceShift(), LabelMix()), id="confidence and labels"),
    ],
)
def test_unchanged_windows_have_p_values_spread_evenly(
    rows: int, of_window: int, statistics: tuple[DriftStatistic, ...]
) -> None:
    random = np.random.default_rng(23)
    found = np.sort(
        [shift_of(draw(random, rows), draw(random, of_window), *statistics, draws=99).p_value for _ in range(200)]
    )
    # Kolmogorov and Smirnov: 200 even draws stray farther than 0.115 in one case of a hundred. Where no gap is larger
    # than nearly always, draws are not told apart, and p is 1.
    strays = np.abs(found - (np.arange(200) + 0.5) / 200)
    assert strays[:140].max() < 0.115
    # Of 200 at 0.05 there are 3 to 19 in 99 of a hundred cases.
    assert 3 <= (found <= 0.05).sum() <= 19


# What is found


@pytest.mark.parametrize(
    ("planted", "seen_by"),
    [
        ({"moved": 1.5}, "embedding_distance"),
        ({"outliers": 15}, "novelty_shift"),
        ({"mix": (0.1, 0.3, 0.6)}, "label_mix/intent"),
        ({"doubt": 0.4}, "confidence_shift/intent"),
        ({"doubt": 0.4}, "entropy_shift/intent"),
        ({"doubt": 0.4}, "output_distance/intent"),
    ],
    ids=lambda planted: str(planted),
)
def test_a_planted_shift_is_found_and_by_the_view_that_is_made_for_it(planted: dict[str, float], seen_by: str) -> None:
    random = np.random.default_rng(29)
    found = shift_of(draw(random, 500), draw(random, 100, **planted), level=0.001)  # type: ignore[arg-type]
    assert found.p_value == 1 / 1000
    assert found.significant
    assert found.level == 0.001
    assert found.views[seen_by] > 2.5


def test_a_few_outliers_are_hardly_seen_by_the_mean_of_embeddings_and_clearly_by_novelty() -> None:
    random = np.random.default_rng(31)
    found = shift_of(draw(random, 500), draw(random, 100, outliers=7), EmbeddingDistance(), NoveltyShift())
    assert found.p_value <= 0.01
    assert found.views["embedding_distance"] < 1
    assert found.views["novelty_shift"] > 2.5


def test_one_p_value_is_for_all_views_and_their_number_costs_nothing() -> None:
    random = np.random.default_rng(37)
    reference, window = draw(random, 300), draw(random, 60, doubt=0.12)
    once, thrice = (shift_of(reference, window, *[ConfidenceShift()] * times).p_value for times in (1, 3))
    assert 1 / 1000 < once < 0.2
    assert thrice == once


def test_each_task_is_tested_by_its_own_views_and_pays_for_their_number() -> None:
    random = np.random.default_rng(41)

    def of_two(rows: Seen, other: Seen) -> Seen:
        return replace(rows, tasks={"tone": other.tasks["intent"], "intent": rows.tasks["intent"]})

    reference = of_two(draw(random, 300), draw(random, 300))
    found = shift_of(reference, of_two(draw(random, 60, doubt=0.6), draw(random, 60)))
    assert found.tasks["intent"] == 2 / 1000
    assert found.tasks["tone"] > 0.05
    # A shift that is in no task's own views is none of a task.
    found = shift_of(reference, of_two(draw(random, 60, outliers=20), draw(random, 60)))
    assert found.p_value == 1 / 1000
    assert min(found.tasks.values()) > 0.01


def test_it_does_not_matter_which_side_is_larger() -> None:
    random = np.random.default_rng(43)
    small, large = draw(random, 60, doubt=0.2), draw(random, 300)
    of, turned = (shift_of(*pair, ConfidenceShift(), LabelMix()) for pair in ((large, small), (small, large)))
    assert of.views == pytest.approx(turned.views, abs=0.002)
    assert of.p_value == pytest.approx(turned.p_value, abs=0.05)


def test_it_does_not_matter_in_which_order_rows_come() -> None:
    random = np.random.default_rng(47)
    reference, window = draw(random, 300), draw(random, 60, doubt=0.1, mix=(0.45, 0.3, 0.25))
    mixed = reference.at(random.permutation(300)), window.at(random.permutation(60))
    statistics = EmbeddingDistance(), ConfidenceShift(), LabelMix()
    first, second = shift_of(reference, window, *statistics), shift_of(*mixed, *statistics)
    assert first.views["label_mix/intent"] == pytest.approx(second.views["label_mix/intent"], abs=0.002)
    assert first.views["confidence_shift/intent"] == pytest.approx(second.views["confidence_shift/intent"], abs=0.002)
    assert 0.01 < first.p_value < 0.6
    # Five standard deviations of a share of 1000 draws.
    assert first.p_value == pytest.approx(second.p_value, abs=0.08)


def test_the_same_window_has_the_same_shift() -> None:
    random = np.random.default_rng(53)
    reference, window = draw(random, 100), draw(random, 60)
    assert shift_of(reference, window) == shift_of(reference, window)


def test_however_far_a_window_is_its_shift_can_be_written_and_read() -> None:
    random = np.random.default_rng(61)
    far = seen(confidences=random.uniform(0.1, 0.3, 1000))
    found = shift_of(seen(confidences=random.uniform(0.8, 1, 5000)), far, ConfidenceShift())
    assert 38 < found.views["confidence_shift/intent"] < 100
    assert Shift.model_validate_json(found.model_dump_json()) == found


def test_tasks_that_only_one_side_has_are_left_out() -> None:
    random = np.random.default_rng(59)
    reference, window = draw(random, 20), draw(random, 10)
    with_more = replace(reference, tasks=reference.tasks | {"tone": OfTask(np.ones(20))})
    assert joined(with_more, window).tasks.keys() == {"intent"}
    both = joined(reference, window)
    assert both.tasks["intent"].confidences.tolist() == [
        *reference.tasks["intent"].confidences,
        *window.tasks["intent"].confidences,
    ]


def test_statistics_that_have_nothing_to_look_at_are_refused() -> None:
    rows = Seen(np.zeros((60, 2), np.float32), {})
    with pytest.raises(InputError, match=r"`drift.statistics` is label_mix, confidence_shift, which no task .* Add"):
        shift_of(rows, rows, LabelMix(), ConfidenceShift())


# Levels


def test_half_of_alpha_is_spent_on_the_first_looks_and_a_quarter_on_twice_as_many() -> None:
    levels = [spent_level(look, 0.05, 25) for look in (1, 25, 26, 75, 76, 175)]
    assert levels == pytest.approx([0.001, 0.001, 0.00025, 0.00025, 0.0000625, 0.0000625])


@pytest.mark.parametrize("looks", [1, 7, 25])
def test_a_long_life_spends_alpha_at_most(looks: int) -> None:
    levels = [spent_level(look, 0.05, looks) for look in range(1, 20_000)]
    assert sum(levels[:looks]) == pytest.approx(0.025)
    assert 0.0499 < sum(levels) < 0.05
    assert (np.diff(levels) <= 0).all()


def test_every_level_can_be_reached_and_not_with_fewer_draws() -> None:
    assert [fewest_draws(level) for level in (0.5, 0.05, 0.001)] == [1, 19, 999]
    levels = [
        spent_level(look, alpha, looks)
        for alpha in (0.01, 0.03, 0.05, 0.1)
        for looks in range(1, 160)
        for look in (1, looks + 1, 3 * looks + 1)
    ]
    assert [level for level in levels if 1 / (fewest_draws(level) + 1) > level] == []
    assert [level for level in levels if level < 0.5 and 1 / fewest_draws(level) <= level * (1 - 1e-12)] == []
