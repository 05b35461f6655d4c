"""The drift ledger as notes of a real store, and what its entries say."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from data_contracts.drift import Announced, Decided, DriftEntry, Finished, Rebaselined, RolledBack, TakenUp
from data_contracts.errors import InputError
from tasks.drift.history import (
    decision_on,
    decisions_of,
    learned_windows,
    rebaselined,
    retraining_for,
    retrainings,
    verdicts_since,
)
from tasks.drift.ledger import DriftLedger, pipelines_with_a_ledger
from tasks.drift.ledger_table import ledger_rows
from tasks.storage.store import Store
from tests.unit.drift.ledgers import day, judged


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), cache=tmp_path / "unused")


@pytest.fixture
def ledger(store: Store) -> DriftLedger:
    return DriftLedger(store, "support")


def keys(window: str, version: int = 1) -> dict[str, object]:
    found = judged(window, version=version)
    return {"window_digest": found.window_digest, "model_version": version}


def test_entries_are_numbered_from_one_and_read_as_they_were_written(ledger: DriftLedger, store: Store) -> None:
    assert ledger.entries() == []
    decision = judged("week_2", "BENIGN")
    first = ledger.append(lambda _: Decided(decision=decision), day(1))
    second = ledger.append(lambda _: Announced(**keys("week_2")), day(2))
    assert first is not None
    assert second is not None
    assert (first.number, first.at, second.number, second.at) == (1, day(1), 2, day(2))
    assert DriftLedger(store, "support").entries() == [first, second] == ledger.entries()
    assert store.note_names("drift/support") == ["drift/support/000001", "drift/support/000002"]


def test_nothing_is_written_where_there_is_nothing_to_say(ledger: DriftLedger) -> None:
    assert ledger.append(lambda _: None, day(0)) is None
    assert ledger.entries() == []


def test_who_was_overtaken_is_asked_again_with_what_was_written_meanwhile(ledger: DriftLedger, store: Store) -> None:
    seen: list[int] = []

    def first_only(entries: Sequence[DriftEntry]) -> Announced | None:
        seen.append(len(entries))
        if len(entries) == 0:
            # Another process is faster.
            DriftLedger(store, "support").append(lambda _: Announced(**keys("week_9")), day(0))
        return Announced(**keys("week_2")) if len(entries) < 2 else None

    written = ledger.append(first_only, day(0))
    assert written is not None
    assert (seen, written.number) == ([0, 1], 2)
    assert [entry.happening for entry in ledger.entries()] == [Announced(**keys("week_9")), Announced(**keys("week_2"))]


def test_pipelines_whose_names_begin_alike_have_ledgers_of_their_own(store: Store) -> None:
    assert pipelines_with_a_ledger(store) == ()
    for name in ("support", "support-2"):
        DriftLedger(store, name).append(lambda _: Decided(decision=judged("week_1")), day(0))
    DriftLedger(store, "support-2").append(lambda _: Announced(**keys("week_1")), day(0))
    assert len(DriftLedger(store, "support").entries()) == 1
    assert pipelines_with_a_ledger(store) == ("support", "support-2")


def test_a_ledger_with_a_hole_is_not_read_over(ledger: DriftLedger, tmp_path: Path) -> None:
    for number in range(3):
        ledger.append(lambda _, n=number: Announced(**keys(f"week_{n}")), day(number))
    (tmp_path / "store" / "notes" / "drift" / "support" / "000002.json").unlink()
    with pytest.raises(InputError, match=r"drift/support/000002 of the drift ledger was deleted.*Bring the note back"):
        ledger.entries()


@pytest.fixture
def entries() -> list[DriftEntry]:
    """Two windows that asked for a retraining, judged with two versions, and others that did not."""
    audited = judged("week_1", "BENIGN", audit="f" * 64)
    happenings = (
        Decided(decision=judged("week_1", "QUIET")),
        Decided(decision=judged("week_4", retrain=True)),
        Announced(**keys("week_4")),
        Announced(**keys("week_4")),
        TakenUp(window="week_4", flow_run="run-4", **keys("week_4")),
        Decided(decision=audited),
        Finished(flow_run="run-4", verdict="FAILED", hours=1, **keys("week_4")),
        Finished(flow_run="run-4", verdict="PROMOTE", version=2, hours=3, **keys("week_4")),
        Decided(decision=judged("week_2", retrain=True, version=2)),
        Decided(decision=judged("week_3", "BENIGN", version=2)),
        Rebaselined(window="week_3", reference="e" * 64, by="ann", reason="summer", **keys("week_3", 2)),
        RolledBack(model_version=2, to=1, reason="worse"),
    )
    return [DriftEntry(number=n, id=str(n), at=day(n), happening=h) for n, h in enumerate(happenings, start=1)]


def test_a_decision_is_found_by_window_labelled_rows_and_version(entries: list[DriftEntry]) -> None:
    digest = judged("week_1").window_digest
    assert decision_on(entries, digest, None, 1) == judged("week_1", "QUIET")
    assert decision_on(entries, digest, "f" * 64, 1) == judged("week_1", "BENIGN", audit="f" * 64)
    assert decision_on(entries, digest, None, 2) is None
    assert decision_on(entries, "0" * 64, None, 1) is None


def test_decisions_of_a_version_come_in_the_order_they_were_taken(entries: list[DriftEntry]) -> None:
    assert [decision.window for decision in decisions_of(entries, 1)] == ["week_1", "week_4", "week_1"]
    assert [decision.window for decision in decisions_of(entries, 2)] == ["week_2", "week_3"]


def test_a_retraining_gathers_what_followed_its_decision_and_the_last_end_counts(entries: list[DriftEntry]) -> None:
    first, second = retrainings(entries)
    assert (first.entry, first.announced, first.taken_up, first.flow_run) == (2, (day(3), day(4)), day(5), "run-4")
    assert first.end is not None
    assert (first.end.verdict, first.end.version, first.ended) == ("PROMOTE", 2, day(8))
    assert (second.entry, second.announced, second.taken_up, second.end) == (9, (), None, None)
    assert retraining_for(entries, judged("week_4")) == first
    assert retraining_for(entries, judged("week_4", version=2)) is None
    assert retraining_for(entries, judged("week_3", version=2)) is None


def test_learned_windows_are_those_taken_up_once_each_in_the_order_of_the_decisions(entries: list[DriftEntry]) -> None:
    assert learned_windows(entries) == ("week_4",)
    taken_up = (
        TakenUp(window="week_2", flow_run="run-2", **keys("week_2", 2)),
        Decided(decision=judged("week_4", version=3, retrain=True)),
        TakenUp(window="week_4", flow_run="run-5", **keys("week_4", 3)),
        # Without a decision nobody learns.
        TakenUp(window="week_3", flow_run="run-3", **keys("week_3", 2)),
    )
    more = [DriftEntry(number=n, id=str(n), at=day(n), happening=h) for n, h in enumerate(taken_up, start=13)]
    assert learned_windows([*entries, *more]) == ("week_4", "week_2")


def test_the_baseline_of_a_version_is_the_latest_that_a_person_chose_for_it(entries: list[DriftEntry]) -> None:
    assert rebaselined(entries, 1) is None
    found = rebaselined(entries, 2)
    assert found is not None
    assert (found.window, found.reference) == ("week_3", "e" * 64)


def test_verdicts_are_told_from_behind_the_last_retraining_of_the_version(entries: list[DriftEntry]) -> None:
    assert verdicts_since(entries, 1) == {judged("week_1").window_digest: "BENIGN"}
    assert verdicts_since(entries, 2) == {judged("week_3").window_digest: "BENIGN"}
    assert verdicts_since(entries[:1], 1) == {judged("week_1").window_digest: "QUIET"}


def test_the_table_says_newest_first_what_became_of_each_window(entries: list[DriftEntry]) -> None:
    refused = judged("week_5", version=2).model_copy(
        update={"reasons": ("harm", "no retraining: a", "no retraining: b")}
    )
    entries.append(DriftEntry(number=13, id="13", at=day(13), happening=Decided(decision=refused)))
    assert ledger_rows(entries) == [
        ("2026-01-14 09:00", "week_5", "2", "HARMFUL", "no: a; b", ""),
        ("2026-01-13 09:00", "", "2", "rolled back", "", "to 1: worse"),
        ("2026-01-12 09:00", "week_3", "2", "new baseline", "", "by ann: summer"),
        ("2026-01-11 09:00", "week_3", "2", "BENIGN", "no", ""),
        ("2026-01-10 09:00", "week_2", "2", "HARMFUL", "yes", "its event was not sent yet"),
        ("2026-01-07 09:00", "week_1", "1", "BENIGN", "no", ""),
        ("2026-01-03 09:00", "week_4", "1", "HARMFUL", "yes", "PROMOTE, version 2, after 3.0 hours"),
        ("2026-01-02 09:00", "week_1", "1", "QUIET", "no", ""),
    ]
    assert ledger_rows(entries[:3])[0][-1] == "its event was sent 1 time(s), and nobody took it up yet"
    assert ledger_rows(entries[:5])[0][-1] == "under way since 2026-01-06 09:00 in flow run run-4"
