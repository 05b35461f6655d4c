"""Tests that may be looked at after every row."""

import numpy as np
import pytest
from scipy.integrate import quad

from tasks.modeling.sequential import OPEN, ArmsTest, SignTest, compare_arms, sign_e_value

ALPHA = 0.05


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (5, 1), (1, 5), (30, 20)])
def test_the_evidence_of_wins_is_the_mean_likelihood_over_that_of_a_coin(wins: int, losses: int) -> None:
    likelihood, _ = quad(lambda p: 2 * p**wins * (1 - p) ** losses, 0.5, 1)
    assert sign_e_value(wins, losses) == pytest.approx(likelihood * 2 ** (wins + losses))


def test_no_row_is_no_evidence_and_thousands_do_not_overflow() -> None:
    assert sign_e_value(0, 0) == pytest.approx(1)
    assert np.isfinite(sign_e_value(100_000, 100))
    assert sign_e_value(100, 100_000) < 1e-6


def test_a_version_that_wins_two_rows_in_three_is_found_better_and_its_opponent_worse() -> None:
    wins = [True, True, False] * 60
    assert SignTest.of(wins).verdict(ALPHA) == "better"
    assert SignTest.of([not won for won in wins]).verdict(ALPHA) == "worse"
    assert SignTest.of(wins[:9]).verdict(ALPHA) == OPEN


def test_looking_after_every_row_names_a_better_one_of_two_equals_no_more_often_than_alpha() -> None:
    random = np.random.default_rng(5)
    runs, rows = 1000, 400
    wins = np.cumsum(random.random((runs, rows)) < 0.5, axis=1)
    table = {
        (won, row): sign_e_value(won, row - won) >= 1 / ALPHA for row in range(1, rows + 1) for won in range(row + 1)
    }
    stopped = sum(any(table[int(won), row] for row, won in enumerate(run, start=1)) for run in wins)
    # A fixed test at 0.05 that is repeated after every row would stop some 40% of them.
    assert stopped / runs <= ALPHA


def arms(champion: float, challenger: float, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.random(9 * rows) < champion, random.random(rows) < challenger


def test_one_block_by_hand() -> None:
    # The first block has both rates at one half, which is no evidence; after it they are 0.25 and 0.75, mean 0.5.
    found = compare_arms([False, False], [True, True], (1, 1))
    assert found.better == pytest.approx((0.75 / 0.5) * (0.75 / 0.5))
    assert found.worse == 1
    assert (found.champion_rows, found.champion_right, found.challenger_rows, found.challenger_right) == (2, 0, 2, 2)


def test_rows_that_do_not_fill_a_block_wait() -> None:
    whole = compare_arms([False, True] * 9, [True, True], (9, 1))
    assert compare_arms([False, True] * 9 + [False] * 8, [True, True], (9, 1)).better == whole.better
    assert compare_arms([], [True], (9, 1)) == ArmsTest(0, 0, 1, 1, 1.0, 1.0)


def test_an_arm_that_is_right_more_often_is_found_though_it_serves_a_tenth() -> None:
    assert compare_arms(*arms(0.7, 0.85, 400, 3), (9, 1)).verdict(ALPHA) == "better"
    assert compare_arms(*arms(0.85, 0.7, 400, 3), (9, 1)).verdict(ALPHA) == "worse"


@pytest.mark.parametrize("rate", [0.5, 0.9])
def test_looking_at_equal_arms_after_every_block_errs_no_more_often_than_alpha(rate: float) -> None:
    runs, stopped = 300, 0
    for run in range(runs):
        champion, challenger = arms(rate, rate, 80, run)
        looks = (compare_arms(champion[: 9 * n], challenger[:n], (9, 1)) for n in range(1, 81))
        stopped += any(look.better >= 1 / ALPHA for look in looks)
    assert stopped / runs <= ALPHA
