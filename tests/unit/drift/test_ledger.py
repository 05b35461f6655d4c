from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_contracts.drift import DriftDecision
from tasks.drift.ledger import Ledger
from tasks.drift.task import announce, take_up
from tasks.storage.home import open_store
from tasks.storage.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    return open_store()


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store, "support")


def decision(window: str = "week_2", day: int = 1, *, version: int = 1, retrain: bool = True) -> DriftDecision:
    return DriftDecision(
        pipeline="support",
        window=window,
        window_digest=f"{window:0<64}".replace("week_", "aaaaa").replace("_", "b"),
        model_version=version,
        verdict="HARMFUL" if retrain else "BENIGN",
        retrain=retrain,
        reasons=("intent suffers",),
        measures={"shift_p_value": 0.001},
        decided_at=datetime(2026, 1, day, tzinfo=UTC),
    )


def test_a_decision_is_read_as_it_was_recorded_and_nobody_has_taken_it_up(ledger: Ledger) -> None:
    taken = decision()
    assert ledger.decision(taken.window_digest, 1) is None
    ledger.record(taken)
    assert ledger.decision(taken.window_digest, 1) == taken
    assert ledger.started_by(taken) is None


def test_a_window_recorded_twice_is_in_the_ledger_once_as_it_was_decided_first(ledger: Ledger, store: Store) -> None:
    ledger.record(decision(day=1))
    ledger.start(decision(day=1), "run-1")
    ledger.record(decision(day=2))
    assert len(store.note_names("ledger/support")) == 1
    assert ledger.decision(decision().window_digest, 1) == decision(day=1)
    assert ledger.started_by(decision()) == "run-1"


def test_another_window_another_version_and_another_pipeline_are_decided_for_themselves(
    ledger: Ledger, store: Store
) -> None:
    ledger.record(decision("week_2"))
    assert ledger.decision(decision("week_3").window_digest, 1) is None
    assert ledger.decision(decision("week_2").window_digest, 2) is None
    assert Ledger(store, "support-2").decision(decision("week_2").window_digest, 1) is None


def test_learned_windows_are_those_a_retraining_was_started_for_in_the_order_of_the_decisions(
    ledger: Ledger, store: Store
) -> None:
    for window, day, started in (("week_4", 3, True), ("week_2", 9, True), ("week_3", 1, False), ("week_1", 5, True)):
        ledger.record(decision(window, day))
        if started:
            ledger.start(decision(window, day), f"run-{day}")
    assert ledger.learned_windows() == ("week_4", "week_1", "week_2")
    assert Ledger(store, "support-2").learned_windows() == ()


def test_a_window_judged_with_two_versions_is_learned_once(ledger: Ledger) -> None:
    for version, day in ((1, 1), (2, 8)):
        ledger.record(decision("week_2", day, version=version))
        ledger.start(decision("week_2", day, version=version), "run")
    assert ledger.learned_windows() == ("week_2",)


def test_one_flow_run_takes_a_decision_up_and_goes_on_when_it_is_run_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record(decision())
    for run, may_retrain in (("first", True), ("first", True), ("second", False)):
        monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", run)
        assert take_up.fn("support", decision()) is may_retrain
        assert ledger.started_by(decision()) == "first"


def test_a_decision_against_retraining_is_not_announced(store: Store) -> None:
    assert announce.fn("support", decision(retrain=False)) is False
