"""Lists of labels: targets, loss, decoding, and scores from sums."""

import math

import numpy as np
import pytest
import torch

from data_contracts.dataset import Property
from data_contracts.errors import InputError
from tasks.modeling.heads import MultiLabelHead, OrdinalHead, SingleLabelHead

TOPICS = MultiLabelHead(column="topics", labels=("refund", "delivery", "praise"))
ANSWERS = [["refund"], [], ["refund", "praise"], ["delivery"], ["praise"], []]
REFERENCES = [["refund"], ["praise"], ["praise", "delivery"], [], ["praise"], []]


def column(logical_type: str, labels: list[str] | None) -> Property:
    """The column `topics` of a contract, as its YAML would give it."""
    entries = [{"property": "labels", "value": labels}] if labels else []
    return Property.model_validate({"name": "topics", "logicalType": logical_type, "customProperties": entries})


def test_targets_say_of_every_label_whether_the_text_has_it() -> None:
    targets = TOPICS.targets([["praise", "refund"], [], None])
    assert targets[:2].tolist() == [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    assert TOPICS.present(targets).tolist() == [[True] * 3, [True] * 3, [False] * 3]


def test_the_loss_is_the_binary_cross_entropy_of_every_label() -> None:
    # Log-odds of 0, log 3 and -log 3 are chances of 1/2, 3/4 and 1/4.
    logits = torch.tensor([[0.0, math.log(3), -math.log(3)]])
    expected = math.log(2) + math.log(4 / 3) + math.log(4)
    assert float(TOPICS.loss(logits, TOPICS.targets([["delivery", "praise"]]))) == pytest.approx(expected)


def test_a_text_without_a_list_takes_no_part_in_the_loss_and_an_empty_list_does() -> None:
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = TOPICS.loss(logits, TOPICS.targets([["praise"], None, []]))
    expected = sum(
        float(TOPICS.loss(logits[[row]], TOPICS.targets([value]))) for row, value in ((0, ["praise"]), (2, []))
    )
    assert float(loss) == pytest.approx(expected)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.abs().sum(dim=1).gt(0).tolist() == [True, False, True]


def test_labels_from_the_threshold_on_are_given_in_the_contracts_order() -> None:
    # Chances of 1/2, 1/4 and 3/4, and of 1/4 each.
    logits = torch.tensor([[0.0, -math.log(3), math.log(3)], [-math.log(3)] * 3])
    answers, confidences = TOPICS.decode(logits, [0, 0])
    assert answers == [["refund", "praise"], []]
    assert confidences == pytest.approx([1 / 2 * 3 / 4 * 3 / 4, (3 / 4) ** 3])


def test_another_threshold_gives_other_labels_and_the_confidence_in_these() -> None:
    logits = torch.tensor([[0.0, -math.log(3), math.log(3)]])
    assert TOPICS.model_copy(update={"threshold": 0.6}).decode(logits, [0]) == ([["praise"]], [pytest.approx(9 / 32)])
    low = TOPICS.model_copy(update={"threshold": 0.2})
    assert low.decode(logits, [0]) == ([["refund", "delivery", "praise"]], [pytest.approx(3 / 32)])


def test_decoding_undoes_targets_in_the_order_of_the_labels() -> None:
    sure = (TOPICS.targets([["praise", "refund"], []]) - 0.5) * 100
    assert TOPICS.decode(sure, [0, 0]) == ([["refund", "praise"], []], pytest.approx([1.0, 1.0]))


def test_an_answer_is_right_where_it_holds_the_same_labels_in_whatever_order() -> None:
    assert TOPICS.is_right(["refund", "praise"], ["praise", "refund"])
    assert not TOPICS.is_right(["refund"], ["praise", "refund"])
    assert TOPICS.is_right([], [])
    assert TOPICS.in_words(["praise", "refund"]) == "refund, praise"
    assert TOPICS.in_words([]) == "no label"


def test_a_prediction_holds_the_labels_and_how_sure_all_of_them_are() -> None:
    assert TOPICS.prediction(["refund"], 0.123456, "", []) == {"labels": ["refund"], "confidence": 0.1235}


def test_sums_give_the_micro_f1_that_scikit_learn_gives_of_any_draw_of_rows() -> None:
    from sklearn.metrics import f1_score

    table = TOPICS.statistics(ANSWERS, REFERENCES)
    # refund and praise are right; refund and delivery are wrong; delivery and praise are missed, and praise once more.
    assert table.sum(axis=0).tolist() == [3, 2, 2]
    given, wanted = (TOPICS.targets(lists).numpy() for lists in (ANSWERS, REFERENCES))
    draws = np.random.default_rng(0).integers(6, size=(20, 6))
    draws[0] = np.arange(6)
    found = TOPICS.score_of_sums(np.stack([table[draw].sum(axis=0) for draw in draws]))
    expected = [f1_score(wanted[draw], given[draw], average="micro", zero_division=0) for draw in draws]
    assert found.tolist() == pytest.approx(expected)
    assert len(set(found.tolist())) > 5


def test_nothing_given_and_nothing_wanted_scores_zero() -> None:
    assert TOPICS.score_of_sums(TOPICS.statistics([[]], [[]]).sum(axis=0)[None]).tolist() == [0.0]


def test_metrics_get_lists_and_whether_whole_lists_are_right() -> None:
    assert TOPICS.metric_inputs(ANSWERS[:3], REFERENCES[:3], [0.9, 0.6, 0.5]) == {
        "label_set_f1": (ANSWERS[:3], [["refund"], ["praise"], ["delivery", "praise"]]),
        "expected_calibration_error": ([0.9, 0.6, 0.5], [1, 0, 0]),
    }


def test_binding_takes_the_labels_of_a_column_of_lists() -> None:
    bound = MultiLabelHead().bind(column("array", ["a", "b"]))
    assert (bound.column, bound.labels) == ("topics", ("a", "b"))


@pytest.mark.parametrize("head", [SingleLabelHead(), OrdinalHead()])
def test_a_head_of_one_label_a_text_is_refused_on_a_column_of_lists_and_the_other_way_round(
    head: SingleLabelHead | OrdinalHead,
) -> None:
    with pytest.raises(InputError, match=rf"{head.kind} on column 'topics': .* array, not string.*for multi_label"):
        head.bind(column("array", ["a", "b"]))
    with pytest.raises(InputError, match=r"multi_label on column 'topics': .* string, not array.*single_label"):
        MultiLabelHead().bind(column("string", ["a", "b"]))
    with pytest.raises(InputError, match=r"multi_label on column 'topics': .*no `labels`"):
        MultiLabelHead().bind(column("array", None))


@pytest.mark.parametrize("values", [[None, None], [[], None, []], [["refund"], None, ["refund"]]])
def test_lists_that_are_all_the_same_are_refused(values: list[list[str] | None]) -> None:
    with pytest.raises(InputError, match=r"'topics' has the same labels on every row of training"):
        TOPICS.fit(values)


def test_one_label_that_some_texts_have_is_enough_to_learn_from() -> None:
    assert TOPICS.fit([["refund"], None, []]) == TOPICS


def test_the_majority_is_the_most_frequent_list_whatever_its_order() -> None:
    values = [["praise", "refund"], ["refund", "praise"], ["refund"], []]
    assert TOPICS.majority(values, [[], []]) == ([["refund", "praise"]] * 2, [0.5, 0.5])
