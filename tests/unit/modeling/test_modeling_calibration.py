"""Temperatures: what they do to shares, and which one is found."""

import numpy as np
import pytest
import torch

from tasks.modeling.calibration import fit_temperature, shares_of
from tasks.modeling.heads import OrdinalHead, SingleLabelHead

LABELS = ("low", "middle", "high")


def drawn(rows: int, seed: int = 4) -> tuple[np.ndarray, list[int]]:
    """Scores whose softmax is the very chance of each label, and labels drawn by it."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 2, (rows, 4))
    shares = shares_of(scores)
    return scores, [int(random.choice(4, p=of_row)) for of_row in shares]


def test_shares_are_a_softmax_of_the_scores_by_the_temperature() -> None:
    scores = np.log([[1.0, 4.0], [9.0, 1.0]])
    assert shares_of(scores) == pytest.approx(np.array([[0.2, 0.8], [0.9, 0.1]]))
    assert shares_of(scores, temperature=2.0) == pytest.approx(np.array([[1 / 3, 2 / 3], [0.75, 0.25]]))
    assert shares_of(scores + 900) == pytest.approx(shares_of(scores))


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_scores_that_are_too_large_by_a_factor_have_it_as_their_temperature(factor: float) -> None:
    scores, targets = drawn(6000)
    assert fit_temperature(scores * factor, targets) == pytest.approx(factor, rel=0.06)


def test_no_temperature_near_by_has_a_lower_log_loss() -> None:
    scores, targets = drawn(400)
    best = fit_temperature(scores, targets)

    def loss(temperature: float) -> float:
        return float(-np.log(shares_of(scores, temperature)[np.arange(400), targets]).mean())

    # The rest that goes to the other labels moves it a little.
    assert loss(best) < min(loss(best * 0.9), loss(best * 1.1))


def test_a_few_rows_that_are_all_right_do_not_make_every_answer_a_sure_one() -> None:
    scores = np.array([[2.0, 0.0]] * 8)
    temperature = fit_temperature(scores, [0] * 8)
    assert shares_of(scores, temperature)[0, 0] == pytest.approx(9 / 10, abs=1e-4)


def test_without_rows_nothing_is_changed() -> None:
    assert fit_temperature(np.zeros((0, 3)), []) == 1.0


def test_a_temperature_changes_confidences_and_no_answer() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.1, 3.0], [0.2, 0.1, 0.0]])
    plain, cooled = (SingleLabelHead(labels=LABELS, temperature=t).decode(logits, []) for t in (1.0, 2.0))
    assert plain[0] == cooled[0] == ["low", "high", "low"]
    assert plain[1] == pytest.approx(logits.softmax(1).max(1).values.tolist())
    assert cooled[1] == pytest.approx((logits / 2).softmax(1).max(1).values.tolist())


def test_labels_in_order_have_the_same_answer_and_a_confidence_by_the_temperature_of_their_shares() -> None:
    # Higher than low by 0.9, than middle by 0.6: shares of 0.1, 0.3 and 0.6.
    logits = torch.tensor([[0.9, 0.6]]).logit()
    head = OrdinalHead(labels=LABELS)
    assert np.exp(head.label_scores(logits)) == pytest.approx(np.array([[0.1, 0.3, 0.6]]))
    assert head.decode(logits, []) == (["high"], [pytest.approx(0.6)])
    roots = np.sqrt([0.1, 0.3, 0.6])
    cooled = head.model_copy(update={"temperature": 2.0})
    assert cooled.decode(logits, []) == (["high"], [pytest.approx(roots[2] / roots.sum())])
