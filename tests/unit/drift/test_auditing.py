from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_contracts.drift import DriftDecision, Duel, Monitor
from tasks.drift.auditing import audited_rights, count_wrong, duels_of, labels_in_words, not_counted_yet, why_roll_back
from tasks.drift.measuring import Count
from tasks.drift.monitors import allowed_share
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead
from tests.unit.drift.ledgers import judged, promotion
from tests.unit.drift.worlds import frozen, seen

NAN = float("nan")
HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=("a", "b")),
    "urgency": RegressionHead(column="urgency"),
}


def audit_monitor(bad: int, rows: int) -> Monitor:
    return Monitor(
        name="audit/intent", labelled=True, rows=rows, bad=bad, allowed=0.2, log_e=0.0, bets=(), log_evidence=0.0
    )


def test_an_answer_is_right_wrong_or_unlabelled_and_a_number_is_none_of_it(
    write_rows: Callable[..., Path], write_model_answers: Callable[..., Path]
) -> None:
    checked = write_rows("audit", intent=["a", "b", None], urgency=[0.1, 0.2, 0.3])
    answers = write_model_answers("m", "audit", {"intent": ["a", "a", "a"], "urgency": [0.1, 0.2, 0.3]})
    found = audited_rights(checked, answers, HEADS)
    assert found.keys() == {"intent"}
    assert np.array_equal(found["intent"], [1, 0, NAN], equal_nan=True)


def test_wrong_answers_are_held_against_what_the_reference_allows() -> None:
    reference = frozen(seen(np.zeros((10, 2)), right=[1] * 8 + [0, NAN]))
    found = count_wrong(reference, {"intent": np.array([1, 0, 0, NAN]), "tone": np.array([0.0])}, tolerated=0.05)
    assert found == {"intent": Count(2, 3, allowed_share(1, 9, 0.05))}


def test_a_task_without_any_label_in_the_audit_is_not_counted() -> None:
    reference = frozen(seen(np.zeros((4, 2)), right=[1, 1, 0, 1]))
    assert count_wrong(reference, {"intent": np.array([NAN, NAN])}, tolerated=0.0) == {}


def test_labels_are_told_beside_those_of_the_reference_whether_or_not_they_show_harm() -> None:
    reference = frozen(seen(np.zeros((11, 2)), right=[1] * 9 + [0, NAN]))
    found = {"intent": np.array([1.0] * 17 + [0.0] * 28 + [NAN]), "tone": np.array([0.0])}
    assert labels_in_words(reference, found) == [
        "labels: 17 of 45 rows are answered rightly as to intent (38%), of the reference 90%"
    ]


@pytest.mark.parametrize(
    ("before", "left"),
    [
        pytest.param([], Count(5, 20, 0.2), id="the first labels"),
        pytest.param([(2, 8)], Count(3, 12, 0.2), id="more have come"),
        pytest.param([(2, 8), (1, 4)], Count(2, 8, 0.2), id="bit by bit"),
        pytest.param([(6, 8)], Count(0, 12, 0.2), id="some were corrected"),
        pytest.param([(5, 20)], None, id="none have come"),
        pytest.param([(5, 30)], None, id="some were taken back"),
    ],
)
def test_labels_that_come_bit_by_bit_are_counted_once(before: list[tuple[int, int]], left: Count | None) -> None:
    earlier = [judged("w").model_copy(update={"monitors": (audit_monitor(*counts),)}) for counts in before]
    assert not_counted_yet({"intent": Count(5, 20, 0.2)}, earlier) == ({} if left is None else {"intent": left})


def test_a_duel_is_a_row_that_one_of_two_versions_has_right() -> None:
    champion = {"intent": np.array([1, 1, 0, 0, NAN, 1]), "tone": np.array([1.0])}
    replaced = {"intent": np.array([0, 1, 1, 1, NAN, NAN])}
    assert duels_of(champion, replaced, promotion(7)) == (Duel(task="intent", won=1, lost=2, promotion=7),)


def test_the_version_before_comes_back_when_labels_are_clear_and_not_before() -> None:
    def after(*lost: int) -> str | None:
        windows = [
            judged(f"week_{n}").model_copy(update={"duels": (Duel(task="intent", won=1, lost=count),)})
            for n, count in enumerate(lost)
        ]
        return why_roll_back(windows, promotion(2), 0.05)

    # 12 against 3 are an e-value of 9, 18 against 2 one of 526; 20 are asked for.
    assert after(4) is None
    assert after(4, 4, 4) is None
    assert after(9, 9) == (
        "labelled rows that only the version before, or only this one, answers right: intent: 18 against 2"
    )


def test_a_version_that_wins_its_duels_stays() -> None:
    won = judged("week_1").model_copy(update={"duels": (Duel(task="intent", won=30, lost=0),)})
    assert why_roll_back([won], promotion(2), 0.05) is None
    assert why_roll_back([judged("week_1")], promotion(2), 0.05) is None


def test_of_a_window_judged_again_with_more_labels_the_last_duels_count() -> None:
    first = judged("week_1").model_copy(update={"duels": (Duel(task="intent", won=0, lost=5),)})
    again = judged("week_1", audit="b" * 64).model_copy(update={"duels": (Duel(task="intent", won=0, lost=6),)})
    other = judged("week_2").model_copy(update={"duels": (Duel(task="intent", won=0, lost=6),)})
    # 6 in a row are an e-value of 18, 11 of more than 300: were both counted, it would be enough.
    assert why_roll_back([first, again], promotion(2), 0.05) is None
    assert why_roll_back([again, other], promotion(2), 0.05) is not None


def test_tasks_share_what_may_be_erred_by() -> None:
    seven = Duel(task="intent", won=0, lost=7)
    alone = judged("week_1").model_copy(update={"duels": (seven,)})
    beside = judged("week_1").model_copy(update={"duels": (seven, Duel(task="tone", won=1, lost=1))})
    assert why_roll_back([alone], promotion(2), 0.05) is not None
    assert why_roll_back([beside], promotion(2), 0.05) is None


def test_duels_of_an_earlier_promotion_are_not_counted_against_a_champion_again() -> None:
    def after(number: int | None, lost: int, window: str) -> DriftDecision:
        return judged(window).model_copy(update={"duels": (Duel(task="intent", won=0, lost=lost, promotion=number),)})

    # Ten in a row bring the version before back; two and eight against other opponents do not add up.
    assert why_roll_back([after(2, 10, "week_1")], promotion(2), 0.05) is not None
    assert why_roll_back([after(2, 10, "week_1")], promotion(4), 0.05) is None
    assert why_roll_back([after(2, 8, "week_1"), after(4, 2, "week_2")], promotion(4), 0.05) is None
    assert why_roll_back([after(4, 8, "week_1"), after(4, 2, "week_2")], promotion(4), 0.05) is not None


def test_duels_that_name_no_promotion_are_of_the_one_that_came_before_them() -> None:
    old = judged("week_1", at=5).model_copy(update={"duels": (Duel(task="intent", won=0, lost=10),)})
    assert why_roll_back([old], promotion(2, at=4), 0.05) is not None
    assert why_roll_back([old], promotion(4, at=6), 0.05) is None
