"""Sequential monitors: what one window says, what all say together, and how rarely they are wrong."""

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from data_contracts.drift import Monitor
from tasks.drift.monitors import (
    ODDS,
    alarms,
    allowed_share,
    evidence_before,
    log_alarm,
    log_e_value,
    mean_evidence,
    monitored,
)


def expected(share: float, allowed: float, rows: int = 20) -> float:
    """Mean e-value of a window of which each row is bad with that chance."""
    return sum(
        float(binom.pmf(bad, rows, share)) * math.exp(log_e_value(bad, rows, allowed)) for bad in range(rows + 1)
    )


@pytest.mark.parametrize("allowed", [0.01, 0.1, 0.5, 0.99])
def test_no_share_within_what_is_allowed_gives_evidence_on_average(allowed: float) -> None:
    found = [expected(share, allowed) for share in np.linspace(0, allowed, 11)]
    assert max(found) <= 1 + 1e-9
    # At the boundary it is an even bet.
    assert found[-1] == pytest.approx(1)


def test_a_share_beyond_gives_evidence_on_average_the_more_the_larger_it_is() -> None:
    found = [expected(share, 0.1) for share in (0.11, 0.15, 0.2, 0.4)]
    assert found[0] > 1
    assert found == sorted(found)
    assert found[2] > 2


def test_the_e_value_of_one_row_is_the_mean_of_the_bets() -> None:
    # Allowed is one half: odds of 3 to 1 are a share of 3/4, which a bad row makes 1.5 times as likely.
    assert ODDS == (1.25, 1.5, 2.0, 3.0, 5.0)
    bad = (10 / 9 + 6 / 5 + 4 / 3 + 3 / 2 + 5 / 3) / 5
    good = (8 / 9 + 4 / 5 + 2 / 3 + 1 / 2 + 1 / 3) / 5
    assert log_e_value(1, 1, 0.5) == pytest.approx(math.log(bad))
    assert log_e_value(0, 1, 0.5) == pytest.approx(math.log(good))
    # Of two rows each bet multiplies, and then the mean is taken.
    both = ((10 / 9) ** 2 + (6 / 5) ** 2 + (4 / 3) ** 2 + (3 / 2) ** 2 + (5 / 3) ** 2) / 5
    assert log_e_value(2, 2, 0.5) == pytest.approx(math.log(both))


def test_no_rows_are_no_evidence() -> None:
    assert log_e_value(0, 0, 0.1) == 0
    assert monitored("out_of_scope", 0, 0, 0.1, 2.5).log_evidence == 2.5


def test_evidence_adds_up_and_never_counts_against_what_comes_later() -> None:
    step = log_e_value(9, 20, 0.1)
    assert step > 1
    assert monitored("m", 9, 20, 0.1, 0.7).log_evidence == pytest.approx(step + 0.7)
    assert monitored("m", 9, 20, 0.1, -0.7).log_evidence == pytest.approx(step)
    quiet = monitored("m", 0, 20, 0.1, 0.3)
    assert quiet.log_e == log_e_value(0, 20, 0.1) < 0
    assert quiet.log_evidence == pytest.approx(0.3 + quiet.log_e)
    assert (quiet.bad, quiet.rows, quiet.allowed, quiet.labelled) == (0, 20, 0.1, False)


def test_a_monitor_that_did_not_look_stays_as_it_was() -> None:
    first = [monitored("a", 5, 20, 0.1, 0), monitored("b", 5, 20, 0.1, 0)]
    second = [monitored("a", 6, 20, 0.1, first[0].log_evidence)]
    assert evidence_before([first, [], second]) == {"a": second[0].log_evidence, "b": first[1].log_evidence}
    assert evidence_before([]) == {}


def test_the_alarm_is_raised_by_the_mean_of_all() -> None:
    logs = {"a": math.log(3999.5), "b": math.log(0.5)}
    assert mean_evidence(logs.values()) == pytest.approx(math.log(2000))
    assert alarms({"a": math.log(4000), "b": 0.0}, 2000) == ["a"]
    assert alarms({"a": math.log(3998), "b": 0.0}, 2000) == []
    assert alarms({"a": math.log(2000.001)}, 2000) == ["a"]
    assert alarms({}, 2000) == []


def test_those_with_most_of_the_evidence_are_named_the_surest_first() -> None:
    evidence = {"little": math.log(900), "some": math.log(1001), "most": math.log(10_000)}
    assert alarms(evidence, 2000) == ["most", "some"]


@pytest.mark.parametrize(("bad", "rows"), [(0, 20), (3, 20), (19, 20), (50, 5000)])
def test_as_many_are_allowed_as_the_reference_may_have_and_what_is_tolerated(bad: int, rows: int) -> None:
    high = binomtest(bad, rows).proportion_ci(0.95, "exact").high
    assert allowed_share(bad, rows, 0.0) == pytest.approx(min(0.99, high))
    assert allowed_share(bad, rows, 0.02) == pytest.approx(min(0.99, high + 0.02))


def test_where_all_are_bad_or_there_are_none_nearly_all_is_allowed() -> None:
    assert allowed_share(20, 20, 0.02) == allowed_share(0, 0, 0.02) == 0.99


@pytest.mark.parametrize("alike", [True, False], ids=["monitors that move together", "monitors of their own"])
def test_false_alarms_are_as_rare_as_the_run_length_says(alike: bool) -> None:
    random = np.random.default_rng(11)
    table = np.array([log_e_value(bad, 50, 0.1) for bad in range(51)])
    lasted = []
    for _ in range(80):
        evidence, look = np.zeros(3), 0
        while not alarms(dict(zip("abc", evidence, strict=True)), 50) and look < 400:
            look += 1
            bad = np.full(3, random.binomial(50, 0.1)) if alike else random.binomial(50, 0.1, size=3)
            evidence = table[bad] + np.maximum(0.0, evidence)
        lasted.append(look)
    assert np.mean(lasted) >= 50


def test_harm_is_heard_within_a_few_windows() -> None:
    evidence, looks = 0.0, 0
    while not alarms({"m": evidence}, 2000):
        evidence = monitored("m", 100, 500, 0.1, evidence).log_evidence
        looks += 1
    assert looks == 1
    # 17% instead of 10%: 15 rows too many of 100 takes longer.
    evidence, looks = 0.0, 0
    while not alarms({"m": evidence}, 2000):
        evidence = monitored("m", 17, 100, 0.1, evidence).log_evidence
        looks += 1
    assert 3 <= looks <= 10


def monitor(name: str, *, labelled: bool) -> Monitor:
    return monitored(name, 0, 0, 0.1, 0.0, labelled=labelled)


@pytest.mark.parametrize(
    ("labelled", "unlabelled", "times"), [(0, 1, 1), (0, 3, 3), (1, 1, 2), (1, 3, 6), (3, 1, 6), (0, 0, 1)]
)
def test_the_line_of_the_picture_is_where_one_monitor_raises_the_alarm_alone(
    labelled: int, unlabelled: int, times: int
) -> None:
    monitors = [monitor(f"audit/{n}", labelled=True) for n in range(labelled)]
    monitors += [monitor(f"accuracy/{n}", labelled=False) for n in range(unlabelled)]
    assert log_alarm(2000, monitors) == pytest.approx(math.log(2000 * times))
