"""The head whose answer is a part of the text."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from data_contracts.dataset import Property
from data_contracts.errors import InputError
from tasks.modeling.head import MISSING
from tasks.modeling.heads import SpanHead, WordTensors
from tasks.modeling.pieces import TextPieces

TEXT = "in Oslo now"
# [CLS] ? [SEP] in oslo now [SEP]
PLACES = np.array([[-1, -1], [-1, -1], [-1, -1], [0, 2], [3, 7], [8, 11], [-1, -1]])
NONE = {"text": "", "start": -1, "end": -1}


def column(**rules: Any) -> Property:
    given = [{"property": key, "value": value} for key, value in rules.items()]
    return Property.model_validate({"name": "answer", "logicalType": "object", "customProperties": given})


def scored(**scores: tuple[float, float]) -> torch.Tensor:
    """(1, 7, 2) logits of the first and the last token, 0 where none are given."""
    names = {"none": 0, "in_": 3, "oslo": 4, "now": 5}
    found = torch.zeros(1, 7, 2)
    for name, (first, last) in scores.items():
        found[0, names[name]] = torch.tensor([first, last])
    return found


def test_a_head_is_for_a_column_of_answers_that_holds_some() -> None:
    assert SpanHead().bind(column(answersIn="context")).column == "answer"
    with pytest.raises(InputError, match=r"does not say which text its answers stand in\. Add `answersIn`"):
        SpanHead().bind(column(tagKinds=["X"]))
    some, none = {"text": ["Oslo"], "start": [3]}, {"text": [], "start": []}
    assert SpanHead().fit([some, None]).may_have_none is False
    assert SpanHead().fit([some, none, None]).may_have_none is True
    with pytest.raises(InputError, match="'answer' holds no answer in training"):
        SpanHead(column="answer").fit([none, None])


def test_tokens_that_are_no_part_of_the_text_are_never_the_answers_but_for_the_first() -> None:
    starts = torch.tensor([[-1, -1, 2, 3, -1], [-1, 1, -1, -1, -1]])
    head = SpanHead(dropout=0.0)
    layers = head.layers(4)
    states = torch.randn(2, 5, 4)
    found = head.logits(layers, states, torch.ones(2, 5), WordTensors(starts, torch.zeros_like(starts)))
    plain = layers(states)
    allowed = torch.tensor([[True, False, True, True, False], [True, True, False, False, False]])
    assert torch.equal(found[allowed], plain[allowed])
    assert (found[~allowed] == -1e4).all()


def test_the_loss_is_the_mean_of_both_cross_entropies_and_padding_changes_nothing() -> None:
    head = SpanHead()
    logits = torch.tensor([[[0.0, 1.0], [2.0, 0.0], [1.0, 3.0]]])
    first = math.log(1 + math.e**2 + math.e) - 2
    last = math.log(math.e + 1 + math.e**3) - 3
    targets = head.targets([(1, 2)])
    assert float(head.loss(logits, targets)) == pytest.approx((first + last) / 2, abs=1e-6)
    longer = torch.cat([logits, torch.full((1, 4, 2), -1e4)], dim=1)
    assert float(head.loss(longer, targets)) == pytest.approx((first + last) / 2, abs=1e-6)
    both = head.targets([(1, 2), None])
    assert both.tolist() == [[1, 2], [MISSING, MISSING]]
    assert head.present(both).tolist() == [True, False]
    assert float(head.loss(torch.cat([logits, logits]), both)) == pytest.approx((first + last) / 2, abs=1e-6)


def test_the_answer_is_the_best_part_and_its_confidence_its_share_among_all_there_could_be() -> None:
    head = SpanHead(may_have_none=False)
    answers, shares = head.decode(scored(oslo=(2.0, 1.0)), [TextPieces(TEXT, [PLACES])])
    assert answers == [{"text": "Oslo", "start": 3, "end": 7}]
    # in 0, oslo 3, now 0, in-oslo 1, oslo-now 2, in-now 0
    total = 3 + math.e**3 + math.e + math.e**2
    assert shares == [pytest.approx(math.e**3 / total)]
    # With no answer among them, whose score is 1.
    answers, shares = SpanHead().decode(scored(oslo=(2.0, 1.0), none=(0.5, 0.5)), [TextPieces(TEXT, [PLACES])])
    assert answers == [{"text": "Oslo", "start": 3, "end": 7}]
    assert shares == [pytest.approx(math.e**3 / (total + math.e))]


def test_an_answer_does_not_end_before_it_begins_nor_is_it_too_long() -> None:
    scores = scored(now=(5.0, 0.0), in_=(4.0, 5.0))
    pieces = [TextPieces(TEXT, [PLACES])]
    assert SpanHead().decode(scores, pieces)[0][0] == {"text": "in", "start": 0, "end": 2}
    scores = scored(in_=(5.0, 0.0), now=(0.0, 5.0))
    assert SpanHead().decode(scores, pieces)[0][0] == {"text": TEXT, "start": 0, "end": 11}
    short = SpanHead(max_answer_tokens=2).decode(scores, pieces)[0][0]
    assert short in ({"text": "in", "start": 0, "end": 2}, {"text": "in Oslo", "start": 0, "end": 7})


def test_there_is_no_answer_where_the_first_token_has_more_by_the_margin() -> None:
    scores, pieces = scored(oslo=(1.0, 1.0), none=(1.5, 1.5)), [TextPieces(TEXT, [PLACES])]
    answers, shares = SpanHead().decode(scores, pieces)
    assert answers == [NONE]
    assert shares == [pytest.approx(math.e**3 / (math.e**3 + math.e**2 + 3 + 2 * math.e))]
    assert SpanHead(no_answer_margin=1.5).decode(scores, pieces)[0][0] == {"text": "Oslo", "start": 3, "end": 7}
    assert SpanHead(may_have_none=False).decode(scores, pieces)[0][0] == {"text": "Oslo", "start": 3, "end": 7}


def test_one_window_with_an_answer_is_enough_and_no_part_reaches_across_windows() -> None:
    # The first window holds `in oslo`, the second `oslo now`; padding follows.
    windows = [PLACES[[0, 3, 4, 6]], PLACES[[0, 4, 5, 6]]]
    logits = torch.zeros(1, 10, 2)
    logits[0, 0] = 4.0
    logits[0, 4] = -1.0
    logits[0, 1] = torch.tensor([3.0, 0.0])
    logits[0, 6] = torch.tensor([2.0, 2.5])
    answers, shares = SpanHead().decode(logits, [TextPieces(TEXT, windows)])
    assert answers == [{"text": "now", "start": 8, "end": 11}]
    # in 3, in-oslo 3, oslo 0 (in both windows, and counted once), oslo-now 2.5, now 4.5, none -2
    shared = math.e**4.5 / (2 * math.e**3 + 1 + math.e**2.5 + math.e**4.5 + math.e**-2)
    assert shares == [pytest.approx(shared)]


def test_a_row_without_a_text_to_answer_from_has_no_answer_for_certain() -> None:
    bare = TextPieces("", [PLACES[:3]])
    assert SpanHead(may_have_none=False).decode(torch.zeros(1, 7, 2), [bare]) == ([NONE], [1.0])


def test_the_space_that_a_piece_begins_with_is_no_part_of_the_answer() -> None:
    places = np.array([[-1, -1], [0, 2], [2, 7], [-1, -1]])
    logits = torch.zeros(1, 4, 2)
    logits[0, 2] = 5.0
    assert SpanHead().decode(logits, [TextPieces(TEXT, [places])])[0] == [{"text": "Oslo", "start": 3, "end": 7}]


def test_predictions_hold_characters_and_null_for_no_answer() -> None:
    said = {"text": "Oslo", "start": 3, "end": 7}
    assert SpanHead().prediction(said, 0.91234, TEXT, []) == {**said, "confidence": 0.9123}
    assert SpanHead().prediction(NONE, 0.5, TEXT, []) == {"text": None, "start": None, "end": None, "confidence": 0.5}


def test_answers_are_right_and_shown_by_their_words() -> None:
    head = SpanHead()
    oslo, reference = {"text": "the Oslo", "start": 0, "end": 8}, {"text": ["Oslo", "Hue", "Oslo"], "start": [0, 5, 9]}
    assert head.is_right(oslo, reference)
    assert not head.is_right(NONE, reference)
    assert head.is_right(NONE, {"text": [], "start": []})
    assert [head.in_words(of) for of in (oslo, NONE, reference, {"text": [], "start": []})] == [
        '"the Oslo"', "no answer", '"Oslo" or "Hue"', "no answer",
    ]  # fmt: skip
    inputs = head.metric_inputs([oslo, NONE], [reference, reference], [0.9, 0.4])
    assert inputs == {
        "answer_match": (["the Oslo", ""], [["Oslo", "Hue", "Oslo"]] * 2),
        "expected_calibration_error": ([0.9, 0.4], [1, 0]),
    }


def test_statistics_add_up_to_the_mean_f1() -> None:
    given = [{"text": "in Oslo now"}, {"text": "Hue"}, {"text": ""}]
    wanted = [{"text": ["Oslo"]}, {"text": ["Hue"]}, {"text": ["Hue"]}]
    sums = SpanHead().statistics(given, wanted)
    assert sums.tolist() == [[1, 0.5], [1, 1], [1, 0]]
    assert SpanHead().score_of_sums(sums.sum(axis=0)[None]) == pytest.approx([0.5])
    assert SpanHead().score_of_sums(np.zeros((1, 2))) == pytest.approx([0.0])


def test_the_majority_has_no_answer_or_the_whole_text() -> None:
    some, none = {"text": ["Oslo"], "start": [3]}, {"text": [], "start": []}
    texts = [["where ?", TEXT], [TEXT]]
    assert SpanHead().majority([some, none, none], texts) == ([NONE, NONE], [pytest.approx(2 / 3)] * 2)
    whole = {"text": TEXT, "start": 0, "end": 11}
    assert SpanHead().majority([some, some, none], texts) == ([whole, whole], [pytest.approx(2 / 3)] * 2)


def test_the_linear_baseline_answers_with_the_sentence_most_like_the_question_or_the_answers() -> None:
    context = "The lamp is red. It was sent to Oslo! Nobody knows why?\nThe end"
    values = [{"text": ["Oslo"], "start": [32]}, {"text": ["in Oslo"], "start": [0]}]
    answer = SpanHead().fit_tfidf([f"where was it sent\n{context}", "why\nin Oslo"], values)
    rows = [["where was it sent ?", context], ["why does nobody know ?", context], [context], ["what ?", " "]]
    answers, fits = answer([], rows)
    assert [of["text"] for of in answers] == ["It was sent to Oslo!", "Nobody knows why?", "It was sent to Oslo!", " "]
    for found, row in zip(answers, rows, strict=True):
        assert row[-1][found["start"] : found["end"]] == found["text"]
    assert all(0 <= fit <= 1 for fit in fits)


def test_layers_are_those_of_every_head() -> None:
    deep = SpanHead(hidden=(8,), dropout=(0.2,)).layers(4)
    assert [type(layer) for layer in deep] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]  # type: ignore[attr-defined]
    assert deep(torch.zeros(2, 3, 4)).shape == (2, 3, 2)
