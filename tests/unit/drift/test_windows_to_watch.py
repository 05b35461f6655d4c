import pytest

from data_contracts.drift import Decided, DriftEntry, TakenUp
from tasks.drift.governor import Governor
from tasks.drift.history import windows_to_watch
from tests.unit.drift.ledgers import Story, judged

AUDIT = "b" * 64


def ledger(*happenings: object) -> list[DriftEntry]:
    story = Story(Governor())
    for at, happening in enumerate(happenings):
        story.add(happening, at)  # type: ignore[arg-type]
    return story.entries


def decided(window: str, *, version: int = 1, audit: str | None = None, retrain: bool = False) -> Decided:
    return Decided(decision=judged(window, version=version, audit=audit, retrain=retrain))


def test_windows_that_nobody_has_judged_are_watched_in_order() -> None:
    assert windows_to_watch([], ["week_1", "week_2"], [], 1) == ["week_1", "week_2"]
    assert windows_to_watch(ledger(decided("week_1")), ["week_1", "week_2", "week_3"], [], 1) == ["week_2", "week_3"]


def test_a_window_judged_with_an_earlier_version_is_old_news() -> None:
    assert windows_to_watch(ledger(decided("week_1")), ["week_1"], ["week_1"], 2) == []


@pytest.mark.parametrize(
    ("audit", "due"), [pytest.param(None, ["week_1"], id="labels came since"), pytest.param(AUDIT, [], id="seen")]
)
def test_a_window_is_watched_again_when_its_first_labels_came(audit: str | None, due: list[str]) -> None:
    entries = ledger(decided("week_1"), *([decided("week_1", audit=audit)] if audit else []))
    assert windows_to_watch(entries, ["week_1"], ["week_1"], 1) == due


def test_labels_that_a_retraining_learnt_from_judge_nobody() -> None:
    decision = judged("week_1", retrain=True)
    entries = ledger(
        Decided(decision=decision),
        TakenUp(window="week_1", window_digest=decision.window_digest, model_version=1, flow_run="run"),
    )
    assert windows_to_watch(entries, ["week_1"], ["week_1"], 1) == []
