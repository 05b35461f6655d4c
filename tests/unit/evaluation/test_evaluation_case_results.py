"""Failure rates with their intervals, examples to read, and groups that are got wrong more often."""

from pathlib import Path

import numpy as np
import pytest

from tasks.evaluation.case_results import (
    EXAMPLES,
    SHOWN,
    Bias,
    Example,
    Findings,
    PairShift,
    TermShift,
    case_result,
    excerpts,
    read_findings,
    write_findings,
)
from tasks.evaluation.group_gaps import GroupGap, group_gaps
from tasks.evaluation.intervals import wilson_interval


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    # Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_all_and_none_give_intervals_within_0_and_1_and_nothing_asked_says_nothing() -> None:
    low, high = wilson_interval(10, 10)
    assert high == pytest.approx(1)
    assert low == pytest.approx(1 - wilson_interval(0, 10)[1])
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_a_case_passes_up_to_its_limit_and_without_one_there_is_nothing_to_pass() -> None:
    failed = [Example("a", "x", "b", "y")] * 2
    verdicts = [case_result("c", "invariance", "t", 20, failed, limit).passed for limit in (0.1, 0.09, None)]
    assert verdicts == [True, False, None]
    nothing = case_result("c", "invariance", "t", 0, [], 0.5)
    assert (nothing.passed, nothing.failure_rate, nothing.low, nothing.high) == (None, None, 0.0, 1.0)


def test_the_first_failures_are_kept_and_all_are_counted() -> None:
    result = case_result("c", "invariance", "t", 50, [Example(str(at), "x") for at in range(25)], None)
    assert result.failures == 25
    assert [example.before for example in result.examples] == [str(at) for at in range(EXAMPLES)]


def test_long_texts_are_cut_around_their_difference_and_short_ones_are_whole() -> None:
    before, after = "a" * 5000 + "cat" + "b" * 5000, "a" * 5000 + "dog" + "b" * 5000
    cut = excerpts(before, after)
    assert cut[1] is not None
    assert "cat" in cut[0]
    assert "dog" in cut[1]
    assert [len(text.strip("…")) for text in cut if text] == [SHOWN, SHOWN]
    assert excerpts("short", "short.") == ("short", "short.")
    assert excerpts("x" * 1000)[0] == "x" * SHOWN + "…"


def test_what_is_added_to_the_end_of_a_long_text_is_shown() -> None:
    before = "word " * 300
    shown = excerpts(before, f"{before}Outrageous.")
    assert shown[1] is not None
    assert shown[1].endswith("Outrageous.")
    assert len(shown[1].strip("…")) == SHOWN


def test_findings_are_read_as_they_were_written(tmp_path: Path) -> None:
    pair = PairShift("a", "b", 40, 2, 0.05, 0.01, 0.16, 0.02)
    bias = Bias("who", "tone", "bad", [TermShift("a", "x", 9, 0.1)], [pair], pair, [GroupGap("error rate", "a", 3)])
    examples = [Example("before", ["PLACE Oslo"], "after", [], "wanted")]
    found = Findings(
        [
            case_result("one", "invariance", "tone", 9, examples, 0.1),
            case_result("two", "expectation", "urgency", 9, [Example("a", 0.5, wanted="at least 0.7")], 0.5),
            case_result("one", "invariance", "urgency", 9, examples, 0.1),
            case_result("three", "invariance", "urgency", 9, examples, None),
        ],
        [bias, Bias("who", "places", None)],
    )
    write_findings(tmp_path / "probes.json", found)
    assert read_findings(tmp_path / "probes.json") == found
    assert found.failed == ("one",)


def test_the_gap_of_a_group_is_its_rate_less_that_of_all_others() -> None:
    # 40 rows of the group, 10 of them wrong; 60 others, 6 of them wrong.
    inside = [True] * 40 + [False] * 60
    wrong = [True] * 10 + [False] * 30 + [True] * 6 + [False] * 54
    (gap,) = group_gaps("error rate", {"a": inside}, wrong, 30)
    assert (gap.rows, gap.rate, gap.others_rate) == (40, 0.25, 0.1)
    assert gap.gap == pytest.approx(0.15)
    # The bootstrap's standard error is that of the difference of two shares.
    error = np.sqrt(0.25 * 0.75 / 40 + 0.1 * 0.9 / 60)
    assert gap.low == pytest.approx(0.15 - 1.96 * error, abs=0.02)
    assert gap.high == pytest.approx(0.15 + 1.96 * error, abs=0.02)


def test_of_a_group_or_a_rest_that_is_too_small_nothing_is_said() -> None:
    inside = {"few": [True] * 29 + [False] * 71, "all": [True] * 71 + [False] * 29, "none": [False] * 100}
    gaps = group_gaps("error rate", inside, [True] * 100, 30)
    assert [(gap.group, gap.rows, gap.too_small_to_say, gap.low) for gap in gaps] == [
        ("few", 29, True, None),
        ("all", 71, True, None),
        ("none", 0, True, None),
    ]
