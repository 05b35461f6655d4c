"""A saved model asked about texts, and what heads say of two answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.errors import InputError
from tasks.modeling.answering import answer_rows
from tasks.modeling.asking import answer_texts
from tasks.modeling.heads import (
    AnyHead,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    SpanHead,
    TokenTagHead,
)
from tasks.modeling.limits import TokenLimit
from tests.unit.modeling.test_modeling_answering import read, row, write

TEXTS = ["Where is my parcel to Đà Nẵng?", "money back 🙂now", "thanks"]
PLACES = TokenTagHead(column="places", labels=("O", "B-PLACE", "I-PLACE", "B-CITY", "I-CITY"))


def test_texts_get_the_answers_that_a_file_of_them_gets(
    saved_network: Path, heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    source = write(tmp_path / "in.jsonl", *(row(text=text) for text in TEXTS))
    answer_rows(saved_network, source, str(tmp_path / "out.jsonl"), "text")
    wanted = [of["predictions"] for of in read(tmp_path / "out.jsonl")]
    found = answer_texts(saved_network, TEXTS)
    assert found.answers["intent"] == [of["intent"]["label"] for of in wanted]
    assert found.answers["urgency"] == pytest.approx([of["urgency"] for of in wanted], abs=1e-4)
    assert [heads["places"].said(tags, text) for tags, text in zip(found.answers["places"], TEXTS, strict=True)] == [
        [f"{entity['kind']} {entity['text']}" for entity in of["places"]] for of in wanted
    ]
    assert found.label_scores["intent"].shape == (3, 3)


def test_nothing_asked_is_nothing_answered(saved_network: Path) -> None:
    assert answer_texts(saved_network, []).answers == {"intent": [], "places": [], "urgency": []}


def test_a_second_text_is_read_and_where_it_has_no_room_the_first_is_named(
    tiny_encoder: Path, heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    from tasks.modeling.network import new_network, save_network

    limit = TokenLimit(max_tokens=16, beyond="windows", window_overlap=4)
    save_network(new_network(tiny_encoder, heads), tiny_encoder, limit, tmp_path)
    alone, pair = (answer_texts(tmp_path, ["Why"], [second]).answers["urgency"] for second in (None, "because"))
    assert alone != pair
    assert alone == pytest.approx(answer_texts(tmp_path, ["Why"]).answers["urgency"], abs=1e-6)
    with pytest.raises(InputError, match="'word word word"):
        answer_texts(tmp_path, ["short", "word " * 14], [None, "b " * 20])


@pytest.mark.parametrize(
    ("head", "same", "other"),
    [
        (SingleLabelHead(labels=("a", "b")), ("a", "a"), ("a", "b")),
        (OrdinalHead(labels=("a", "b")), ("b", "b"), ("a", "b")),
        (MultiLabelHead(labels=("a", "b")), (["a", "b"], ["b", "a"]), (["a"], ["a", "b"])),
        (RegressionHead(deviation=0.2), (0.5, 0.6), (0.5, 0.61)),
        (PLACES, (["B-PLACE", "I-PLACE", "O", "B-CITY"], ["B-CITY", "B-PLACE"]), (["B-PLACE"], ["B-PLACE", "B-PLACE"])),
        (SpanHead(), ({"text": "the Shop,"}, {"text": "SHOP"}), ({"text": "shop"}, {"text": ""})),
    ],
    ids=lambda of: getattr(of, "kind", None),
)
def test_heads_of_each_kind_say_whether_it_is_one_answer(head: AnyHead, same: Any, other: Any) -> None:
    assert head.agrees(*same)
    assert not head.agrees(*other)


def test_numbers_agree_within_the_tolerance_that_is_asked_for() -> None:
    head = RegressionHead(deviation=10.0)
    assert head.agrees(1.0, 5.9)
    assert not head.agrees(1.0, 5.9, tolerance=4.5)
    assert not head.agrees(float("nan"), float("nan"), tolerance=100)


def test_an_answer_is_said_in_the_words_of_its_text() -> None:
    tags = ["O", "B-PLACE", "I-PLACE", "O", "B-CITY"]
    assert PLACES.said(tags, "from Da Nang, Oslo") == ["PLACE Da Nang", "CITY Oslo"]
    assert SpanHead().said({"text": "Oslo", "start": 3, "end": 7}, "to Oslo") == "Oslo"
    assert RegressionHead().said(0.5, "any") == 0.5


def test_the_level_of_a_label_is_its_calibrated_probability() -> None:
    scores = np.array([[0.0, 2 * np.log(3)], [0.0, 0.0]], dtype=np.float32)
    for head in (SingleLabelHead(labels=("a", "b"), temperature=2.0), OrdinalHead(labels=("a", "b"), temperature=2.0)):
        assert head.levels(["b", "b"], scores, "b").tolist() == pytest.approx([0.75, 0.5])
    assert RegressionHead().levels([0.1, 3], None, None).tolist() == [0.1, 3.0]


def test_heads_without_label_or_number_have_no_level() -> None:
    for head in (PLACES, MultiLabelHead(labels=("a", "b")), SpanHead()):
        with pytest.raises(TypeError, match=type(head).__name__):
            head.levels([], None, "a")
