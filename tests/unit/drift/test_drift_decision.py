"""The triage: every verdict, why, and the evidence that is carried from window to window."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from data_contracts.drift import AccuracyEstimate, DriftDecision, DriftVerdict, Monitor, Shift
from tasks.drift.decision import Triage, raised_by, triage
from tasks.drift.governor import Governor
from tasks.drift.measuring import Count, Measured, measure_window
from tasks.drift.monitors import log_bets, monitored
from tasks.drift.policy import DriftPolicy
from tests.unit.drift.ledgers import judged
from tests.unit.drift.worlds import draw, frozen, usual_texts

POLICY = DriftPolicy(governor=Governor(minimum_fresh_rows=20))
FINE, HARM = Count(5, 100, 0.1), Count(60, 100, 0.1)


def shift(p_value: float = 0.001, effect: float = 0.2) -> Shift:
    return Shift(p_value=p_value, level=0.001, effect=effect, effect_low=effect - 0.1, effect_high=effect + 0.1)


NO_SHIFT = shift(0.0011)


def measured(moved: Shift | None = NO_SHIFT, **counts: Count) -> Measured:
    named = {"accuracy/intent": FINE, "out_of_scope": FINE} | {
        {"intent": "accuracy/intent", "scope": "out_of_scope"}[name]: count for name, count in counts.items()
    }
    return Measured(rows=100 if moved else 30, shift=moved, counts=named)


def decided(found: Triage, number: int) -> DriftDecision:
    return judged(f"week {number}", found.verdict).model_copy(update={"monitors": found.monitors})


def judge(
    found: Measured,
    *before: Triage,
    fresh_rows: int = 20,
    audit: Mapping[str, Count] | None = None,
    policy: DriftPolicy = POLICY,
) -> Triage:
    earlier = [decided(triage, number) for number, triage in enumerate(before, start=1)]
    return triage(found, earlier, policy, fresh_rows=fresh_rows, audit=audit)


def evidence(found: Triage) -> dict[str, Monitor]:
    return {monitor.name: monitor for monitor in found.monitors}


# Verdicts


@pytest.mark.parametrize(
    ("window", "fresh_rows", "verdict", "reason"),
    [
        pytest.param(measured(), 20, "QUIET", "the window looks like the reference", id="nothing"),
        pytest.param(measured(shift()), 20, "BENIGN", "the window differs .* nothing to retrain for", id="shift alone"),
        pytest.param(
            measured(shift(effect=0.039)),
            20,
            "QUIET",
            r"differs from the reference by less than matters \(0.04\)",
            id="a shift that is a trifle",
        ),
        pytest.param(
            measured(shift(), intent=HARM),
            20,
            "HARMFUL",
            "the model doubts itself: intent, the window has shifted, and 20 labelled rows are there to learn from",
            id="harm, shift and labels",
        ),
        pytest.param(
            measured(shift(), scope=HARM),
            20,
            "HARMFUL",
            "the model doubts itself: texts unlike any it was tested on, the window",
            id="texts out of scope",
        ),
        pytest.param(
            measured(shift(effect=0.04), intent=HARM), 20, "HARMFUL", "20 labelled rows", id="effect at the floor"
        ),
        pytest.param(
            measured(shift(), intent=HARM),
            19,
            "UNKNOWN",
            "intent; 19 freshly labelled rows of this window, 20 are needed to learn from: label some of the window",
            id="too few labels",
        ),
        pytest.param(
            measured(shift(effect=0.039), intent=HARM),
            20,
            "UNKNOWN",
            r"intent; the shift is small \(effect 0.039, below 0.04\): label some of the window",
            id="a trifle",
        ),
        pytest.param(
            measured(intent=HARM), 20, "UNKNOWN", "no shift is seen that would explain it: label", id="harm, no shift"
        ),
        pytest.param(
            measured(None, intent=HARM), 20, "UNKNOWN", "intent; no shift is seen", id="harm in a small window"
        ),
        pytest.param(
            measured(None),
            20,
            "UNKNOWN",
            r"30 good rows are too few to test for shift \(50\); they count for harm",
            id="a small window",
        ),
    ],
)
def test_every_verdict_has_its_reason(window: Measured, fresh_rows: int, verdict: DriftVerdict, reason: str) -> None:
    found = judge(window, fresh_rows=fresh_rows)
    assert found.verdict == verdict
    assert re.search(reason, found.reasons[0])


def test_a_shift_with_an_estimate_that_falls_asks_for_labels_and_labels_settle_it() -> None:
    def with_estimate(fallen: float, error: float = 0.06) -> Measured:
        estimate = AccuracyEstimate(reference=0.9, by_threshold=0.9 - fallen, by_confidence=0.9, error=error)
        return replace(measured(shift()), estimates={"intent": estimate})

    assert judge(with_estimate(0.07)).verdict == "UNKNOWN"
    assert judge(with_estimate(0.07)).reasons[0] == (
        "the window differs from the reference, and intent may suffer: label some of the window"
    )
    # Within what such estimates are off, or what is tolerated.
    assert judge(with_estimate(0.05)).verdict == "BENIGN"
    assert judge(with_estimate(0.015, error=0.01)).verdict == "BENIGN"
    assert judge(with_estimate(0.07), audit={"intent": FINE}).verdict == "BENIGN"
    assert judge(with_estimate(0.07), audit={"tone": FINE}).verdict == "UNKNOWN"


def test_a_shift_smaller_than_matters_is_quiet() -> None:
    assert judge(measured(shift(effect=0.039))).verdict == "QUIET"
    assert judge(measured(shift(effect=0.04))).verdict == "BENIGN"


def test_labels_that_show_harm_decide_whatever_else_is_seen() -> None:
    for window in (measured(), measured(None), measured(shift(effect=0.01), intent=HARM)):
        found = judge(window, fresh_rows=0, audit={"intent": HARM, "tone": Count(2, 30, 0.1)})
        assert (found.verdict, found.reasons[0]) == ("HARMFUL", "labels show that intent became worse")


def test_rows_to_learn_from_that_come_later_turn_a_question_into_harm_and_count_nothing_twice() -> None:
    window = measured(shift(), intent=HARM)
    asked = judge(window, fresh_rows=0)
    assert asked.verdict == "UNKNOWN"
    again = replace(window, counts={})
    earlier = [decided(asked, 1)]
    told = raised_by(earlier[0].window_digest, earlier, POLICY)
    assert told == {"accuracy/intent"}
    found = triage(again, earlier, POLICY, fresh_rows=20, told=told)
    assert (found.verdict, found.monitors) == ("HARMFUL", ())
    # To another window, which told nothing, the alarm does not belong.
    assert triage(again, earlier, POLICY, fresh_rows=20).verdict == "BENIGN"


def test_a_window_that_is_judged_again_is_not_charged_with_what_later_ones_brought() -> None:
    first = judge(measured(shift()))
    later = judge(measured(shift(), intent=HARM), first, fresh_rows=0)
    assert (first.verdict, later.verdict) == ("BENIGN", "UNKNOWN")
    earlier = [decided(first, 1), decided(later, 2)]
    quiet, asking = (raised_by(decision.window_digest, earlier, POLICY) for decision in earlier)
    assert (quiet, asking) == (set(), {"accuracy/intent"})
    again = replace(measured(shift()), counts={})
    found = triage(again, earlier, POLICY, fresh_rows=20, audit={"intent": FINE}, told=quiet)
    assert found.verdict == "BENIGN"
    # Labels of the window that raised it still settle what it asked for.
    assert triage(again, earlier, POLICY, fresh_rows=20, told=asking).verdict == "HARMFUL"


def test_a_window_raised_what_was_raised_by_any_decision_on_it() -> None:
    first = judge(measured(shift(), intent=HARM))
    again = judge(replace(measured(shift()), counts={}), first, audit={"intent": HARM})
    earlier = [decided(first, 1), decided(again, 1)]
    assert raised_by(earlier[0].window_digest, earlier, POLICY) == {"accuracy/intent", "audit/intent"}


def test_labels_that_show_no_harm_do_not_hide_doubt() -> None:
    assert judge(measured(shift(), intent=HARM), audit={"intent": FINE}).verdict == "HARMFUL"
    assert judge(measured(shift()), audit={"intent": FINE}).verdict == "BENIGN"


def test_bad_data_is_judged_by_nothing_else_and_is_no_evidence() -> None:
    found = judge(Measured(0, ["half of it is broken", "and it repeats"]), audit={"intent": HARM})
    assert found == Triage("BAD_DATA", ("half of it is broken", "and it repeats"), ())


def test_the_reasons_end_with_the_numbers() -> None:
    estimates = {"intent": AccuracyEstimate(reference=0.9, by_threshold=0.85, by_confidence=0.7, error=0.03)}
    found = judge(Measured(100, shift=shift(), estimates=estimates))
    assert found.reasons[1:] == (
        "shift: p = 0.0010, held against 0.001 (alpha 0.05 over the model's life); effect 0.200 [0.100, 0.300]",
        "estimated accuracy of intent 0.850, -0.050 from the reference's 0.900; "
        "such estimates are off by 0.030 at most, 19 times in 20",
    )
    assert len(judge(measured(None)).reasons) == 1


# Evidence


def test_evidence_is_carried_from_window_to_window() -> None:
    some = Count(16, 100, 0.1)
    step = np.array(log_bets(16, 100, 0.1))
    first = judge(measured(intent=some))
    second = judge(measured(intent=some), first)
    assert evidence(first)["accuracy/intent"].bets == pytest.approx(step)
    assert evidence(second)["accuracy/intent"].bets == pytest.approx(step + np.maximum(step, 0))
    assert (first.verdict, second.verdict) == ("QUIET", "QUIET")
    # Small harm is heard when enough of it has come together.
    found = [first]
    while found[-1].verdict == "QUIET":
        found.append(judge(measured(intent=some), *found))
    assert found[-1].verdict == "UNKNOWN"
    assert 3 <= len(found) <= 10


def test_an_alarm_is_over_soon_after_the_harm() -> None:
    # However long it lasted.
    found = [judge(measured(intent=HARM))]
    for _ in range(20):
        found.append(judge(measured(intent=HARM), *found))
    assert {of.verdict for of in found} == {"UNKNOWN"}
    quiet = 0
    while found[-1].verdict != "QUIET":
        found.append(judge(measured(), *found))
        quiet += 1
    assert quiet <= 2


def test_a_window_of_bad_data_between_changes_nothing() -> None:
    some = Count(16, 100, 0.1)
    first = judge(measured(intent=some))
    bad = judge(Measured(0, ["broken"]), first)
    assert judge(measured(intent=some), first, bad) == judge(measured(intent=some), first)


def test_a_window_of_one_row_counts_for_the_monitors() -> None:
    one = judge(Measured(1, counts={"accuracy/intent": Count(1, 1, 0.1)}))
    monitor = evidence(one)["accuracy/intent"]
    assert (monitor.rows, monitor.bad) == (1, 1)
    assert monitor.bets == log_bets(1, 1, 0.1)
    assert monitor.log_evidence > 0


def test_what_each_window_adds_does_not_hang_on_their_order() -> None:
    windows = [measured(intent=Count(bad, 100, 0.1), scope=Count(bad // 2, 100, 0.1)) for bad in (4, 18, 11)]

    def added(order: tuple[int, ...]) -> dict[int, dict[str, float]]:
        found: list[Triage] = []
        for number in order:
            found.append(judge(windows[number], *found))
        return {n: {m.name: m.log_e for m in of.monitors} for n, of in zip(order, found, strict=True)}

    assert added((0, 1, 2)) == added((2, 0, 1)) == added((1, 2, 0))


NOTHING = Count(0, 0, 0.1)
NO_ROWS = Measured(100, shift=NO_SHIFT, counts={"accuracy/intent": NOTHING})


def counted(evidence: float, name: str = "accuracy/intent") -> Triage:
    """A window before, after which the monitor has that evidence."""
    return Triage("QUIET", ("",), (monitored(name, 0, 0, 0.1, (math.log(evidence),) * 5),))


def test_a_pipeline_with_labels_gives_them_half_of_the_evidence() -> None:
    audit = {"intent": NOTHING}
    assert judge(NO_ROWS, counted(2001)).verdict == "UNKNOWN"
    assert judge(NO_ROWS, counted(3999), audit=audit).verdict == "QUIET"
    assert judge(NO_ROWS, counted(4001), audit=audit).verdict == "UNKNOWN"
    # So it stays after a window without labels: the monitor is there.
    assert judge(NO_ROWS, counted(1, "audit/intent"), counted(3999)).verdict == "QUIET"
    assert judge(NO_ROWS, counted(1, "audit/intent"), counted(4001)).verdict == "UNKNOWN"


def test_labelled_monitors_are_carried_and_have_their_own_half() -> None:
    before = counted(3999, "audit/intent")
    assert judge(measured(), before, audit={"intent": NOTHING}).verdict == "QUIET"
    found = judge(measured(), before, audit={"intent": Count(1, 1, 0.1)})
    assert found.verdict == "HARMFUL"
    monitor = evidence(found)["audit/intent"]
    assert monitor.labelled
    assert not evidence(found)["out_of_scope"].labelled
    assert monitor.bets == pytest.approx(np.array(log_bets(1, 1, 0.1)) + math.log(3999))


def test_a_monitor_that_a_window_tells_nothing_keeps_its_share_and_raises_no_alarm() -> None:
    # The mean of 3000 and 1 is below 2000.
    assert judge(NO_ROWS, counted(3000)).verdict == "UNKNOWN"
    assert judge(NO_ROWS, counted(1, "out_of_scope"), counted(3000)).verdict == "QUIET"
    # That of 2600 and 1500 is above.
    assert judge(NO_ROWS, counted(2600, "out_of_scope"), counted(1300)).verdict == "QUIET"
    assert judge(NO_ROWS, counted(1500, "out_of_scope"), counted(2600)).verdict == "UNKNOWN"
    assert judge(NO_ROWS, counted(1e6, "audit/intent")).verdict == "QUIET"


def test_the_run_length_is_the_policys() -> None:
    often = DriftPolicy(run_length=100)
    assert judge(NO_ROWS, counted(101), policy=often).verdict == "UNKNOWN"
    assert judge(NO_ROWS, counted(99), policy=often).verdict == "QUIET"


# Measured windows


@pytest.mark.parametrize(
    ("planted", "verdict"),
    [
        ({}, "QUIET"),
        ({"mix": (0.2, 0.3, 0.5)}, "BENIGN"),
        ({"outliers": 90}, "HARMFUL"),
    ],
    ids=["unchanged", "another mix", "foreign texts"],
)
def test_planted_windows_are_what_they_are(planted: dict[str, float], verdict: DriftVerdict) -> None:
    random = np.random.default_rng(3)
    reference = frozen(draw(random, 1000))
    window = draw(random, 300, **planted)  # type: ignore[arg-type]
    found = measure_window(reference, window, usual_texts(300), 0, POLICY, look=1)
    assert judge(found).verdict == verdict
