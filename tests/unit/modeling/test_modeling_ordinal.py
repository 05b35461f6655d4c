"""Labels in order: thresholds, targets, loss, decoding, and scores from sums."""

import math

import numpy as np
import pytest
import torch

from data_contracts.dataset import Property
from data_contracts.errors import InputError
from tasks.modeling import scores
from tasks.modeling.heads import MISSING, OrdinalHead

HASTE = OrdinalHead(column="haste", labels=("low", "middle", "high"))
FIVE = OrdinalHead(column="stars", labels=("1", "2", "3", "4", "5"))


def log_odds(*chances: float) -> torch.Tensor:
    """Logits of one text whose chances of being higher than each label are these."""
    return torch.tensor([[math.log(chance / (1 - chance)) for chance in chances]])


def test_a_number_and_thresholds_between_labels_are_learnt_and_the_weights_are_shared() -> None:
    layers = FIVE.layers(8)
    assert {name: tuple(value.shape) for name, value in layers.named_parameters()} == {
        "thresholds": (4,),
        "1.weight": (1, 8),
    }


def test_thresholds_begin_where_the_number_zero_makes_all_labels_as_likely() -> None:
    logits = FIVE.logits(FIVE.layers(4).eval(), torch.zeros(1, 2, 4), torch.ones(1, 2), None)
    assert logits.sigmoid()[0].tolist() == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert FIVE.shares(logits)[0].tolist() == pytest.approx([0.2] * 5)


def test_a_larger_number_makes_every_higher_label_likelier_by_the_same_log_odds() -> None:
    layers = HASTE.layers(2).eval()
    torch.nn.init.ones_(layers.get_parameter("1.weight"))
    states = torch.tensor([[[1.0, 0.0]], [[2.5, 0.0]]])
    small, large = HASTE.logits(layers, states, torch.ones(2, 1), None)
    assert (large - small).tolist() == pytest.approx([1.5, 1.5])
    assert small.tolist() == pytest.approx([1 + math.log(2), 1 - math.log(2)])


def test_a_threshold_moves_ten_times_as_far_as_a_weight_in_one_step() -> None:
    layers = HASTE.layers(2).eval()
    optimiser = torch.optim.Adam(layers.parameters(), lr=0.01)
    states, mask = torch.zeros(1, 1, 2), torch.ones(1, 1)
    before = HASTE.logits(layers, states, mask, None)
    HASTE.loss(before, HASTE.targets(["high"])).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    moved = HASTE.logits(layers, states, mask, None) - before
    assert moved[0].tolist() == pytest.approx([0.1, 0.1], rel=1e-3)


def test_targets_are_ranks_in_the_order_of_the_labels() -> None:
    targets = HASTE.targets(["high", None, "low"])
    assert targets.tolist() == [2, MISSING, 0]
    assert HASTE.present(targets).tolist() == [True, False, True]


@pytest.mark.parametrize(("label", "chances"), [("low", (0.2, 0.9)), ("middle", (0.8, 0.9)), ("high", (0.8, 0.1))])
def test_the_loss_is_that_of_whether_the_label_is_higher_than_each(label: str, chances: tuple[float, float]) -> None:
    # The chances are 0.8 and 0.1: those of the truth are they, or what is left to 1.
    expected = -sum(math.log(chance) for chance in chances)
    assert float(HASTE.loss(log_odds(0.8, 0.1), HASTE.targets([label]))) == pytest.approx(expected)


def test_a_mistake_costs_more_the_farther_off_it_is() -> None:
    sure_of_low = torch.full((1, 4), -6.0)
    losses = [float(FIVE.loss(sure_of_low, FIVE.targets([label]))) for label in FIVE.labels]
    assert np.diff(losses).tolist() == pytest.approx([6.0] * 4)


def test_a_missing_label_takes_no_part_in_the_loss() -> None:
    logits = torch.randn(2, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = HASTE.loss(logits, HASTE.targets([None, "middle"]))
    assert float(loss) == pytest.approx(float(HASTE.loss(logits[1:], HASTE.targets(["middle"]))))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.abs().sum(dim=1).gt(0).tolist() == [False, True]


def test_the_middle_label_is_answered_with_its_probability() -> None:
    assert HASTE.shares(log_odds(0.8, 0.1))[0].tolist() == pytest.approx([0.2, 0.7, 0.1])
    assert HASTE.decode(log_odds(0.8, 0.1), [0]) == (["middle"], [pytest.approx(0.7)])
    assert HASTE.decode(log_odds(0.1, 0.05), [0]) == (["low"], [pytest.approx(0.9)])
    # Half of the chances lie below the middle and half above it, so it is closest to all of them, if not the likeliest.
    assert HASTE.decode(log_odds(0.55, 0.45), [0]) == (["middle"], [pytest.approx(0.1)])


def test_thresholds_that_cross_leave_no_probability_below_zero() -> None:
    shares = HASTE.shares(log_odds(0.3, 0.7))[0]
    assert shares.tolist() == pytest.approx([0.7, 0.0, 0.3])
    assert HASTE.decode(log_odds(0.3, 0.7), [0]) == (["low"], [pytest.approx(0.7)])


def test_probabilities_add_up_to_one() -> None:
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(1)) * 4
    shares = FIVE.shares(logits)
    assert shares.sum(axis=1).tolist() == pytest.approx([1.0] * 50)
    assert shares.min() >= 0


def test_sums_give_the_kappa_that_scikit_learn_gives_of_any_draw_of_rows() -> None:
    from sklearn.metrics import cohen_kappa_score

    random = np.random.default_rng(2)
    wanted = random.integers(5, size=40)
    given = np.clip(wanted + random.integers(-2, 3, size=40), 0, 4)
    answers, references = ([FIVE.labels[rank] for rank in ranks] for ranks in (given, wanted))
    table = FIVE.statistics(answers, references)
    draws = random.integers(40, size=(20, 40))
    found = FIVE.score_of_sums(np.stack([table[draw].sum(axis=0) for draw in draws]))
    expected = [cohen_kappa_score(wanted[draw], given[draw], weights="quadratic") for draw in draws]
    assert found.tolist() == pytest.approx(expected)


def test_an_answer_that_does_not_look_at_the_text_scores_zero() -> None:
    references = ["low", "middle", "high", "low"]
    assert FIVE.score_of_sums(FIVE.statistics(["3"] * 3, ["1", "3", "5"]).sum(axis=0)[None]).tolist() == [0.0]
    assert HASTE.score_of_sums(HASTE.statistics(["low"] * 4, references).sum(axis=0)[None]).tolist() == [0.0]
    assert HASTE.score_of_sums(HASTE.statistics(["low"], ["low"]).sum(axis=0)[None]).tolist() == [0.0]


def test_metrics_get_ranks_labels_and_whether_they_are_right() -> None:
    assert HASTE.metric_inputs(["low", "high"], ["low", "middle"], [0.9, 0.5]) == {
        "rank_agreement": ([0, 2], [0, 1]),
        "accuracy": (["low", "high"], ["low", "middle"]),
        "expected_calibration_error": ([0.9, 0.5], [1, 0]),
    }


def test_kappa_weighs_by_the_square_of_the_distance() -> None:
    found = scores.rank_agreement([0, 2, 1], [0, 1, 2])
    # Squares 0, 1 and 1 in three rows; in the nine pairs of any with any, 0 + 1 + 4, 4 + 1 + 0 and 1 + 0 + 1.
    assert found == pytest.approx({"quadratic_weighted_kappa": 1 - (2 / 3) / (12 / 9), "mean_absolute_error": 2 / 3})


def test_the_order_is_that_of_the_contract_or_the_one_that_a_pipeline_gives() -> None:
    column = Property.model_validate(
        {"name": "haste", "logicalType": "string", "customProperties": [{"property": "labels", "value": ["b", "a"]}]}
    )
    assert OrdinalHead().bind(column).labels == ("b", "a")
    assert OrdinalHead(labels=("a", "b")).bind(column).labels == ("a", "b")
    with pytest.raises(InputError, match=r"'haste'.*'c'.*'b'"):
        OrdinalHead(labels=("a", "c")).bind(column)


def test_one_label_alone_is_refused() -> None:
    assert HASTE.fit(["low", None, "high"]) == HASTE
    with pytest.raises(InputError, match=r"'haste' holds only \['low'\]"):
        HASTE.fit(["low", None])


def test_a_prediction_is_that_of_a_classifier() -> None:
    assert HASTE.prediction("low", 0.987654, "", []) == {"label": "low", "confidence": 0.9877}
