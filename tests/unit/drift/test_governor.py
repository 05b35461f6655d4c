"""Whether a harmful window may start a retraining, over sequences of windows with dates counted by hand."""

import pytest
from pydantic import ValidationError

from tasks.drift.governor import Governor
from tests.unit.drift.ledgers import Story

EAGER = Governor(cooldown_days=0, quiet_windows=0, minimum_fresh_rows=0)


def test_only_harm_asks_for_a_retraining() -> None:
    story = Story(EAGER)
    for at, verdict in enumerate(("QUIET", "BENIGN", "UNKNOWN", "BAD_DATA")):
        assert story.watch(at, verdict) == ()
        assert not story.entries[-1].happening.decision.retrain
    assert story.watch(4) == ()
    assert story.entries[-1].happening.decision.retrain


def test_a_window_has_one_retraining_at_most_whatever_version_judges_it_again() -> None:
    story = Story(EAGER)
    assert story.watch(0, window="week_2") == ()
    story.retrained(0, 0.5, "PROMOTE")
    assert story.watch(30, window="week_2", version=2) == (
        "a retraining was decided for this window before (entry 1): each window has one at most",
    )


def test_a_retraining_that_is_decided_or_under_way_silences_the_watch_until_it_ends_or_counts_as_lost() -> None:
    story = Story(EAGER.model_copy(update={"pending_hours": 36}))
    assert story.watch(0) == ()
    (reason,) = story.watch(1)
    assert reason.startswith("the retraining for day 0 (entry 1) is decided and not yet taken up: `graft reconcile`")
    # However long nobody takes it up: the decision stands.
    assert len(story.watch(20)) == 1
    story.retrained(20)
    (reason,) = story.watch(21)
    assert reason.endswith(
        "is under way in flow run run: its end is waited for, until 2026-01-22 21:00 UTC at the latest"
    )
    assert len(story.watch(21.5)) == 1
    assert story.watch(21.6) == ()


def test_a_cooldown_counts_from_the_end_of_the_last_retraining_whatever_came_of_it() -> None:
    for verdict in ("PROMOTE", "HOLD"):
        story = Story(Governor(cooldown_days=7, quiet_windows=0, minimum_fresh_rows=0))
        assert story.watch(0) == ()
        story.retrained(0, 1, verdict)
        version = 2 if verdict == "PROMOTE" else 1
        assert story.watch(4, version=version) == (
            "3.0 days since the last retraining, 7 asked for: next on 2026-01-09 09:00 UTC",
        )
        assert len(story.watch(7.9, version=version)) == 1
        assert story.watch(8, version=version) == ()


def test_after_a_retraining_that_was_lost_the_cooldown_counts_from_when_it_was_taken_up() -> None:
    story = Story(Governor(cooldown_days=7, quiet_windows=0, minimum_fresh_rows=0))
    story.watch(0)
    story.retrained(1)
    assert len(story.watch(7.9)) == 1
    assert story.watch(8) == ()


def test_a_harm_that_a_candidate_did_not_end_waits_twice_as_long_with_each_and_for_rows_labelled_since() -> None:
    story = Story(Governor(cooldown_days=7, back_off=2, minimum_fresh_rows=0))
    assert story.watch(0) == ()
    story.retrained(0, 0, "REJECT")
    assert story.watch(8) == (
        "1 candidate(s) in a row did not replace version 1, 14 days and rows labelled since are asked for (8.0 days, "
        "100 rows): next on 2026-01-15 09:00 UTC, or after 1 window(s) in a row without harm",
    )
    assert len(story.watch(14, fresh=0)) == 1
    assert story.watch(14.5, fresh=1) == ()
    story.retrained(15, 15, "INCONCLUSIVE")
    assert len(story.watch(15 + 27.9)) == 1
    assert story.watch(15 + 28) == ()
    story.retrained(43, 43, "FAILED")
    assert len(story.watch(43 + 55.9)) == 1
    assert story.watch(43 + 56) == ()


def test_windows_without_harm_in_a_row_end_the_episode_and_the_plain_cooldown_is_enough() -> None:
    story = Story(Governor(cooldown_days=7, back_off=2, quiet_windows=2, minimum_fresh_rows=0))
    story.watch(0)
    story.retrained(0, 0, "REJECT")
    story.watch(1, "QUIET")
    assert len(story.watch(8)) == 1
    story.watch(9, "BENIGN")
    # A window that could not be judged neither counts nor breaks the row.
    story.watch(9.2, "BAD_DATA")
    story.watch(9.4, "UNKNOWN")
    assert len(story.watch(9.5)) == 1
    story.watch(10, "QUIET")
    story.watch(10.5, "QUIET")
    assert story.watch(11) == ()
    story.retrained(11, 11, "REJECT")
    story.watch(12, "QUIET")
    story.watch(13, "QUIET")
    # A new episode, which only the cooldown holds up: harm does not make it the old one again.
    assert [reason.split(",")[0] for reason in story.watch(14)] == ["3.0 days since the last retraining"]
    assert story.watch(18) == ()


def test_the_first_candidate_of_a_new_episode_waits_as_the_first_of_the_last_one_did() -> None:
    story = Story(Governor(cooldown_days=7, back_off=2, minimum_fresh_rows=0))
    for start in (0, 100):
        assert story.watch(start) == ()
        story.retrained(start, start, "REJECT")
        assert len(story.watch(start + 13)) == 1
        assert story.watch(start + 14) == ()
        story.retrained(start + 14, start + 14, "REJECT")
        (reason,) = story.watch(start + 28)
        assert reason.startswith("2 candidate(s) in a row did not replace version 1, 28 days")
        # Nothing was harmful any more, and a harm that comes later is another one.
        story.watch(start + 40, "QUIET")


def test_a_promoted_version_starts_afresh_and_one_that_comes_back_has_its_candidates_counted() -> None:
    story = Story(Governor(cooldown_days=1, back_off=10, minimum_fresh_rows=0))
    story.watch(0)
    story.retrained(0, 0, "REJECT")
    assert len(story.watch(5)) == 1
    assert story.watch(10) == ()
    story.retrained(10, 10, "PROMOTE")
    assert story.watch(11, version=2) == ()
    story.retrained(11, 11, "PROMOTE")
    assert story.watch(12, version=3) == ()
    story.retrained(12, 12, "REJECT")
    # Version 1 is in use again: neither its rejected candidate nor the one that was rolled back replaced it.
    (reason,) = story.watch(14)
    assert reason.startswith("2 candidate(s) in a row did not replace version 1, 100 days")


def test_waits_stop_growing_after_a_year_and_never_overflow() -> None:
    story = Story(Governor(cooldown_days=300, back_off=1000, minimum_fresh_rows=0))
    for number in range(30):
        assert story.watch(number * 400) == (), number
        story.retrained(number * 400, number * 400, "REJECT")
    assert len(story.watch(29 * 400 + 364)) == 1
    assert story.watch(29 * 400 + 365) == ()


def test_k_of_n_windows_of_the_current_version_have_to_be_harmful() -> None:
    policy = EAGER.model_copy(update={"windows": 2, "of_windows": 3})
    story = Story(policy)
    assert story.watch(0) == ("1 of the last 3 windows harmful, 2 are asked for: 1 more",)
    assert len(story.watch(1, version=2)) == 1
    story.watch(2, "QUIET", version=2)
    # It says neither that there is harm nor that there is none.
    story.watch(3, "BAD_DATA", version=2)
    assert story.watch(4, version=2) == ()
    story.retrained(4, 5, "REJECT")
    # What was acted on is no evidence for acting again.
    assert len(story.watch(6, version=2)) == 1
    story.watch(7, "QUIET", version=2)
    story.watch(8, "QUIET", version=2)
    assert len(story.watch(9, version=2)) == 1
    assert story.watch(10, version=2) == ()


def test_a_window_judged_twice_is_one_window() -> None:
    story = Story(EAGER.model_copy(update={"windows": 2, "of_windows": 2}))
    assert len(story.watch(0, window="week_2")) == 1
    assert len(story.watch(1, window="week_2")) == 1
    assert story.watch(2, window="week_3") == ()


def test_a_budget_of_hours_holds_for_any_thirty_days() -> None:
    story = Story(EAGER.model_copy(update={"hours_a_month": 10.0}))
    for at, hours in ((0, 4), (2, 5), (5, 3)):
        assert story.watch(at, version=at) == ()
        story.retrained(at, at + hours / 24, "PROMOTE")
    # 12 hours; without the first 4, which ended at 13:00 on 1 January, 8.
    assert story.watch(10, version=10) == (
        "12.0 hours of retraining in the last 30 days, 10 are budgeted: next on 2026-01-31 13:00 UTC",
    )
    assert len(story.watch(30.1, version=10)) == 1
    assert story.watch(30 + 4 / 24, version=10) == ()


def test_too_few_rows_that_no_training_has_seen_are_said_with_how_many_are_lacking() -> None:
    story = Story(Governor(minimum_fresh_rows=50))
    assert story.watch(0, fresh=38) == ("38 freshly labelled rows of this window, 50 are asked for: label 12 more",)
    assert story.watch(1, fresh=50) == ()


def test_everything_against_is_said_at_once() -> None:
    story = Story(Governor(windows=2, of_windows=2, hours_a_month=1))
    story.watch(0)
    assert story.watch(1) == ()
    story.retrained(1, 2, "REJECT")
    found = story.watch(3, fresh=3)
    assert [reason.split(",")[0] for reason in found] == [
        "1 of the last 2 windows harmful",
        "1.0 days since the last retraining",
        "1 candidate(s) in a row did not replace version 1",
        "24.0 hours of retraining in the last 30 days",
        "3 freshly labelled rows of this window",
    ]


@pytest.mark.parametrize(("back_off", "trainings"), [(2.0, 5), (1.0, 53)])
def test_a_harm_that_nothing_mends_costs_five_trainings_a_year_where_waits_double_and_one_a_week_where_not(
    back_off: float, trainings: int
) -> None:
    story = Story(Governor(back_off=back_off))
    started = 0
    for at in range(365):
        if story.watch(at) == ():
            started += 1
            story.retrained(at, at, "REJECT")
    # Days 0, 14, 42, 98, 210, and 434 is beyond; or days 0, 7, ..., 364.
    assert started == trainings


def test_a_governor_that_could_never_permit_anything_is_refused() -> None:
    with pytest.raises(ValidationError, match="windows is 3, but of_windows only 2"):
        Governor(windows=3, of_windows=2)
    with pytest.raises(ValidationError, match="hours_a_month"):
        Governor(hours_a_month=0)
