"""Two versions, each on the rows that it served: by labels, or by a column of what became of the answers."""

from typing import Any

import numpy as np
import pytest

from data_contracts.errors import InputError
from tasks.modeling.heads import AnyHead, SingleLabelHead
from tasks.shadow.outcomes import OutcomeTest, outcome_tests
from tasks.shadow.serving import Serving, is_served_by_challenger

HEADS: dict[str, AnyHead] = {"mood": SingleLabelHead(column="feeling", labels=("good", "bad"))}
HALVES = Serving(challenger_share=0.5, key="customer")
ALPHA = 0.05


def served(by: int, customer: str | int | None, given: str, label: str | None, **more: Any) -> dict[str, Any]:
    return {"served_by": by, "customer": customer, "predictions": {"mood": {"label": given}}, "feeling": label, **more}


def compared(rows: list[dict[str, Any]], success: str | None = None) -> dict[str, OutcomeTest]:
    """Of versions 3 and 4; the file has an empty line above its rows."""
    return outcome_tests("out.jsonl", dict(enumerate(rows, start=2)), HEADS, (3, 4), HALVES, success)


def test_outcomes_are_counted_for_the_version_that_served() -> None:
    rows = [
        served(3, "ann", "good", "good"),
        served(3, "bea", "good", "bad"),
        served(4, "cid", "bad", "bad"),
        served(4, "dan", "bad", None),
        served(2, "eve", "bad", "bad"),
    ]
    arms = compared(rows)["mood"].arms
    assert (arms.champion_rows, arms.champion_right, arms.challenger_rows, arms.challenger_right) == (2, 1, 1, 1)


def test_an_outcome_column_stands_for_success_whatever_the_labels_are() -> None:
    rows = [
        served(3, "ann", "good", None, solved=True),
        served(4, "bea", "good", None, solved=False),
        served(4, "cid", "good", "good"),
    ]
    found = compared(rows, "solved")
    assert list(found) == ["solved"]
    assert (found["solved"].arms.champion_right, found["solved"].arms.challenger_right) == (1, 0)
    assert found["solved"].arms.challenger_rows == 1


def test_of_each_key_the_first_row_with_an_outcome_counts_and_the_rest_is_said() -> None:
    rows = [
        served(3, 7, "good", None),
        served(3, 7, "good", "good"),
        served(3, "7", "good", "bad"),
        served(4, 8, "good", "bad"),
        served(4, 8, "good", "good"),
    ]
    found = compared(rows)["mood"]
    assert (found.arms.champion_right, found.arms.champion_rows) == (1, 1)
    assert (found.arms.challenger_right, found.arms.challenger_rows) == (0, 1)
    assert found.in_words.endswith("(first rows of 2 keys, of 4 rows)")


def test_equal_versions_are_told_apart_no_more_often_than_alpha_where_few_customers_write_much() -> None:
    """Each customer has a rate of their own, 80% on average, so that the rows of one hang together."""
    random = np.random.default_rng(1)
    runs, mistaken = 40, 0
    for run in range(runs):
        arm = [is_served_by_challenger({"customer": c}, "", HALVES, f"shop/{run}") for c in range(50)]
        rates = random.beta(1.6, 0.4, len(arm))
        who = random.integers(0, len(arm), 1500).tolist()
        rows = [served(4 if arm[c] else 3, c, "good", None, solved=bool(random.random() < rates[c])) for c in who]
        mistaken += compared(rows, "solved")["solved"].verdict(ALPHA) in ("better", "worse")
    # Were every row counted, it would be one run in three.
    assert mistaken / runs <= ALPHA


def test_a_label_that_the_task_does_not_know_and_a_row_without_its_answers_are_named() -> None:
    rows = [served(3, "ann", "good", "good"), served(4, "bea", "good", "Good")]
    with pytest.raises(InputError, match=r"out.jsonl, line 3: 'feeling' is 'Good'; labels are good, bad"):
        compared(rows)
    del rows[0]["predictions"]
    with pytest.raises(InputError, match=r"out.jsonl, line 2: 'predictions' is None.*as `graft predict` wrote them"):
        compared(rows)
    # One without a label says nothing, with or without them.
    arms = compared([rows[0] | {"feeling": None}, served(4, "bea", "good", "good")])["mood"].arms
    assert (arms.champion_rows, arms.challenger_rows) == (0, 1)


def test_a_task_that_only_one_of_the_versions_answers_says_nothing_of_the_other() -> None:
    row = served(4, "bea", "good", "bad")
    row["predictions"] = {"topic": {"label": "sports"}}
    arms = compared([served(3, "ann", "good", "good"), row])["mood"].arms
    assert (arms.champion_rows, arms.challenger_rows) == (1, 0)


def test_labels_that_are_numbers_in_the_file_are_those_that_the_task_knows() -> None:
    heads: dict[str, AnyHead] = {"stars": SingleLabelHead(column="rated", labels=("1", "2"))}
    answers = {"customer": "ann", "predictions": {"stars": {"label": "2"}}}
    rows = [{**answers, "served_by": 3, "rated": 2}, {**answers, "served_by": 4, "rated": 1.0, "customer": "bea"}]
    arms = outcome_tests("out.jsonl", dict(enumerate(rows)), heads, (3, 4), HALVES, None)["stars"].arms
    assert (arms.champion_right, arms.challenger_right, arms.challenger_rows) == (1, 0, 1)


def test_rows_that_nobody_is_said_to_have_served_are_refused() -> None:
    with pytest.raises(InputError, match="no row was served by version 3 or 4"):
        compared([{"customer": "ann", "feeling": "good"}])


def test_a_row_without_the_key_is_named() -> None:
    with pytest.raises(InputError, match=r"out\.jsonl, line 3: no 'customer' to choose champion or challenger by"):
        compared([served(3, "ann", "good", "good"), served(4, None, "good", "good")])


@pytest.mark.parametrize("value", ["false", "no", "0", "", 2, 0.5, [], {}])
def test_an_outcome_that_is_neither_true_nor_false_is_refused_with_its_line(value: Any) -> None:
    rows = [served(3, "ann", "good", None, solved=True), served(4, "bea", "good", None, solved=value)]
    with pytest.raises(InputError, match=r"out\.jsonl, line 3: 'solved' is .*Allowed are true and false") as error:
        compared(rows, "solved")
    assert repr(value) in str(error.value)


def test_one_and_nought_are_outcomes_and_null_is_none() -> None:
    given = dict(zip("abcde", (1, 0, 1.0, 0.0, None), strict=True))
    rows = [served(3, key, "good", None, solved=value) for key, value in given.items()]
    arms = compared(rows, "solved")["solved"].arms
    assert (arms.champion_right, arms.champion_rows) == (2, 4)


def test_a_column_that_no_row_has_is_refused_with_those_that_there_are() -> None:
    rows = [served(3, "ann", "good", "good", solved=True), served(4, "bea", "good", "bad", rated=3)]
    with pytest.raises(InputError, match=r"no row has 'solvd'\. The columns there are: served_by, customer, .*rated"):
        compared(rows, "solvd")
    with pytest.raises(InputError, match="no row has 'feeling'"):
        compared([{"served_by": 3, "customer": "ann", "predictions": {"mood": {"label": "good"}}}])
