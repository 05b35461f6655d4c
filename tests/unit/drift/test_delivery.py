"""From a decision to the end of its retraining: each step is written once, however many ask for it at once."""

import multiprocessing
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_contracts.artifacts import Judgement, ModelVersion, Reference, Replaced, TrainedModel
from data_contracts.drift import Decided, DriftDecision, DriftEntry, Finished, RolledBack, TakenUp
from data_contracts.errors import InputError
from tasks.drift import task_retraining
from tasks.drift.delivery import (
    claim_event,
    event_is_due,
    finish_retraining,
    record_decision,
    take_up_retraining,
)
from tasks.drift.governor import Governor
from tasks.drift.history import retraining_for
from tasks.drift.ledger import DriftLedger
from tasks.drift.task import note_rollback
from tasks.drift.task_retraining import announce, close_lost, deliver_again, find_ledgers, finish, note_failure, take_up
from tasks.storage.home import open_store
from tasks.storage.store import Store
from tests.unit.drift.ledgers import always, day, judged, promotion
from tests.unit.drift.retraining_process import claim_at_once, deliver_at_once

# A forkserver would keep the environment that it began with, without the address of the bucket.
PROCESSES = multiprocessing.get_context("spawn")
POLICY = Governor()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store that the tasks open."""
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    return open_store()


@pytest.fixture
def ledger(store: Store) -> DriftLedger:
    """A ledger in which the retraining for week_2 is decided."""
    ledger = DriftLedger(store, "support")
    assert record_decision(ledger, POLICY, always(judged("week_2")), day(0)).retrain
    return ledger


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Windows whose event was sent, in place of a server that hears of them."""
    windows: list[str] = []
    monkeypatch.setattr(task_retraining, "_send", lambda _, decision: windows.append(decision.window))
    return windows


def kinds(ledger: DriftLedger) -> list[str]:
    return [entry.happening.kind for entry in ledger.entries()]


def test_a_decision_gets_the_governors_word_and_its_reasons_against(store: Store) -> None:
    ledger = DriftLedger(store, "support")
    refused = record_decision(ledger, POLICY, always(judged("week_2", fresh=20)), day(0))
    assert not refused.retrain
    assert refused.reasons == (
        "so it was found",
        "no retraining: 20 freshly labelled rows of this window, 50 are asked for: label 30 more",
    )
    permitted = record_decision(ledger, POLICY, always(judged("week_3")), day(1))
    assert (permitted.retrain, permitted.reasons) == (True, ("so it was found",))
    assert [e.happening for e in ledger.entries()] == [Decided(decision=refused), Decided(decision=permitted)]


def test_a_window_judged_again_stays_as_it_was_judged_first_and_new_labels_or_versions_are_another_question(
    ledger: DriftLedger,
) -> None:
    first = ledger.entries()[0].happening
    assert isinstance(first, Decided)
    assert record_decision(ledger, POLICY, always(judged("week_2", "QUIET", at=9)), day(9)) == first.decision
    assert kinds(ledger) == ["decided"]
    assert not record_decision(ledger, POLICY, always(judged("week_2", audit="a" * 64)), day(9)).retrain
    assert not record_decision(ledger, POLICY, always(judged("week_2", version=2)), day(99)).retrain
    assert kinds(ledger) == ["decided"] * 3


def test_an_event_is_sent_once_and_again_after_a_wait_that_doubles_up_to_a_day(ledger: DriftLedger) -> None:
    minutes, sent = 1 / (24 * 60), []
    for minute in range(8 * 24 * 60):
        if claim_event(ledger, judged("week_2"), day(minute * minutes), redeliver_minutes=10):
            sent.append(minute)
    waits = [after - before for before, after in pairwise(sent)]
    assert sent[0] == 0
    assert waits[:8] == [10, 20, 40, 80, 160, 320, 640, 1280]
    assert set(waits[8:]) == {1440}


def test_no_event_is_due_once_the_retraining_was_taken_up_or_where_none_was_decided(ledger: DriftLedger) -> None:
    assert not claim_event(ledger, judged("week_9"), day(1))
    assert take_up_retraining(ledger, judged("week_2"), "run", day(1))
    assert not claim_event(ledger, judged("week_2"), day(2))
    found = retraining_for(ledger.entries(), judged("week_2"))
    assert found is not None
    assert not event_is_due(found, day(100), 10)


def test_the_run_that_took_a_retraining_up_goes_on_when_it_is_run_again_and_others_have_nothing_to_do(
    ledger: DriftLedger,
) -> None:
    for run, retrains in (("first", True), ("first", True), ("second", False), ("first", True)):
        assert take_up_retraining(ledger, judged("week_2"), run, day(1)) is retrains
    assert kinds(ledger) == ["decided", "taken_up"]


def test_what_a_window_is_follows_from_what_was_judged_while_it_was_measured(store: Store) -> None:
    ledger = DriftLedger(store, "support")
    asked: list[int] = []

    def find(entries: Sequence[DriftEntry]) -> DriftDecision:
        asked.append(len(entries))
        if not entries:
            # Another process is faster.
            record_decision(DriftLedger(store, "support"), POLICY, always(judged("week_1", "QUIET")), day(0))
        return judged("week_2", "QUIET").model_copy(update={"reasons": (f"after {len(entries)}",)})

    found = record_decision(ledger, POLICY, find, day(0))
    assert found.reasons == ("after 1",)
    assert asked[:2] == [0, 1]
    assert kinds(ledger) == ["decided"] * 2


def test_a_decision_that_the_ledger_does_not_hold_starts_nothing(ledger: DriftLedger) -> None:
    record_decision(ledger, POLICY, always(judged("week_3", "BENIGN")), day(1))
    for stranger in (judged("week_9"), judged("week_2", version=2), judged("week_3")):
        with pytest.raises(
            InputError, match=r"holds no decision to retrain because of week_.*` judges the window here"
        ):
            take_up_retraining(ledger, stranger, "run", day(1))
    assert kinds(ledger) == ["decided", "decided"]


@pytest.mark.parametrize("place", ["a disk", "a bucket"])
def test_of_many_events_for_one_decision_exactly_one_starts_a_training(
    place: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bucket = request.getfixturevalue("s3_bucket") if place == "a bucket" else None
    root = f"s3://{bucket}/graft" if bucket else str(tmp_path / "store")
    processes, threads = (2, 10) if bucket else (4, 250)
    cache = tmp_path / "fetched"
    ledger = DriftLedger(Store(root, cache=cache), "support")
    record_decision(ledger, POLICY, always(judged("week_2")), day(0))
    started = run_at_once(processes, deliver_at_once, lambda number: (root, cache, threads, f"process-{number}"))
    (winner,) = [run for runs in started for run in runs]
    assert [e.happening.flow_run for e in ledger.entries() if isinstance(e.happening, TakenUp)] == [winner]
    assert kinds(ledger) == ["decided", "taken_up"]


def test_of_several_reconciles_at_once_one_sends_the_event(ledger: DriftLedger, store: Store, tmp_path: Path) -> None:
    claimed = run_at_once(4, claim_at_once, lambda _: (store.root, tmp_path / "fetched"))
    assert sorted(claimed) == [False, False, False, True]
    assert kinds(ledger) == ["decided", "announced"]


def run_at_once(count: int, target: Callable[..., None], arguments: Callable[[int], tuple[Any, ...]]) -> list[Any]:
    """Answers of as many processes, which begin together."""
    together, answers = PROCESSES.Barrier(count), PROCESSES.Queue()
    started = [PROCESSES.Process(target=target, args=(*arguments(n), together, answers)) for n in range(count)]
    for process in started:
        process.start()
    found = [answers.get(timeout=120) for _ in started]
    for process in started:
        process.join(60)
        assert process.exitcode == 0
    return found


def test_an_end_is_written_by_the_run_that_took_it_up_and_counts_hours_from_then(ledger: DriftLedger) -> None:
    decision = judged("week_2")
    assert not finish_retraining(ledger, decision, "run", "PROMOTE", 2, day(1))
    take_up_retraining(ledger, decision, "run", day(1))
    assert not finish_retraining(ledger, decision, "another", "FAILED", None, day(1.5))
    assert finish_retraining(ledger, decision, "run", "PROMOTE", 2, day(1.25))
    end = ledger.entries()[-1].happening
    assert isinstance(end, Finished)
    assert (end.verdict, end.version, end.hours, end.flow_run) == ("PROMOTE", 2, 6.0, "run")


def test_a_failure_does_not_replace_an_end_and_an_end_replaces_a_failure(ledger: DriftLedger) -> None:
    decision = judged("week_2")
    take_up_retraining(ledger, decision, "run", day(1))
    assert finish_retraining(ledger, decision, "run", "FAILED", None, day(2))
    assert not finish_retraining(ledger, decision, "run", "FAILED", None, day(3))
    assert finish_retraining(ledger, decision, "run", "HOLD", 2, day(4))
    assert not finish_retraining(ledger, decision, "run", "FAILED", None, day(5))
    assert not finish_retraining(ledger, decision, "run", "REJECT", 3, day(5))
    assert [e.happening.verdict for e in ledger.entries() if isinstance(e.happening, Finished)] == ["FAILED", "HOLD"]


def test_the_tasks_send_an_event_once_and_not_for_a_decision_that_asks_for_nothing(
    ledger: DriftLedger, sent: list[str]
) -> None:
    decided = judged("week_2", retrain=True)
    assert announce.fn("support", judged("week_3", "QUIET")) is False
    assert announce.fn("support", decided) is True
    assert announce.fn("support", decided) is False
    assert sent == ["week_2"]
    assert kinds(ledger) == ["decided", "announced"]


def test_reconcile_sends_what_was_not_sent_once_and_a_dry_run_only_says_so(
    ledger: DriftLedger, sent: list[str]
) -> None:
    assert find_ledgers.fn() == ("support",)
    assert deliver_again.fn("support", "support", 10, True) == ["support: the event for week_2 is to be sent"]
    assert (sent, kinds(ledger)) == ([], ["decided"])
    assert deliver_again.fn("support", "support", 10, False) == [
        "support: the event for week_2 was sent, for the first time"
    ]
    assert deliver_again.fn("support", "support", 10, False) == []
    assert sent == ["week_2"]
    assert deliver_again.fn("support", "support", 0, False) == [
        "support: the event for week_2 was sent, for the 2. time"
    ]


def test_an_event_is_sent_to_where_the_pipeline_is_today_and_not_at_all_where_it_is_gone(
    ledger: DriftLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(task_retraining, "_send", lambda name, decision: sent.append(decision.pipeline))
    gone = ["support: the event for week_2 is not sent, because no pipeline is called so any more"]
    assert [deliver_again.fn("support", None, 0, dry_run) for dry_run in (True, False)] == [gone, gone]
    assert (sent, kinds(ledger)) == ([], ["decided"])
    deliver_again.fn("support", "/moved/support.yaml", 0, False)
    assert sent == ["/moved/support.yaml"]


def test_reconcile_closes_a_retraining_whose_run_is_over_and_no_other(
    ledger: DriftLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    why = SimpleNamespace(said=None)
    monkeypatch.setattr(task_retraining, "why_over", lambda run, _: why.said)
    assert close_lost.fn("support", False) == []
    take_up_retraining(ledger, judged("week_2"), "run", day(1))
    assert close_lost.fn("support", False) == []
    why.said = "flow run run is Crashed"
    said = ["support: the retraining for week_2 failed: flow run run is Crashed"]
    assert close_lost.fn("support", True) == said
    assert kinds(ledger) == ["decided", "taken_up"]
    assert close_lost.fn("support", False) == said
    assert close_lost.fn("support", False) == []
    assert kinds(ledger) == ["decided", "taken_up", "finished"]


def test_a_flow_run_takes_a_retraining_up_and_ends_it_under_its_own_id(
    ledger: DriftLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = judged("week_2", retrain=True)
    for run, retrains in (("first", True), ("second", False), ("first", True)):
        monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", run)
        assert take_up.fn("support", decision) is retrains
    note_failure("support", decision, "second")
    assert kinds(ledger) == ["decided", "taken_up"]
    released: Any = SimpleNamespace(
        judgement=SimpleNamespace(verdict="INCONCLUSIVE"), version=SimpleNamespace(version=7)
    )
    finish.fn("support", decision, released)
    note_failure("support", decision, "first")
    assert kinds(ledger) == ["decided", "taken_up", "finished"]
    end = ledger.entries()[-1].happening
    assert isinstance(end, Finished)
    assert (end.verdict, end.version, end.flow_run) == ("INCONCLUSIVE", 7, "first")


def test_every_rollback_is_noted_once_a_promotion_that_it_undoes(
    store: Store, trained_model: Callable[[str], TrainedModel]
) -> None:
    first = ModelVersion(
        pipeline="support",
        version=1,
        model=trained_model("a" * 64),
        reference=Reference(digest="8" * 64, model="a" * 64, rows=20),
        judgement=Judgement(digest="1" * 64, verdict="PROMOTE", reasons=("so",), candidate="a" * 64, champion=None),
        run_id="run",
    )
    for number in (2, 2, 5):
        note_rollback.fn("support", Replaced(version=first, promotion=promotion(number)), "labels: 2 against 12")
    assert [entry.happening for entry in DriftLedger(store, "support").entries()] == [
        RolledBack(model_version=2, to=1, reason="labels: 2 against 12", promotion=number) for number in (2, 5)
    ]
