"""What a person answered: kept with the judgement and the champion that it was about."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from data_contracts.artifacts import Approval, Opponent
from tasks.registry.approval import ReleasePolicy, answer_to, keep_answer
from tasks.storage.store import Store
from tests.unit.registry.conftest import NOW, Desk

YES = Approval(approve=True, by="ann", reason="read the report", at=NOW)
NO = Approval(approve=False, by="ben", reason="not on a Friday", at=NOW)


def test_an_answer_is_found_again_for_the_same_judgement_and_champion_alone(desk: Desk, store: Store) -> None:
    version = desk.register("a", "PROMOTE", 1)
    first, later = Opponent(model=None, entry=0), Opponent(model=None, entry=1)
    assert answer_to(store, version, first) is None
    assert keep_answer(store, version, first, YES) == YES
    assert answer_to(store, version, first) == YES
    assert answer_to(store, version, later) is None
    judged_again = version.model_copy(update={"judgement": desk.judgement("a", "PROMOTE", 2)})
    assert answer_to(store, judged_again, first) is None
    elsewhere = version.model_copy(update={"pipeline": "another"})
    assert answer_to(store, elsewhere, first) is None


def test_of_two_answers_the_first_counts(desk: Desk, store: Store) -> None:
    version, opponent = desk.register("a", "PROMOTE", 1), Opponent(model=None, entry=0)
    keep_answer(store, version, opponent, NO)
    assert keep_answer(store, version, opponent, YES) == NO


def test_a_pipeline_asks_nobody_unless_it_says_so_and_waits_a_day(tmp_path: Path) -> None:
    assert ReleasePolicy() == ReleasePolicy(approval="none", timeout_hours=24)
    with pytest.raises(ValidationError):
        ReleasePolicy.model_validate({"approval": "two persons"})
    with pytest.raises(ValidationError):
        ReleasePolicy(timeout_hours=0)
