from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.evaluation.differences import (
    Difference,
    differences,
    paired_rows,
    read_evidence,
    write_evidence,
)
from tasks.evaluation.gate import judge, read_pairs
from tasks.evaluation.policy import SKILL, GatePolicy
from tasks.evaluation.resampling import resampled_sums
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead, TokenTagHead

Write = Callable[..., Path]
INTENT = SingleLabelHead(column="intent", labels=("right", "wrong"))
HEADS: dict[str, AnyHead] = {"intent": INTENT}
POLICY = GatePolicy(draws=400)
MANY = GatePolicy(draws=4000)


def said(right: NDArray[np.bool_]) -> list[Any]:
    return ["right" if hit else "wrong" for hit in right]


def of_accuracy(new: NDArray[np.bool_], old: NDArray[np.bool_], policy: GatePolicy = MANY) -> list[Difference]:
    paired = paired_rows(INTENT, ["right"] * len(new), said(new), said(old))
    return differences("champion", "test", {"intent": paired}, policy)


# Rows drawn again


def test_a_draw_takes_as_many_rows_as_there_are_and_each_as_often_as_any_other() -> None:
    table = np.column_stack([np.ones(50), np.eye(50)])
    sums = resampled_sums(table, draws=4000)
    assert (sums[:, 0] == 50).all()
    assert sums[:, 1:].mean(axis=0) == pytest.approx(np.ones(50), abs=0.08)
    assert sums[:, 1:].var(axis=0) == pytest.approx(np.full(50, 49 / 50), rel=0.15)


def test_rows_that_are_alike_are_drawn_as_if_they_were_told_apart() -> None:
    values = np.array([0.0] * 60 + [1.0] * 30 + [5.0] * 10)
    alike = resampled_sums(np.column_stack([values, np.ones(100)]), draws=6000)
    apart = resampled_sums(np.column_stack([values, np.ones(100), np.arange(100)]), draws=6000)
    assert alike[:, 0].mean() == pytest.approx(values.sum(), rel=0.01)
    assert alike[:, 0].var() == pytest.approx(100 * values.var(), rel=0.06)
    assert apart[:, 0].var() == pytest.approx(100 * values.var(), rel=0.06)


def test_draws_are_the_same_for_the_same_table_however_many_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(3).integers(0, 3, (40, 2)).astype(float)
    first = resampled_sums(table, 100)
    assert (first == resampled_sums(table, 100)).all()
    monkeypatch.setattr("tasks.evaluation.resampling.COUNTS_AT_ONCE", 50)
    assert (first == resampled_sums(table, 100)).all()


# Two models on the same rows


def test_rows_that_are_clusters_of_one_are_drawn_as_rows_without_any() -> None:
    random = np.random.default_rng(2)
    new, old = (said(random.random(60) < share) for share in (0.9, 0.6))
    alone = paired_rows(INTENT, ["right"] * 60, new, old)
    assert differences("old", "test", {"intent": alone}, POLICY) == differences(
        "old", "test", {"intent": alone._replace(clusters=np.arange(60))}, POLICY
    )


def test_an_interval_is_that_of_bonett_and_price_for_right_and_wrong_answers() -> None:
    rows = np.arange(100)
    found, skill = of_accuracy(new=rows >= 6, old=rows < 88)
    # Right alone: the candidate in 12 rows, the champion in 6. With a row more each, of 102: 13 and 7.
    centre, spread = (13 - 7) / 102, (((13 + 7) / 102 - (6 / 102) ** 2) / 102) ** 0.5
    assert found.value == pytest.approx(0.06)
    assert (found.low, found.high) == pytest.approx((centre - 1.645 * spread, centre + 1.645 * spread), abs=0.006)
    # The skill of one task is that task.
    assert (skill.task, skill.value, skill.low, skill.high) == (SKILL, found.value, found.low, found.high)
    # One-sided: the normal distribution beyond centre / spread = 1.35 is 0.089, and half of the ties at 0 count, too.
    assert found.chance_if_not_better == pytest.approx(0.10, abs=0.02)


def test_models_that_differ_in_none_of_a_few_rows_are_not_taken_for_equal() -> None:
    for rows, is_shown in ((50, False), (148, False), (400, True)):
        found, _ = of_accuracy(np.ones(rows, dtype=bool), np.ones(rows, dtype=bool))
        assert found.value == 0
        assert found.low < 0 < found.high
        assert (found.low >= -0.01) == is_shown


def test_a_model_that_is_right_wherever_the_other_errs_has_one_row_counted_against_it() -> None:
    found, _ = of_accuracy(np.ones(4, dtype=bool), np.zeros(4, dtype=bool))
    assert (found.value, found.high) == (1.0, 1.0)
    # One of six rows is the opponent's: three or more of six draws take it in 6% of all cases, four or more in 1%.
    assert found.low == pytest.approx(0.0)


def test_a_clearly_better_model_is_above_the_other_and_the_other_as_far_below() -> None:
    random = np.random.default_rng(2)
    new, old = random.random(300) < 0.9, random.random(300) < 0.6
    up, down = of_accuracy(new, old)[0], of_accuracy(old, new)[0]
    assert 0.1 < up.low < up.value < up.high < 0.5
    assert (down.low, down.value, down.high) == pytest.approx((-up.high, -up.value, -up.low), abs=0.01)
    assert up.chance_if_not_better == down.chance_if_not_worse == pytest.approx(1 / 4001)
    assert up.chance_if_not_worse == down.chance_if_not_better == 1.0


def test_intervals_are_paired_so_that_mistakes_in_common_do_not_widen_them() -> None:
    rows = np.arange(3000)
    found, _ = of_accuracy(rows % 2 == 0, (rows % 2 == 0) & (rows > 60))
    assert found.value == pytest.approx(31 / 3000)
    assert found.high - found.low < 0.3 * found.value + 0.004


def test_the_margin_of_a_task_is_what_its_chance_of_being_worse_is_about() -> None:
    rows = np.arange(1000)
    # Four points worse.
    wide, narrow = (
        of_accuracy(rows >= 40, rows >= 0, GatePolicy(margins={"intent": margin}))[0] for margin in (0.05, 0.01)
    )
    assert wide.chance_if_not_worse > 0.8
    assert narrow.chance_if_not_worse < 0.001


def test_a_task_is_compared_on_the_rows_that_have_its_label_and_skill_is_the_mean_over_tasks(
    write_rows: Write, write_model_answers: Write
) -> None:
    heads: dict[str, AnyHead] = {**HEADS, "tone": SingleLabelHead(column="tone", labels=("right", "wrong"))}
    snapshot = write_rows("test", intent=["right"] * 4, tone=["right", "right", None, None])
    write_rows("poems", intent=[None, None], tone=["right", "right"])
    write_rows("blank", intent=[None, None], tone=[None, None])
    for split, rows in (("test", 4), ("poems", 2), ("blank", 2)):
        new = write_model_answers("new", split, {"intent": ["right"] * rows, "tone": ["right"] * rows})
        old = write_model_answers("old", split, {"intent": ["right", "wrong"] * (rows // 2), "tone": ["wrong"] * rows})
    evidence = [
        difference
        for split in ("test", "poems", "blank")
        for difference in differences("old", split, read_pairs(snapshot, split, heads, new, old, "old"), POLICY)
    ]
    assert {(d.split, d.task): (d.value, d.rows) for d in evidence} == {
        ("test", "intent"): (0.5, 4),
        ("test", "tone"): (1.0, 2),
        ("test", SKILL): (0.75, 4),
        ("poems", "tone"): (1.0, 2),
        ("poems", SKILL): (1.0, 2),
    }


def test_every_kind_of_score_is_compared(write_rows: Write, write_model_answers: Write) -> None:
    heads: dict[str, AnyHead] = {
        "urgency": RegressionHead(column="urgency"),
        "entities": TokenTagHead(column="entities", labels=("O", "B-X", "I-X")),
    }
    random = np.random.default_rng(1)
    urgency = random.random(200)
    tags = [{"tokens": ["a", "b"], "tags": ["B-X", "O"]}] * 200
    snapshot = write_rows("test", urgency=urgency.tolist(), entities=tags)
    folders = []
    for name, noise, share in (("new", 0.05, 0.95), ("old", 0.5, 0.6)):
        found = [["B-X", "O"] if hit else ["O", "B-X"] for hit in random.random(200) < share]
        noisy = (urgency + random.normal(0, noise, 200)).tolist()
        folders.append(write_model_answers(name, "test", {"urgency": noisy, "entities": found}))
    evidence = judge(snapshot, heads, folders[0], folders[1], folders[1], POLICY).evidence
    assert [d.task for d in evidence] == ["urgency", "entities", SKILL]
    assert all(0.2 < d.low < d.value < d.high < 0.8 for d in evidence)
    assert evidence[2].value == pytest.approx((evidence[0].value + evidence[1].value) / 2)


def test_evidence_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    evidence = of_accuracy(np.arange(30) > 3, np.arange(30) > 9)
    write_evidence(tmp_path / "evidence.json", evidence)
    assert read_evidence(tmp_path / "evidence.json") == evidence
