"""Heads: pooling, targets, losses, decoding, and scores from sums."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from data_contracts.dataset import Property
from data_contracts.errors import InputError
from tasks.modeling import scores
from tasks.modeling.heads import (
    MISSING,
    AnyHead,
    Head,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    SpanHead,
    TokenTagHead,
    WordTensors,
    mean_states,
    tag_columns,
)
from tasks.modeling.sequences import tag_associations
from tasks.modeling.words import SHAPES

TONE = SingleLabelHead(column="tone", labels=("bad", "good", "none"))
PLACES = TokenTagHead(column="places", labels=("O", "B-PLACE", "I-PLACE"))
URGENCY = RegressionHead(column="urgency", mean=2.0, deviation=0.5)


def column(name: str, logical_type: str = "string", **custom: list[str]) -> Property:
    """A column of a contract, as its YAML would give it."""
    entries = [{"property": key, "value": value} for key, value in custom.items()]
    return Property.model_validate({"name": name, "logicalType": logical_type, "customProperties": entries})


def test_mean_pooling_ignores_padding() -> None:
    states = torch.tensor([[[1.0, 10.0], [3.0, 20.0], [99.0, -99.0]], [[1.0, 2.0], [2.0, 3.0], [6.0, 4.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert mean_states(states, mask).tolist() == [[2.0, 15.0], [3.0, 3.0]]


@pytest.mark.parametrize("head", [TONE, URGENCY], ids=["single_label", "regression"])
def test_logits_of_a_text_do_not_depend_on_padding(head: AnyHead) -> None:
    torch.manual_seed(0)
    layers = head.layers(4).eval()
    states = torch.randn(1, 3, 4)
    padded = torch.cat([states, torch.full((1, 2, 4), 7.0)], dim=1)
    short = head.logits(layers, states, torch.ones(1, 3), None)
    long = head.logits(layers, padded, torch.tensor([[1, 1, 1, 0, 0]]), None)
    assert torch.allclose(short, long)


def test_a_tagger_reads_the_first_piece_and_the_shape_of_each_word() -> None:
    head = PLACES.model_copy(update={"classifier": "linear"})
    layers = head.layers(2).eval()
    linear = layers[1]  # type: ignore[index]
    torch.nn.init.zeros_(linear.bias)
    # Tag O reads the state's first number, B-PLACE whether the word is capital, I-PLACE nothing.
    linear.weight.data = torch.zeros(3, 2 + len(SHAPES))
    linear.weight.data[0, 0] = 1.0
    linear.weight.data[1, 2 + SHAPES.index("capital")] = 1.0
    states = torch.tensor([[[5.0, 0.0], [6.0, 0.0], [7.0, 0.0]]])
    shapes = torch.tensor([[SHAPES.index("capital"), SHAPES.index("lower")]])
    words = WordTensors(starts=torch.tensor([[2, 0]]), shapes=shapes)
    found = head.logits(layers, states, torch.ones(1, 3), words)
    assert found.tolist() == [[[7.0, 1.0, 0.0], [5.0, 0.0, 0.0]]]


def test_a_word_without_a_piece_is_outside_of_every_entity_for_certain() -> None:
    head = PLACES.model_copy(update={"labels": ("B-PLACE", "I-PLACE", "O")})
    torch.manual_seed(0)
    words = WordTensors(starts=torch.tensor([[0, -1, 2]]), shapes=torch.zeros(1, 3, dtype=torch.long))
    layers = head.layers(4).eval()
    torch.nn.init.constant_(layers[1].bias, 30.0)  # type: ignore[index]
    logits = head.logits(layers, torch.randn(1, 3, 4), torch.ones(1, 3), words)
    answers, confidences = head.decode(logits, [3])
    assert answers[0][1] == "O"  # type: ignore[index]
    # After it begins a text of its own, as it were.
    first, last = (head.decode(logits[:, [word]], [1])[1][0] for word in (0, 2))
    assert confidences == [pytest.approx(first * last)]


def test_a_tagger_without_words_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="starts and shapes"):
        PLACES.logits(PLACES.layers(2), torch.zeros(1, 1, 2), torch.ones(1, 1), None)


def test_targets_are_positions_of_labels_and_missing_ones_are_marked() -> None:
    targets = TONE.targets(["good", None, "bad"])
    assert targets.tolist() == [1, MISSING, 0]
    assert TONE.present(targets).tolist() == [True, False, True]


def test_targets_of_tags_are_padded_and_a_text_without_tags_has_none() -> None:
    targets = PLACES.targets([{"tokens": ["to", "Da", "Nang"], "tags": ["O", "B-PLACE", "I-PLACE"]}, None])
    assert targets.tolist() == [[0, 1, 2], [MISSING] * 3]
    assert PLACES.present(targets).sum() == 3


def test_targets_of_a_regression_are_in_deviations_from_the_mean() -> None:
    targets = URGENCY.targets([2.0, 3.0, None])
    assert targets[:2].tolist() == [0.0, 2.0]
    assert URGENCY.present(targets).tolist() == [True, True, False]


def test_cross_entropy_is_summed_over_the_texts() -> None:
    # Two even chances of three: log 3 each.
    assert float(TONE.loss(torch.zeros(2, 3), TONE.targets(["good", "bad"]))) == pytest.approx(2 * math.log(3))


def test_label_smoothing_moves_weight_from_the_label_to_all_labels() -> None:
    smooth = TONE.model_copy(update={"label_smoothing": 0.3})
    logits = torch.tensor([[2.0, 0.0, 0.0]])
    logs = torch.log_softmax(logits, dim=-1)[0].tolist()
    expected = -(0.8 * logs[0] + 0.1 * logs[1] + 0.1 * logs[2])
    assert float(smooth.loss(logits, smooth.targets(["bad"]))) == pytest.approx(expected)


def test_the_loss_of_tags_is_summed_over_words() -> None:
    targets = PLACES.targets([{"tags": ["O", "B-PLACE"]}, {"tags": ["O"]}])
    assert float(PLACES.loss(torch.zeros(2, 2, 3), targets)) == pytest.approx(3 * math.log(3))


def test_the_loss_of_a_regression_is_the_squared_error_in_deviations() -> None:
    # 3.0 is two deviations above the mean, 1.5 one below.
    loss = URGENCY.loss(torch.tensor([1.5, 0.0]), URGENCY.targets([3.0, 1.5]))
    assert float(loss) == pytest.approx(0.5**2 + 1.0**2)


@pytest.mark.parametrize(
    ("head", "known", "shape"),
    [
        (TONE, "good", (2, 3)),
        (TONE.model_copy(update={"label_smoothing": 0.2}), "good", (2, 3)),
        (TONE.model_copy(update={"label_weights": (0.5, 3.0, 1.0)}), "good", (2, 3)),
        (PLACES, {"tags": ["O", "B-PLACE"]}, (2, 2, 3)),
        (URGENCY, 2.7, (2,)),
    ],
    ids=["single_label", "smoothed", "weighted", "token_tags", "regression"],
)
def test_a_missing_label_takes_no_part_in_the_loss(head: AnyHead, known: object, shape: tuple[int, ...]) -> None:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = head.loss(logits, head.targets([known, None]))
    assert float(loss) == pytest.approx(float(head.loss(logits[:1], head.targets([known]))))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].abs().sum() == 0


@pytest.mark.parametrize(("head", "shape"), [(TONE, (2, 3)), (PLACES, (2, 1, 3)), (URGENCY, (2,))])
def test_a_batch_without_any_label_has_no_loss(head: AnyHead, shape: tuple[int, ...]) -> None:
    assert float(head.loss(torch.ones(shape), head.targets([None, None]))) == 0.0


def test_a_label_is_decoded_with_its_probability() -> None:
    answers, confidences = TONE.decode(torch.tensor([[0.0, math.log(8), 0.0]]), [0])
    assert answers == ["good"]
    assert confidences == [pytest.approx(8 / 10)]


def test_tags_are_decoded_for_the_words_of_each_text_and_made_legal() -> None:
    sure = torch.eye(3) * 50
    logits = torch.stack([sure[[2, 2, 0]], sure[[0, 1, 2]], sure[[0, 0, 0]]])
    answers, confidences = PLACES.decode(logits, [3, 2, 0])
    assert answers == [["B-PLACE", "I-PLACE", "O"], ["O", "B-PLACE"], []]
    assert confidences == pytest.approx([1.0, 1.0, 1.0])


def test_tags_of_training_decide_where_the_network_is_not_sure() -> None:
    head = PLACES.fit([{"tags": ["B-PLACE", "I-PLACE", "I-PLACE"]}, None])
    unsure = torch.tensor([[[0.0, 3.0, 0.0], [0.2, 0.1, 0.0], [0.2, 0.0, 0.1]]])
    assert PLACES.decode(unsure, [3])[0] == [["B-PLACE", "O", "O"]]
    assert head.decode(unsure, [3])[0] == [["B-PLACE", "I-PLACE", "I-PLACE"]]
    ignored = head.model_copy(update={"transition_weight": 0.0})
    assert ignored.decode(unsure, [3]) == PLACES.decode(unsure, [3])


def test_the_confidence_in_tags_is_the_share_of_their_sequence_among_the_legal_ones() -> None:
    # 0.8, 0.1 and 0.1, then 0.5, 0.25 and 0.25 of O, B and I: with I neither first nor after O, 0.6 + 0.1 are legal.
    logits = torch.tensor([[[math.log(8), 0.0, 0.0], [math.log(2), 0.0, 0.0], [0.0, 0.0, 0.0]]])
    assert PLACES.decode(logits, [2]) == ([["O", "O"]], [pytest.approx(0.8 * 0.5 / (0.8 * 0.75 + 0.1))])


def test_a_number_is_decoded_into_the_labels_own_units() -> None:
    assert URGENCY.decode(torch.tensor([0.0, -2.0]), [0, 0]) == ([2.0, 1.0], [1.0, 1.0])


def test_decoding_undoes_targets() -> None:
    answers, _ = URGENCY.decode(URGENCY.targets([0.25, 7.5]), [0, 0])
    assert answers == pytest.approx([0.25, 7.5])


def sums_of_draws(
    head: AnyHead, answers: list[object], references: list[object]
) -> tuple[list[list[int]], list[float]]:
    """Rows drawn with replacement, the first draw being all rows as they are, and the score of each draw's sums."""
    rows = len(answers)
    drawn = np.random.default_rng(0).integers(rows, size=(4, rows))
    drawn[0] = np.arange(rows)
    table = head.statistics(answers, references)
    assert len(table) == rows
    found = head.score_of_sums(np.stack([table[draw].sum(axis=0) for draw in drawn]))
    return drawn.tolist(), found.tolist()


def test_sums_of_a_classifier_give_the_accuracy_of_any_draw_of_rows() -> None:
    answers = ["good", "bad", "none", "good", "bad", "bad", "good"]
    references = ["good", "good", "none", "bad", "bad", "bad", "none"]
    drawn, found = sums_of_draws(TONE, list(answers), list(references))
    assert found[0] == pytest.approx(4 / 7)
    for draw, score in zip(drawn, found, strict=True):
        assert score == pytest.approx(scores.accuracy([answers[r] for r in draw], [references[r] for r in draw]))


def test_sums_of_a_tagger_give_the_entity_f1_of_any_draw_of_rows() -> None:
    answers = [["B-PLACE", "O"], ["O", "B-PLACE", "I-PLACE"], ["B-PLACE"], ["O"], ["B-PLACE", "I-PLACE"]]
    wanted = [["B-PLACE", "O"], ["O", "B-PLACE", "O"], ["O"], ["B-PLACE"], ["B-PLACE", "I-PLACE"]]
    drawn, found = sums_of_draws(PLACES, list(answers), [{"tags": tags} for tags in wanted])
    # 2 right, 2 wrong, 2 missed.
    assert found[0] == pytest.approx(4 / 8)
    for draw, score in zip(drawn, found, strict=True):
        assert score == pytest.approx(scores.entity_f1([answers[r] for r in draw], [wanted[r] for r in draw]))


@pytest.mark.parametrize("offset", [0.0, 2026.0])
def test_sums_of_a_regression_give_the_pearson_correlation_of_any_draw_of_rows(offset: float) -> None:
    answers = [offset + value for value in (0.1, 0.9, 0.4, 0.8, 0.2, 0.5)]
    references = [offset + value for value in (0.0, 1.0, 0.5, 0.6, 0.3, 0.1)]
    drawn, found = sums_of_draws(URGENCY, list(answers), list(references))
    for draw, score in zip(drawn, found, strict=True):
        plain = scores.pearson([answers[r] for r in draw], [references[r] for r in draw])
        assert score == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(("factor", "offset"), [(1e-9, 0.0), (1e9, 0.0), (1.0, 1e7), (1.0, 1.7e9), (86_400.0, 1.7e9)])
def test_the_correlation_is_the_same_in_any_unit_and_from_any_zero(factor: float, offset: float) -> None:
    random = np.random.default_rng(0)
    labels = random.normal(size=500)
    answers = labels + random.normal(size=500)
    head = RegressionHead(column="urgency").fit((labels * factor + offset).tolist())
    sums = head.statistics(answers * factor + offset, labels * factor + offset).sum(axis=0)[None]
    assert head.score_of_sums(sums)[0] == pytest.approx(scores.pearson(answers, labels), abs=1e-6)


@pytest.mark.parametrize("constant", [0.1, 1.7e9])
def test_sums_of_a_constant_answer_score_zero_however_many_there_are(constant: float) -> None:
    references = np.random.default_rng(0).normal(size=100_000)
    table = URGENCY.statistics(np.full(100_000, constant), references)
    assert URGENCY.score_of_sums(table.sum(axis=0)[None]).tolist() == [0.0]


@pytest.mark.parametrize(
    ("deviation", "answer", "said"),
    [(0.5, 1.23456789, 1.2346), (4000.0, 1.23456789, 1.2346), (3e-5, 4.32123456e-5, 4.321e-5)],
)
def test_a_number_is_rounded_by_far_less_than_labels_differ_by(deviation: float, answer: float, said: float) -> None:
    head = RegressionHead(mean=0.0, deviation=deviation)
    assert head.prediction(answer, 1.0, "", []) == pytest.approx(said, rel=1e-12)
    assert head.said(answer, "") == pytest.approx(said, rel=1e-12)


def test_sums_of_a_constant_answer_score_zero() -> None:
    table = URGENCY.statistics([0.1] * 7, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0])
    assert URGENCY.score_of_sums(table.sum(axis=0)[None]).tolist() == [0.0]


def test_sums_where_nothing_is_found_and_nothing_is_there_score_zero() -> None:
    table = PLACES.statistics([["O"]], [{"tags": ["O"]}])
    assert PLACES.score_of_sums(table.sum(axis=0)[None]).tolist() == [0.0]


def test_every_metric_of_a_head_gets_its_answers_and_references() -> None:
    assert TONE.metric_inputs(["good", "bad"], ["good", "none"], [0.9, 0.4]) == {
        "accuracy": (["good", "bad"], ["good", "none"]),
        "macro_f1": (["good", "bad"], ["good", "none"]),
        "expected_calibration_error": ([0.9, 0.4], [1, 0]),
    }
    assert PLACES.metric_inputs([["O"], ["O", "O"]], [{"tags": ["O"]}, {"tags": ["O", "B-PLACE"]}], [1.0, 1.0]) == {
        "entity_f1": ([["O"], ["O", "O"]], [["O"], ["O", "B-PLACE"]]),
        "accuracy": (["O", "O", "O"], ["O", "O", "B-PLACE"]),
    }
    assert URGENCY.metric_inputs([0.5], [0.7], [1.0]) == {"correlation": ([0.5], [0.7])}


def test_binding_takes_labels_and_name_from_the_contracts_column() -> None:
    tone = SingleLabelHead().bind(column("tone", labels=["bad", "good"]))
    assert (tone.column, tone.labels) == ("tone", ("bad", "good"))
    places = TokenTagHead().bind(column("places", "object", tagKinds=["PLACE", "DATE"]))
    assert (places.column, places.labels) == ("places", ("O", "B-PLACE", "I-PLACE", "B-DATE", "I-DATE"))
    assert RegressionHead().bind(column("urgency", "number")).column == "urgency"


def test_binding_keeps_the_labels_that_a_pipeline_gives() -> None:
    assert SingleLabelHead(labels=("good", "bad")).bind(column("tone", labels=["bad", "good"])).labels == (
        "good",
        "bad",
    )


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_weights_are_finite(number: float) -> None:
    for kind, key in ((TokenTagHead, "transition_weight"), (TokenTagHead, "loss_weight"), (SpanHead, "loss_weight")):
        with pytest.raises(ValidationError, match=rf"{key}\n.*(finite number|greater than)"):
            kind.model_validate({key: number})


def test_binding_refuses_labels_where_answers_are_none() -> None:
    custom = [{"property": "answersIn", "value": "text"}]
    answers = Property.model_validate({"name": "answer", "logicalType": "object", "customProperties": custom})
    for head, of in (
        (RegressionHead(labels=("low", "high")), column("urgency", "number")),
        (SpanHead(labels=("low", "high")), answers),
    ):
        with pytest.raises(InputError, match=rf"head {head.kind} on column '{of.name}': its answers are no labels"):
            head.bind(of)


def test_binding_refuses_labels_that_are_not_those_of_the_contract() -> None:
    with pytest.raises(InputError, match=r"'tone'.*'angry'.*'good'"):
        SingleLabelHead(labels=("bad", "angry")).bind(column("tone", labels=["bad", "good"]))
    with pytest.raises(InputError, match=r"'places'.*'I-PLACE'"):
        TokenTagHead(labels=("O", "B-PLACE")).bind(column("places", "object", tagKinds=["PLACE"]))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (SingleLabelHead(), r"single_label on column 'text'.*no `labels`"),
        (TokenTagHead(), r"token_tags on column 'text'.*no `tagKinds`"),
        (RegressionHead(), r"regression on column 'text'.*string, not number"),
    ],
)
def test_a_head_on_a_column_of_another_type_is_refused(head: AnyHead, message: str) -> None:
    with pytest.raises(InputError, match=message):
        head.bind(column("text"))


@pytest.mark.parametrize(
    ("head", "values", "message"),
    [
        (TONE, ["good", None, "good"], r"'tone' holds only \['good'\]"),
        (PLACES, [{"tags": ["O", "O"]}, None], r"'places' holds no entity"),
        (URGENCY, [0.1, 0.1, 0.1, None], r"'urgency' is constant or empty"),
        (URGENCY, [None, 0.3], r"'urgency' is constant or empty"),
    ],
)
def test_labels_that_nothing_can_be_learnt_from_are_refused(head: AnyHead, values: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        head.fit(values)


def test_a_regression_takes_mean_and_deviation_from_the_labels_there_are() -> None:
    fitted = URGENCY.fit([1.0, None, 3.0])
    assert (fitted.mean, fitted.deviation) == (2.0, 1.0)


def test_a_classifier_without_weights_is_fitted_as_it_is() -> None:
    assert TONE.fit(["good", "bad"]) == TONE


BALANCED = TONE.model_copy(update={"class_weights": "balanced"})


def test_balanced_weights_are_rows_by_labels_that_occur_times_rows_of_the_label() -> None:
    # 4 rows, 2 labels: 4 / (2 * 3) and 4 / (2 * 1); none does not occur, and a row without a label is not counted.
    fitted = BALANCED.fit(["bad", "bad", None, "good", "bad"])
    assert fitted.label_weights == pytest.approx((2 / 3, 2.0, 1.0))
    assert fitted.model_copy(update={"label_weights": ()}) == BALANCED
    assert fitted.fit(["good", "good", "bad", None]).label_weights == pytest.approx((1.5, 0.75, 1.0))


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    values = ["none"] * 7 + ["bad"] * 2 + ["good"] * 3
    expected = compute_class_weight("balanced", classes=np.array(TONE.labels), y=np.array(values))
    assert BALANCED.fit(values).label_weights == pytest.approx(expected.tolist())


def test_each_labels_loss_counts_by_its_weight() -> None:
    fitted = BALANCED.fit(["bad", "bad", "bad", "good"])
    logits = torch.tensor([[0.0, math.log(2), 0.0], [0.0, 0.0, 0.0], [9.0, 9.0, 0.0]])
    # Of a chance of 1/2 for good, by 2, and one of 1/3 for bad, by 2/3; the last row has no label.
    found = fitted.loss(logits, fitted.targets(["good", "bad", None]))
    assert float(found) == pytest.approx(2 * math.log(2) + 2 / 3 * math.log(3))


def test_balanced_weights_leave_the_loss_of_all_training_rows_as_large_as_it_was() -> None:
    values = ["bad"] * 5 + ["good"] * 2 + ["none"]
    fitted = BALANCED.fit(values)
    even = torch.zeros(len(values), 3)
    assert float(fitted.loss(even, fitted.targets(values))) == pytest.approx(
        float(TONE.loss(even, TONE.targets(values)))
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_without_weights_the_loss_is_that_of_plain_cross_entropy_to_the_bit(smoothing: float) -> None:
    head = TONE.model_copy(update={"label_smoothing": smoothing}).fit(["good", "bad"])
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    targets = head.targets(["good", "bad", None, "none", "bad"])
    plain = torch.nn.functional.cross_entropy(
        logits, targets, ignore_index=MISSING, reduction="sum", label_smoothing=smoothing
    )
    assert torch.equal(head.loss(logits, targets), plain)


def test_an_unknown_kind_of_class_weights_is_refused() -> None:
    with pytest.raises(ValidationError, match="class_weights"):
        SingleLabelHead.model_validate({"class_weights": "sqrt"})


def test_a_tagger_is_fitted_with_what_its_tags_say_of_the_next() -> None:
    tags = ["B-PLACE", "I-PLACE"]
    fitted = PLACES.fit([{"tags": tags}, None])
    assert fitted.model_copy(update={"transitions": ()}) == PLACES
    assert fitted.transitions == pytest.approx(tag_associations(PLACES.labels, [tags]), abs=1e-4)


def test_entities_are_no_rarer_for_being_rare_in_training() -> None:
    head = PLACES.fit([{"tags": ["O"] * 30 + ["B-PLACE"] + ["O"] * 30}] * 20)
    unsure = torch.tensor([[[5.0, 0.0, 0.0], [0.0, 0.1, 0.0], [5.0, 0.0, 0.0]]])
    assert head.decode(unsure, [3])[0] == [["O", "B-PLACE", "O"]]


def test_the_columns_of_tags_are_those_of_the_tagging_heads_each_once() -> None:
    heads = {
        "a": SingleLabelHead(column="topic"),
        "b": TokenTagHead(column="places"),
        "c": TokenTagHead(column="names"),
        "d": TokenTagHead(column="places"),
    }
    assert tag_columns(heads) == ("places", "names")


@pytest.mark.parametrize(
    ("head", "logits", "value"),
    [
        (TONE, torch.zeros(1, 3), "good"),
        (PLACES, torch.zeros(1, 1, 3), {"tags": ["O"]}),
        (MultiLabelHead(column="topics", labels=("a", "b", "c", "d")), torch.zeros(1, 4), ["c"]),
        (URGENCY, torch.tensor([0.0]), 2.5),
    ],
    ids=["single_label", "token_tags", "multi_label", "regression"],
)
def test_the_loss_of_guessing_is_that_of_a_target_of_a_head_that_knows_nothing(
    head: AnyHead, logits: torch.Tensor, value: object
) -> None:
    targets = head.targets([value])
    assert head.loss_of_guessing == pytest.approx(float(head.loss(logits, targets)) / int(head.present(targets).sum()))


def test_the_loss_of_guessing_of_labels_in_order_is_the_mean_over_labels_that_are_as_likely() -> None:
    head = OrdinalHead(column="haste", labels=("a", "b", "c", "d"))
    logits = head.logits(head.layers(2).eval(), torch.zeros(4, 1, 2), torch.ones(4, 1), None)
    assert head.loss_of_guessing == pytest.approx(float(head.loss(logits, head.targets(list("abcd")))) / 4)


def test_heads_name_all_settings_that_training_sets() -> None:
    kinds = Head.__subclasses__()
    assert len(kinds) >= 6
    for kind in kinds:
        said = {name for name, field in kind.model_fields.items() if (field.description or "").startswith("set from")}
        assert kind.set_by_training == said, kind.__name__
