import pytest

from data_contracts.drift import Decided, DriftEntry, DriftVerdict, SeenAgain, TakenUp
from tasks.drift.governor import Governor
from tasks.drift.history import seen_again, settled, windows_to_watch
from tasks.drift.ledger_table import ledger_rows
from tests.unit.drift.ledgers import Story, judged

AUDIT = "b" * 64


def ledger(*happenings: object) -> list[DriftEntry]:
    story = Story(Governor())
    for at, happening in enumerate(happenings):
        story.add(happening, at)  # type: ignore[arg-type]
    return story.entries


def decided(window: str, *, version: int = 1, audit: str | None = None, verdict: DriftVerdict = "QUIET") -> Decided:
    return Decided(decision=judged(window, verdict, version=version, audit=audit))


def test_windows_that_nobody_has_judged_are_watched_in_order() -> None:
    assert windows_to_watch([], ["week_1", "week_2"], [], [], 1, []) == ["week_1", "week_2"]
    assert windows_to_watch(ledger(decided("week_1")), ["week_1", "week_2", "week_3"], [], [], 1, []) == [
        "week_2",
        "week_3",
    ]


def test_a_window_that_came_again_under_another_name_is_noted_once_and_watched_no_more() -> None:
    known = judged("week_1", "QUIET")
    assert seen_again(ledger(Decided(decision=known)), "week_1", known) is None
    noted = seen_again(ledger(Decided(decision=known)), "week_1_again", known)
    assert noted == SeenAgain(
        window="week_1_again", same_as="week_1", window_digest=known.window_digest, model_version=1
    )
    entries = ledger(Decided(decision=known), noted)
    assert seen_again(entries, "week_1_again", known) is None
    assert windows_to_watch(entries, ["week_1", "week_1_again", "week_2"], [], [], 1, []) == ["week_2"]
    assert ledger_rows(entries)[0][1:] == ("week_1_again", "1", "seen before", "", "as week_1")


def test_labels_and_rows_to_learn_from_of_the_other_name_are_looked_at() -> None:
    known = judged("week_1", "UNKNOWN")
    noted = SeenAgain(window="again", same_as="week_1", window_digest=known.window_digest, model_version=1)
    entries = ledger(Decided(decision=known), noted)
    assert windows_to_watch(entries, ["again"], ["again"], [], 1, []) == ["again"]
    assert windows_to_watch(entries, ["again"], [], ["again"], 1, []) == ["again"]
    with_labels = known.model_copy(update={"window": "again", "audit_digest": AUDIT, "verdict": "QUIET"})
    later = ledger(Decided(decision=known), noted, Decided(decision=with_labels))
    assert windows_to_watch(later, ["again"], ["again"], ["again"], 1, []) == []
    assert windows_to_watch(entries, ["again"], ["again"], ["again"], 2, []) == []


def test_a_window_judged_with_an_earlier_version_is_old_news() -> None:
    assert windows_to_watch(ledger(decided("week_1")), ["week_1"], ["week_1"], [], 2, []) == []


@pytest.mark.parametrize(
    ("audit", "due"), [pytest.param(None, ["week_1"], id="labels came since"), pytest.param(AUDIT, [], id="seen")]
)
def test_a_window_is_watched_again_when_its_first_labels_came(audit: str | None, due: list[str]) -> None:
    entries = ledger(decided("week_1"), *([decided("week_1", audit=audit)] if audit else []))
    assert windows_to_watch(entries, ["week_1"], ["week_1"], [], 1, []) == due


def test_labels_judge_the_version_that_learnt_from_them_no_more_and_every_other() -> None:
    decision = judged("week_1", retrain=True)
    entries = ledger(
        Decided(decision=decision),
        TakenUp(window="week_1", window_digest=decision.window_digest, model_version=1, flow_run="run"),
    )
    assert windows_to_watch(entries, ["week_1"], ["week_1"], [], 1, []) == ["week_1"]
    assert windows_to_watch(entries, ["week_1"], ["week_1"], [], 1, ["week_1"]) == []


def test_rows_that_a_retraining_took_up_are_waited_for_no_more() -> None:
    decision = judged("week_1", retrain=True)
    entries = ledger(
        Decided(decision=decision),
        TakenUp(window="week_1", window_digest=decision.window_digest, model_version=1, flow_run="run"),
        decided("week_1", verdict="HARMFUL"),
    )
    assert windows_to_watch(entries, ["week_1"], [], ["week_1"], 1, []) == []


@pytest.mark.parametrize(
    ("verdict", "due"),
    [("UNKNOWN", ["week_1"]), ("HARMFUL", ["week_1"]), ("QUIET", []), ("BENIGN", []), ("BAD_DATA", [])],
)
def test_a_window_that_waits_for_rows_to_learn_from_is_watched_again_when_there_are_some(
    verdict: DriftVerdict, due: list[str]
) -> None:
    entries = ledger(decided("week_1", verdict=verdict))
    assert windows_to_watch(entries, ["week_1"], [], ["week_1"], 1, []) == due
    assert windows_to_watch(entries, ["week_1"], [], [], 1, []) == []


def test_only_an_open_decision_and_more_rows_make_another_one() -> None:
    asked = judged("week_1", "UNKNOWN", fresh=20)
    key = (asked.window_digest, None, 1)
    entries = ledger(Decided(decision=asked))
    assert settled(entries, *key, 20) == asked
    assert settled(entries, *key, 21) is None
    trained = judged("week_1", "HARMFUL", fresh=21, retrain=True)
    assert settled(ledger(Decided(decision=asked), Decided(decision=trained)), *key, 99) == trained
    quiet = judged("week_1", "BENIGN", fresh=0)
    assert settled(ledger(Decided(decision=quiet)), *key, 99) == quiet
