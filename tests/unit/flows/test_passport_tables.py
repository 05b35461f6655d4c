"""What the commands about versions show, where a run of them does not come to it."""

from pathlib import Path

import pytest

from flows.passport_tables import show_changes, show_conditions, show_links, show_movements, show_reproduction
from tasks.evaluation.movement import Movement
from tasks.registry.difference import Change, Changes, RowChange
from tasks.registry.reproducing import WeightDifference
from tasks.registry.verifying import Link
from tests.unit.registry.chains import ENVIRONMENT, Chain, make_chain


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return make_chain(tmp_path)


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_broken_link_is_told_in_full_above_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    links = [Link("tokens", "holds", "a" * 64), Link("model [x]", "BROKEN", "b" * 64, "c" * 64 + " (altered: w)")]
    show_links("shop version 1", links)
    text = shown(capsys)
    assert f"the chain is broken at model [x] expected {'b' * 64} found {'c' * 64} (altered: w)" in text
    assert f"tokens holds {'a' * 12} model [x] BROKEN {'b' * 12} {'c' * 12} (altered: w)" in text
    assert "The chain of" not in text


def test_weights_that_differ_are_told_with_their_distance_and_the_scores(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    difference = WeightDifference(False, "a" * 64, "b" * 64, 0.25, 0.125, "encoder.x", 3, 9, ("old",))
    assert not show_reproduction("shop version 1", difference, {"intent": {"test": 0.75}}, chain.passport)
    text = shown(capsys)
    assert "was not reproduced to the byte" in text
    assert "weights aaaaaaaaaaaa then, bbbbbbbbbbbb now" in text
    assert "only in one of them, or of another shape: old" in text
    assert "3 of 9 weights differ, by 1.25e-01 on average and by 2.50e-01 at most (encoder.x)" in text
    assert "intent test 0.500 0.750 +0.2500" in text
    assert show_reproduction("shop version 1", WeightDifference(True, "a" * 64, "a" * 64), {}, chain.passport)


def test_code_and_machines_that_changed_are_told_before_what_is_trained(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    now = ENVIRONMENT.model_copy(update={"device": "NVIDIA H100"})
    code = [Change("tasks/a.py", "1", "2"), Change("tasks/b.py", None, "2"), Change("tasks/c.py", "1", None)]
    show_conditions("shop version 1", chain.passport, code, now)
    text = shown(capsys)
    assert text.startswith("The code changed since shop version 1 was made")
    assert "changed tasks/a.py new tasks/b.py gone tasks/c.py" in text
    assert "device cpu NVIDIA H100" in text
    assert text.index("NVIDIA") < text.index("is trained again from")
    show_conditions("shop version 1", chain.passport, [], ENVIRONMENT)
    assert f"The code is that of then (commit {'c' * 12})" in shown(capsys)


def test_changes_are_told_part_by_part_and_the_rest_in_one_line(
    chain: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = Changes(
        rows=[RowChange("train", 7, 1, 2), RowChange("test", 5, 0, 0)],
        contract=[],
        settings=[Change("training.seed", "13", None)],
        code=[],
        packages=[],
        machine=[],
    )
    show_changes("shop", (1, 2), (chain.passport, chain.passport), changes)
    text = shown(capsys)
    assert "version 1 (PROMOTE, 2026-11-24) → version 2 (PROMOTE, 2026-11-24)" in text
    assert "train 7 1 2" in text
    assert "test 5" not in text
    assert "training.seed 13" in text
    assert "the same in both: contract, packages, machine, code" in text


def test_a_movement_shows_its_interval_or_why_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    moved = [
        Movement("intent", "test", "accuracy", 0.5, 0.75, 0.125, 0.375),
        Movement("intent", "poems", "out_of_scope_auroc", 0.5, 0.75),
        Movement("urgency", "test", "pearson", None, 0.5),
    ]
    show_movements((1, 2), moved)
    text = shown(capsys)
    assert "intent test accuracy 0.500 0.750 +0.250 +0.125 … +0.375" in text
    assert "intent poems auroc 0.500 0.750 +0.250 no interval" in text
    assert "urgency test pearson 0.500 no interval" in text
