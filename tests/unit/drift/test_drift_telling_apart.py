"""How large a shift is, whatever the number of rows."""

import numpy as np
import pytest

from tasks.drift.novelty import both_apart
from tasks.drift.seen import Seen
from tasks.drift.telling_apart import Told, tell_apart
from tests.unit.drift.worlds import draw, seen


def told(reference: Seen, window: Seen) -> Told:
    return tell_apart(reference, window, both_apart(reference, window))


def normal(random: np.random.Generator, rows: int, mean: float = 0.0) -> Seen:
    return seen(random.normal(mean, 1, size=(rows, 8)))


def by_embeddings(reference: Seen, window: Seen) -> Told:
    return tell_apart(reference, window, (reference, window))


def test_novelty_is_told_by_pairs_of_rows_of_which_the_windows_is_farther() -> None:
    # The embeddings are all the same. Of the eight pairs six are in order: 2 * 6 / 8 - 1.
    found = by_embeddings(seen(distances=[1, 2, 3, 4]), seen(distances=[2.5, 5]))
    assert (found.by, found.effect) == ("novelty", 0.5)
    # Hanley and McNeil: variance (0.75 * 0.25 + 1 * (0.6 - 0.5625) + 3 * (0.642857 - 0.5625)) / 8 = 0.058259, and
    # 2.2414 of its roots are 0.54101.
    assert (found.low, found.high) == (pytest.approx(0.5 - 2 * 0.54101, abs=1e-4), 1)


def test_ties_are_told_neither_way() -> None:
    assert by_embeddings(seen(distances=[1, 1]), seen(distances=[1, 1])).effect == 0
    assert by_embeddings(seen(distances=[1, 2]), seen(distances=[2, 2])).effect == 0.5


def test_normal_rows_are_told_as_well_as_they_can_be_and_not_better_for_being_many() -> None:
    # A shift of 0.5 in each of 8 directions: AUC is Phi(0.5 * sqrt(8) / sqrt(2)) = Phi(1) = 0.8413.
    random = np.random.default_rng(3)
    few = told(normal(random, 2000), normal(random, 500, 0.5))
    many = told(normal(random, 8000), normal(random, 2000, 0.5))
    assert few.effect == pytest.approx(0.6827, abs=0.06)
    assert many.effect == pytest.approx(0.6827, abs=0.03)
    assert few.low < 0.6827 < few.high
    assert many.low < 0.6827 < many.high
    # Four times the rows halve the interval.
    assert (many.high - many.low) / (few.high - few.low) == pytest.approx(0.5, abs=0.05)


def test_rows_far_apart_are_all_told() -> None:
    random = np.random.default_rng(5)
    found = told(normal(random, 200), normal(random, 50, 20.0))
    assert (found.effect, found.low, found.high) == (1, 1, 1)


def test_unchanged_rows_have_an_interval_that_holds_nothing() -> None:
    random = np.random.default_rng(7)
    found = [by_embeddings(normal(random, 300), normal(random, 100)) for _ in range(400)]
    # One way has one half of 5%: of 400 intervals 10 miss on average, and 3 to 20 in 99.5 of a hundred cases.
    assert 1 <= sum(not of.low <= 0 <= of.high for of in found) <= 20
    assert abs(np.mean([of.effect for of in found])) < 0.02


def test_unchanged_rows_are_no_farther_from_the_rows_left_out() -> None:
    random = np.random.default_rng(11)
    missed = 0
    for _ in range(400):
        near, far = both_apart(draw(random, 200), draw(random, 200))
        # Of embeddings that are all the same, only novelty is left to tell.
        found = by_embeddings(
            seen(np.zeros((len(near), 1)), distances=near.distances), seen(np.zeros((200, 1)), distances=far.distances)
        )
        missed += found.by == "novelty" and found.low > 0
    # 1.25% of 400 on one side.
    assert missed <= 13


def test_a_few_that_are_far_out_are_told_by_novelty_and_many_that_moved_by_embeddings() -> None:
    random = np.random.default_rng(13)
    assert told(draw(random, 600), draw(random, 100, moved=1.0)).by == "embeddings"
    reference, window = draw(random, 600), draw(random, 100)
    # Far out in all directions, so that no plane divides them from the others.
    window.embeddings[:40] = random.normal(0, 6, size=(40, 8))
    assert told(reference, window).by == "novelty"


def test_both_sides_weigh_the_same() -> None:
    random = np.random.default_rng(17)
    large, small = (
        told(normal(random, 100), normal(random, 3000, 0.5)),
        told(normal(random, 3000), normal(random, 100, 0.5)),
    )
    assert large.effect == pytest.approx(0.65, abs=0.12)
    assert small.effect == pytest.approx(0.65, abs=0.12)


def test_a_window_of_one_row_is_measured() -> None:
    random = np.random.default_rng(19)
    found = told(normal(random, 50), normal(random, 1))
    assert -1 <= found.low <= found.effect <= found.high <= 1
