"""Sequential monitors: what one window says, what all say together, and how rarely they are wrong."""

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from tasks.drift.monitors import (
    ODDS,
    alarm_levels,
    alarms,
    allowed_share,
    log_bets,
    log_mean,
    monitored,
    monitors_before,
)

# Of one row where one half is allowed: odds of 3 to 1 are a share of 3/4, which makes a bad row 1.5 times as likely.
BAD = (10 / 9, 6 / 5, 4 / 3, 3 / 2, 5 / 3)
GOOD = (8 / 9, 4 / 5, 2 / 3, 1 / 2, 1 / 3)


def expected(share: float, allowed: float, rows: int = 20) -> list[float]:
    """Mean e-value of each bet in a window of which each row is bad with that chance."""
    chances = binom.pmf(np.arange(rows + 1), rows, share)
    return list(chances @ np.exp([log_bets(bad, rows, allowed) for bad in range(rows + 1)]))


@pytest.mark.parametrize("allowed", [0.01, 0.1, 0.5, 0.99])
def test_no_share_within_what_is_allowed_gives_evidence_on_average(allowed: float) -> None:
    found = [expected(share, allowed) for share in np.linspace(0, allowed, 11)]
    assert np.max(found) <= 1 + 1e-9
    # At the boundary each is an even bet.
    assert found[-1] == pytest.approx([1] * 5)


def test_a_share_beyond_gives_evidence_on_average_the_more_the_larger_it_is() -> None:
    found = [float(np.mean(expected(share, 0.1))) for share in (0.11, 0.15, 0.2, 0.4)]
    assert found[0] > 1
    assert found == sorted(found)
    assert found[2] > 2


def test_a_bet_is_a_likelihood_ratio() -> None:
    assert ODDS == (1.25, 1.5, 2.0, 3.0, 5.0)
    assert np.exp(log_bets(1, 1, 0.5)) == pytest.approx(BAD)
    assert np.exp(log_bets(0, 1, 0.5)) == pytest.approx(GOOD)
    assert np.exp(log_bets(2, 3, 0.5)) == pytest.approx(np.square(BAD) * GOOD)
    assert log_mean([math.log(1), math.log(3)]) == pytest.approx(math.log(2))


def test_each_bet_adds_up_by_itself_and_never_counts_against_what_comes_later() -> None:
    found = monitored("accuracy/intent", 1, 1, 0.5, (0.7, -0.7, 0.0, 2.0, -9.0))
    wanted = np.log(BAD) + np.array([0.7, 0, 0, 2, 0])
    assert found.bets == pytest.approx(wanted)
    assert found.log_evidence == pytest.approx(math.log(np.exp(wanted).mean()))
    assert found.log_e == pytest.approx(math.log(np.mean(BAD)))
    assert (found.bad, found.rows, found.allowed, found.labelled) == (1, 1, 0.5, False)
    assert monitored("audit/intent", 1, 1, 0.5).labelled
    assert monitored("accuracy/intent", 1, 1, 0.5).bets == pytest.approx(np.log(BAD))


def test_no_rows_are_no_evidence() -> None:
    assert log_bets(0, 0, 0.1) == (0,) * 5
    assert monitored("out_of_scope", 0, 0, 0.1, (2.5,) * 5).log_evidence == pytest.approx(2.5)


def test_no_bet_is_carried_on_with_more_than_is_enough_for_an_alarm() -> None:
    found = monitored("m", 0, 0, 0.1, (100, 1, 0, 0, 0), most=math.log(2000))
    assert found.bets == pytest.approx((math.log(2000 * 5), 1, 0, 0, 0))
    # What one bet alone leaves is enough for an alarm, and hardly more.
    assert math.log(2000) < found.log_evidence < math.log(2002)


def test_a_monitor_that_a_window_told_nothing_stays_as_it_was() -> None:
    first = [monitored("a", 5, 20, 0.1), monitored("b", 5, 20, 0.1)]
    second = [monitored("a", 6, 20, 0.1, first[0].bets)]
    assert monitors_before([first, [], second]) == {"a": second[0], "b": first[1]}
    assert monitors_before([]) == {}


def raised(evidence: dict[str, float], run_length: float = 2000) -> list[str]:
    """The alarms, of evidence in plain numbers."""
    return alarms({name: math.log(of) for name, of in evidence.items()}, alarm_levels(evidence, run_length))


def test_the_alarm_is_raised_by_the_mean_of_all() -> None:
    assert raised({"a": 3999.5, "b": 1}) == ["a"]
    assert raised({"a": 3998.5, "b": 1}) == []
    assert raised({"a": 2000.01}) == ["a"]
    assert raised({"a": 1999.9}) == []
    assert raised({}) == []


def test_those_with_most_of_the_evidence_are_named_the_surest_first() -> None:
    assert raised({"little": 900, "some": 1001, "most": 10_000}) == ["most", "some"]


def test_labels_have_half_of_what_may_be_erred_by() -> None:
    assert raised({"audit/a": 3999, "b": 3999}) == []
    assert raised({"audit/a": 4001, "b": 3999}) == ["audit/a"]
    assert raised({"audit/a": 3999, "b": 4001}) == ["b"]
    # Whatever the other family has: each alarms by its own mean, and names its own.
    assert raised({"audit/a": 1e9, "b": 5000}) == ["audit/a", "b"]
    assert raised({"audit/a": 5000, "audit/b": 5000, "c": 1}) == ["audit/a", "audit/b"]


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "times", "of_unlabelled"),
    [(0, 1, None, 1), (0, 3, None, 3), (1, 1, 2, 2), (1, 3, 2, 6), (3, 1, 6, 2), (2, 0, 2, None)],
)
def test_a_level_is_where_one_monitor_raises_the_alarm_alone(
    labelled: int, unlabelled: int, times: int | None, of_unlabelled: int | None
) -> None:
    names = [*(f"audit/{n}" for n in range(labelled)), *(f"accuracy/{n}" for n in range(unlabelled))]
    levels = alarm_levels([*names, *names], 2000)
    assert levels.keys() == set(names)
    for name, level in levels.items():
        wanted = times if name.startswith("audit/") else of_unlabelled
        assert wanted is not None
        assert level == pytest.approx(math.log(2000 * wanted))
        others = dict.fromkeys(names, -50.0)
        assert alarms(others | {name: level + 1e-6}, levels) == [name]
        assert alarms(others | {name: level - 1e-6}, levels) == []


@pytest.mark.parametrize(("bad", "rows"), [(0, 20), (3, 20), (19, 20), (50, 5000)])
@pytest.mark.parametrize("tolerated", [0.0, 0.02, 0.4])
def test_as_many_are_allowed_as_tolerated_or_as_the_reference_may_have(bad: int, rows: int, tolerated: float) -> None:
    high = binomtest(bad, rows, alternative="less").proportion_ci(0.95, "exact").high
    assert allowed_share(bad, rows, tolerated) == pytest.approx(min(0.99, max(high, bad / rows + tolerated)))


def test_where_all_are_bad_nearly_all_is_allowed() -> None:
    assert allowed_share(20, 20, 0.02) == 0.99


@pytest.mark.parametrize("alike", [True, False], ids=["monitors that move together", "monitors of their own"])
def test_false_alarms_are_as_rare_as_the_run_length_says(alike: bool) -> None:
    random = np.random.default_rng(11)
    names = ["audit/a", "b", "c"]
    levels = alarm_levels(names, 50)
    lasted = []
    for _ in range(60):
        bets, look, alarm = dict.fromkeys(names, (0.0,) * 5), 0, False
        while not alarm and look < 200:
            look += 1
            bad = np.full(3, random.binomial(50, 0.1)) if alike else random.binomial(50, 0.1, size=3)
            found = [
                monitored(name, int(of), 50, 0.1, bets[name], levels[name]) for name, of in zip(names, bad, strict=True)
            ]
            bets = {of.name: of.bets for of in found}
            alarm = bool(alarms({of.name: of.log_evidence for of in found}, levels))
        lasted.append(look)
    assert np.mean(lasted) >= 50


def looks_until_alarm(bad: int, rows: int) -> int:
    levels, bets, look = alarm_levels(["m"], 2000), (0.0,) * 5, 0
    while True:
        look += 1
        found = monitored("m", bad, rows, 0.1, bets, levels["m"])
        bets = found.bets
        if alarms({"m": found.log_evidence}, levels):
            return look


def test_large_harm_is_heard_at_once_and_small_harm_in_time() -> None:
    assert looks_until_alarm(100, 500) == 1
    assert 3 <= looks_until_alarm(17, 100) <= 10
