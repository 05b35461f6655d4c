"""Who becomes champion, one entry of the ledger at a time, on a real database and a real store."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from data_contracts.artifacts import Approval, Opponent, Verdict
from data_contracts.errors import InputError
from tasks.registry.promoting import (
    BECAME,
    adopt,
    bring_back,
    mend,
    opponent_of,
    outcome_without_asking,
    override,
    promote_if_approved,
    promote_if_won,
    replaced_by,
    rollback,
)
from tasks.registry.promotions import PromotionLedger
from tasks.registry.versions import Registry, RunRecord
from tasks.storage.store import Store
from tests.unit.registry.conftest import NOW, Desk


def test_the_first_promotion_makes_a_champion_and_writes_entry_1(desk: Desk) -> None:
    outcome = desk.release("a")
    assert outcome.version.aliases == ("champion",)
    assert outcome.why == "version 1 is champion: 2026-11-24 promote by the gate: so"
    assert desk.registry.champion() == outcome.version
    (entry,) = desk.registry.ledger.entries()
    assert entry.model_dump(exclude={"id"}) == {
        "number": 1,
        "kind": "promote",
        "version": 1,
        "model": "a" * 64,
        "previous": None,
        "judgement": f"{1:064x}",
        "rows": "5" * 64,
        "by": "the gate",
        "reason": "so",
        "at": NOW,
    }


def test_each_promotion_makes_the_champion_before_previous_in_the_ledger_and_in_mlflow(desk: Desk) -> None:
    desk.release("a")
    desk.release("b")
    assert desk.aliases() == {2: ("champion",), 1: ("previous",)}
    desk.release("c")
    assert desk.aliases() == {3: ("champion",), 2: ("previous",), 1: ()}
    assert desk.aliases_of_mlflow() == {"champion": 3, "previous": 2}
    assert desk.champions() == [1, 2, 3]


@pytest.mark.parametrize("verdict", ["HOLD", "INCONCLUSIVE", "REJECT"])
def test_without_the_verdict_promote_the_champion_stays(desk: Desk, verdict: Verdict) -> None:
    desk.release("a")
    outcome = desk.release("b", verdict)
    assert outcome.why.startswith(f"version 2 does not become champion: the gate says {verdict}. `graft promote ")
    assert not outcome.overtaken
    assert desk.champions() == [1]


def test_a_challenger_that_is_promoted_is_challenger_no_longer(desk: Desk) -> None:
    desk.release("a")
    desk.release("b", "HOLD")
    assert desk.aliases_of_mlflow() == {"champion": 1, "challenger": 2}
    assert desk.release("b", "PROMOTE", number=2).version.aliases == ("champion",)
    assert desk.aliases() == {2: ("champion",), 1: ("previous",)}
    assert desk.aliases_of_mlflow() == {"champion": 2, "previous": 1}


def test_a_champion_that_labels_show_to_be_worse_gives_way_to_the_one_it_replaced(desk: Desk) -> None:
    first = desk.release("a").version
    assert replaced_by(desk.registry, first) is None
    second = desk.release("b").version
    before = replaced_by(desk.registry, second)
    assert before is not None
    assert (before.version.version, before.promotion.number) == (1, 2)
    assert bring_back(desk.registry, before, "labels: 2 against 12", NOW)
    assert desk.champions() == [1, 2, 1]
    last = desk.registry.ledger.last()
    assert last is not None
    assert (last.kind, last.by, last.reason) == ("rollback", "the monitoring", "labels: 2 against 12")
    # Once it is back, there is nothing to bring back, and nobody else is touched.
    assert replaced_by(desk.registry, before.version) is None
    # Another process, which found the same at the same time, may say so.
    assert bring_back(desk.registry, before, "again", NOW)
    assert desk.champions() == [1, 2, 1]


def test_the_monitoring_did_not_bring_back_what_a_person_brought_back_first(desk: Desk) -> None:
    desk.release("a")
    second = desk.release("b").version
    before = replaced_by(desk.registry, second)
    assert before is not None
    rollback(desk.registry, None, "ann", "complaints", NOW)
    assert not bring_back(desk.registry, before, "labels: 2 against 12", NOW)
    last = desk.registry.ledger.last()
    assert last is not None
    assert (last.version, last.by) == (1, "ann")


def test_a_champion_that_a_person_chose_is_not_brought_down_by_labels(desk: Desk) -> None:
    desk.release("a")
    chosen = desk.release("b", "HOLD").version
    override(desk.registry, 2, "ann", "the rows are stale", NOW)
    assert replaced_by(desk.registry, chosen) is None


def test_a_person_who_brings_back_what_labels_brought_down_has_the_last_word(desk: Desk) -> None:
    desk.release("a")
    second = desk.release("b").version
    before = replaced_by(desk.registry, second)
    assert before is not None
    bring_back(desk.registry, before, "labels: 2 against 12", NOW)
    assert override(desk.registry, 2, "ann", "those labels were wrong", NOW).kind == "override"
    assert replaced_by(desk.registry, second) is None
    # What was begun before is not done to the promotion that came since.
    bring_back(desk.registry, before, "labels: 2 against 12", NOW)
    assert desk.champions() == [1, 2, 1, 2]


def test_a_person_who_promotes_what_was_judged_against_another_champion_chooses_for_themselves(desk: Desk) -> None:
    desk.release("a")
    desk.register("c", "PROMOTE", 2, against="a")
    desk.release("b", number=3, against="a")
    assert override(desk.registry, 2, "ann", "it won against the one before", NOW).kind == "override"


def test_a_champion_whose_predecessor_was_deleted_stays(desk: Desk) -> None:
    desk.release("a")
    second = desk.release("b").version
    desk.registry._client.delete_model_version(desk.registry.pipeline, "1")
    assert replaced_by(desk.registry, second) is None


def test_a_version_that_comes_back_by_another_judgement_is_held_against_the_champion_it_beat_then(desk: Desk) -> None:
    desk.release("a")
    desk.release("b", number=2, against="a")
    third = desk.release("c", number=3, against="b").version
    rollback(desk.registry, 1, "ann", "", NOW)
    other_rows = RunRecord({}, {}, (), rows="6" * 64)
    again = desk.register("c", "PROMOTE", 4, against="a", record=other_rows)
    promote_if_won(desk.registry, again, desk.opponent(), None, NOW)
    found = replaced_by(desk.registry, third)
    assert found is not None
    assert (found.version.version, found.promotion.number) == (1, 5)


def test_the_champion_itself_stays_champion_whatever_it_is_judged_now(desk: Desk) -> None:
    desk.release("a")
    outcome = desk.release("a", "REJECT", number=2)
    assert outcome.why == "version 1 is champion: 2026-11-24 promote by the gate: so"
    assert desk.champions() == [1]
    assert desk.aliases() == {1: ("champion",)}


def test_who_was_judged_against_a_champion_that_is_none_any_more_is_overtaken_and_changes_nothing(desk: Desk) -> None:
    desk.release("a")
    seen = desk.opponent()
    late = desk.register("c", "PROMOTE", 3, against="a")
    desk.release("b", number=2, against="a")
    outcome = promote_if_won(desk.registry, late, seen, None, NOW)
    assert outcome.overtaken
    assert "version 3 became champion meanwhile (2026-11-24 promote by the gate: so)" in outcome.why
    assert desk.champions() == [1, 3]
    assert not promote_if_won(desk.registry, late, desk.opponent(), None, NOW).overtaken
    assert desk.champions() == [1, 3, 2]


def test_an_entry_that_comes_between_looking_and_writing_is_seen_when_writing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.release("a")
    seen, late = desk.opponent(), desk.register("c", "PROMOTE", 3, against="a")
    other = desk.register("b", "PROMOTE", 2, against="a")
    add = desk.registry.ledger.add

    def add_after_another(entry: object) -> bool:
        monkeypatch.setattr(desk.registry.ledger, "add", add)
        assert not promote_if_won(desk.registry, other, seen, None, NOW).overtaken
        return add(entry)  # type: ignore[arg-type]

    monkeypatch.setattr(desk.registry.ledger, "add", add_after_another)
    assert promote_if_won(desk.registry, late, seen, None, NOW).overtaken
    assert desk.champions() == [1, other.version]


def test_a_rollback_swaps_champion_and_previous_and_a_second_one_swaps_them_back(desk: Desk) -> None:
    desk.release("a")
    desk.release("b")
    entry = rollback(desk.registry, None, "ann", " tags suffer ", NOW)
    assert (entry.kind, entry.version, entry.previous, entry.by, entry.reason) == (
        "rollback",
        1,
        2,
        "ann",
        "tags suffer",
    )
    assert desk.aliases() == {2: ("previous",), 1: ("champion",)}
    rollback(desk.registry, None, "ann", "", NOW)
    assert desk.aliases() == {2: ("champion",), 1: ("previous",)}
    assert desk.aliases_of_mlflow() == {"champion": 2, "previous": 1}


def test_a_rollback_goes_to_any_version_that_was_champion_and_a_dry_run_changes_nothing(desk: Desk) -> None:
    for letter in "abc":
        desk.release(letter)
    assert rollback(desk.registry, 1, "ann", "", NOW, dry_run=True).version == 1
    assert desk.champions() == [1, 2, 3]
    rollback(desk.registry, 1, "ann", "", NOW)
    assert desk.aliases() == {1: ("champion",), 3: ("previous",), 2: ()}


def test_a_rollback_that_leads_nowhere_says_why_and_what_there_is(desk: Desk) -> None:
    with pytest.raises(InputError, match="no champion to roll back from"):
        rollback(desk.registry, None, "ann", "", NOW)
    desk.release("a")
    with pytest.raises(InputError, match="no previous champion to roll back to: version 1 is its first"):
        rollback(desk.registry, None, "ann", "", NOW)
    desk.release("b", "HOLD")
    with pytest.raises(InputError, match=r"version 2 of .* was never champion.* those that were: 1\. `graft promote"):
        rollback(desk.registry, 2, "ann", "", NOW)
    with pytest.raises(InputError, match="is champion already: 2026-11-24 promote by the gate"):
        rollback(desk.registry, 1, "ann", "", NOW)
    with pytest.raises(InputError, match="has no version 9; its versions are 1, 2"):
        rollback(desk.registry, 9, "ann", "", NOW)
    assert desk.champions() == [1]


def test_a_person_promotes_what_the_gate_did_not_and_the_reason_stays_with_the_version(desk: Desk) -> None:
    desk.release("a")
    desk.release("b", "REJECT", number=2)
    with pytest.raises(InputError, match="needs a reason"):
        override(desk.registry, 2, "ann", "  ", NOW)
    entry = override(desk.registry, 2, "ann", "the test rows are stale", NOW + timedelta(days=1))
    assert (entry.kind, entry.previous, entry.judgement) == ("override", 1, f"{2:064x}")
    assert desk.aliases() == {2: ("champion",), 1: ("previous",)}
    tags = desk.registry._client.get_model_version(desk.registry.pipeline, "2").tags
    assert tags["graft.promotion"] == "2026-11-25 override by ann: the test rows are stale"


def test_a_person_who_promotes_what_won_its_judgement_approves_it(desk: Desk) -> None:
    desk.register("a", "PROMOTE")
    assert override(desk.registry, 1, "ann", "looked at it", NOW).kind == "approval"


def test_a_version_that_was_rolled_back_does_not_come_back_by_the_judgement_it_won_before(desk: Desk) -> None:
    desk.release("a")
    desk.release("b", number=2, against="a")
    rollback(desk.registry, None, "ann", "", NOW)
    outcome = desk.release("b", number=2, against="a")
    assert "does not become champion: the same judgement made it champion before (entry 2)" in outcome.why
    assert desk.champions() == [1, 2, 1]


def test_a_version_that_was_rolled_back_comes_back_when_it_wins_on_other_rows(desk: Desk) -> None:
    desk.release("a")
    desk.release("b", number=2, against="a")
    rollback(desk.registry, None, "ann", "", NOW)
    # Another judgement of the same rows, as a new release of graft may write it, is no new win.
    same_rows = desk.release("b", number=3, against="a")
    assert "ann rolled it back (entry 3), and it was judged on the same rows as then" in same_rows.why
    version = desk.register("b", "PROMOTE", 4, against="a", record=RunRecord({}, {}, (), rows="6" * 64))
    assert promote_if_won(desk.registry, version, desk.opponent(), None, NOW).version.aliases == ("champion",)
    assert desk.champions() == [1, 2, 1, 2]


def test_a_version_that_was_rolled_back_comes_back_when_it_beats_another_champion(desk: Desk) -> None:
    desk.release("a")
    desk.release("b", number=2, against="a")
    rollback(desk.registry, None, "ann", "", NOW)
    desk.release("c", number=3, against="a")
    assert desk.release("b", number=4, against="c").version.aliases == ("champion",)
    assert desk.champions() == [1, 2, 1, 3, 2]


def test_a_rollback_past_the_previous_champion_is_not_undone_by_a_judgement_against_the_one_chosen(desk: Desk) -> None:
    desk.release("a")
    desk.release("b", number=2, against="a")
    desk.release("c", number=3, against="b")
    rollback(desk.registry, 1, "ann", "", NOW)
    assert "rolled it back" in desk.release("c", number=4, against="a").why
    # Nobody rolled version 2 back, and yet its old win over version 1 is not a new one.
    assert "the same judgement" in desk.release("b", number=2, against="a").why
    assert desk.champions() == [1, 2, 3, 1]


def test_an_opponent_is_named_by_its_number_and_by_who_made_it_champion(desk: Desk) -> None:
    assert opponent_of(desk.registry, desk.model("a" * 64)) == Opponent(model=None, entry=0)
    desk.release("a")
    assert opponent_of(desk.registry, desk.model("b" * 64)).title == "version 1, 2026-11-24 promote by the gate: so"
    # The champion itself is judged against the baselines, as it was then.
    assert opponent_of(desk.registry, desk.model("a" * 64)) == Opponent(model=None, entry=1)
    desk.register("b", "REJECT", 2, against="a")
    override(desk.registry, 2, "ann", "its rows are stale", NOW)
    found = opponent_of(desk.registry, desk.model("c" * 64))
    assert (found.title, found.entry) == ("version 2, 2026-11-24 override by ann: its rows are stale", 2)
    assert found.model is not None
    assert found.model.digest == "b" * 64
    again = opponent_of(desk.registry, desk.model("b" * 64))
    assert again.title == "version 1, 2026-11-24 promote by the gate: so"


def test_a_champion_that_came_back_has_the_name_of_before_so_that_reports_that_name_it_stay(desk: Desk) -> None:
    desk.release("a")
    before = opponent_of(desk.registry, desk.model("c" * 64))
    desk.release("b")
    rollback(desk.registry, None, "ann", "2 is slow", NOW)
    after = opponent_of(desk.registry, desk.model("c" * 64))
    assert (after.model, after.title) == (before.model, before.title)
    assert after.entry == 3


def test_what_became_of_a_version_lies_beside_its_report(desk: Desk, tmp_path: Path) -> None:
    def told(number: int) -> list[str]:
        path = desk.registry._client.download_artifacts(desk.registry.version(number).run_id, BECAME, str(tmp_path))
        return Path(path).read_text(encoding="utf-8").splitlines()

    desk.release("a")
    desk.register("b", "REJECT", 2, against="a")
    override(desk.registry, 2, "ann", "its rows\nare stale", NOW)
    promoted = "champion, 2026-11-24 promote by the gate: so"
    overridden = "2026-11-24 override by ann: its rows are stale"
    assert told(1) == [promoted, f"replaced by version 2, {overridden}"]
    assert told(2) == [f"champion, {overridden}"]
    rollback(desk.registry, None, "bob", "2 is slow", NOW)
    back = "2026-11-24 rollback by bob: 2 is slow"
    assert told(1) == [promoted, f"replaced by version 2, {overridden}", f"champion, {back}"]
    assert told(2) == [f"champion, {overridden}", f"replaced by version 1, {back}"]


def test_what_became_of_a_version_is_told_when_the_aliases_of_a_killed_run_are_mended(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.release("a")
    with monkeypatch.context() as killed:
        killed.setattr("tasks.registry.promoting.follow", lambda _: None)
        desk.release("b")
    mend(desk.registry)
    for number, words in ((1, "replaced by version 2"), (2, "champion")):
        path = desk.registry._client.download_artifacts(desk.registry.version(number).run_id, BECAME, str(tmp_path))
        assert words in Path(path).read_text(encoding="utf-8")


def test_a_promotion_that_cannot_be_told_beside_the_report_holds(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("no room")

    monkeypatch.setattr(desk.registry._client, "log_artifact", refuse)
    with caplog.at_level(logging.WARNING):
        assert desk.release("a").version.aliases == ("champion",)
    assert desk.aliases_of_mlflow() == {"champion": 1}
    assert "what became of version 1 is not told beside its report in MLflow: no room" in caplog.text


@pytest.mark.parametrize(("approve", "champions"), [(True, [1, 2]), (False, [1])])
def test_where_a_person_has_to_agree_the_answer_decides_and_is_kept(
    desk: Desk, approve: bool, champions: list[int]
) -> None:
    desk.release("a")
    version = desk.register("b", "PROMOTE", 2, against="a")
    assert outcome_without_asking(desk.registry, version, desk.opponent()) is None
    answer = Approval(approve=approve, by="ann", reason="read the report", at=NOW)
    outcome = promote_if_won(desk.registry, version, desk.opponent(), answer, NOW)
    assert desk.champions() == champions
    said = "approval by ann: read the report" if approve else "ann said no: read the report"
    assert said in outcome.why


def test_without_an_answer_the_version_waits_unless_it_is_settled_anyway(desk: Desk) -> None:
    first = desk.release("a")
    opponent = Opponent(model=first.version.model, entry=1)
    refused, won = desk.release("b", "REJECT").version, desk.registry.version(desk.release("c", "HOLD").version.version)
    won = won.model_copy(update={"judgement": won.judgement.model_copy(update={"verdict": "PROMOTE"})})
    told = [promote_if_approved(desk.registry, of, opponent, None, "ann is asked", NOW) for of in (refused, won)]
    assert "the gate says REJECT" in told[0].why
    assert "version 3 does not become champion: ann is asked. `graft promote" in told[1].why
    assert desk.champions() == [1]


def test_nobody_is_asked_about_what_is_settled_anyway(desk: Desk) -> None:
    seen = desk.opponent()
    champion = desk.release("a").version
    assert outcome_without_asking(desk.registry, champion, seen) is not None
    assert outcome_without_asking(desk.registry, desk.register("b", "HOLD"), desk.opponent()) is not None
    won = desk.register("c", "PROMOTE", 3, against="a")
    assert outcome_without_asking(desk.registry, won, desk.opponent()) is None
    overtaken = outcome_without_asking(desk.registry, won, seen)
    assert overtaken is not None
    assert overtaken.overtaken


def test_a_home_of_before_the_ledger_keeps_its_champion_and_its_previous_one(desk: Desk) -> None:
    for letter in "ab":
        desk.register(letter, "PROMOTE")
    adopt(desk.registry, NOW)
    assert desk.champions() == []
    client = desk.registry._client
    client.set_registered_model_alias(desk.registry.pipeline, "previous", "1")
    client.set_registered_model_alias(desk.registry.pipeline, "champion", "2")
    adopt(desk.registry, NOW)
    adopt(desk.registry, NOW)
    (entry,) = desk.registry.ledger.entries()
    assert (entry.kind, entry.version, entry.previous, entry.judgement) == ("adopt", 2, 1, f"{1:064x}")
    mend(desk.registry)
    assert desk.aliases() == {2: ("champion",), 1: ("previous",)}
    assert rollback(desk.registry, None, "ann", "", NOW).version == 1


def test_an_alias_that_was_moved_by_hand_is_put_back_with_a_word_on_how_to_change_the_champion(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    for letter in "abc":
        desk.release(letter)
    desk.registry._client.set_registered_model_alias(desk.registry.pipeline, "champion", "1")
    assert desk.aliases() == {3: ("champion",), 2: ("previous",), 1: ()}
    with caplog.at_level(logging.WARNING):
        mend(desk.registry)
    assert desk.aliases_of_mlflow() == {"champion": 3, "previous": 2}
    assert "pointed to version 1, and was put back to version 3, as entry 3 of the promotion ledger says" in caplog.text
    assert f"`graft rollback {desk.registry.pipeline} --to N`" in caplog.text
    caplog.clear()
    mend(desk.registry)
    assert caplog.text == ""


def test_a_champion_that_was_deleted_from_the_tracking_server_is_named_and_a_rollback_mends_it(desk: Desk) -> None:
    for letter in "ab":
        desk.release(letter)
    desk.registry._client.delete_model_version(desk.registry.pipeline, "2")
    mend(desk.registry)
    with pytest.raises(InputError, match=r"entry 2 .* version 2 .* holds no such version.*graft rollback .* --to N"):
        desk.registry.champion()
    rollback(desk.registry, None, "ann", "", NOW)
    assert desk.aliases() == {1: ("champion",)}


def test_a_ledger_beside_another_tracking_server_than_its_own_is_no_champion(
    desk: Desk, address: str, store: Store
) -> None:
    desk.release("a")
    name = f"{desk.registry.pipeline}-2"
    other = Registry(address, name, Path(store.root) / "artifacts", PromotionLedger(store, desk.registry.pipeline))
    stranger = Desk(other, store, desk.model)
    stranger.register("b", "HOLD")
    with pytest.raises(InputError, match="holds model bbbbbbbbbbbb under that number"):
        other.champion()


def test_aliases_follow_an_entry_that_is_added_while_those_of_the_one_before_are_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for letter in "ab":
        desk.register(letter, "PROMOTE", ord(letter))
    first, second = desk.registry.version(1), desk.registry.version(2)
    aliases = desk.registry._aliases
    write = aliases._write

    def write_late(*given: Any) -> None:
        # The other process promotes and writes its aliases first; ours come after, and are behind.
        monkeypatch.setattr(aliases, "_write", write)
        promote_if_won(desk.registry, second, desk.opponent(), None, NOW)
        assert desk.aliases_of_mlflow()["champion"] == 2
        write(*given)

    monkeypatch.setattr(aliases, "_write", write_late)
    promote_if_won(desk.registry, first, desk.opponent(), None, NOW)
    assert desk.aliases_of_mlflow() == {"champion": 2, "previous": 1}
