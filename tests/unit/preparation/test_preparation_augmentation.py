"""What each kind of variant changes, and what it must not."""

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tasks.modeling.keyboard import neighbours_of
from tasks.preparation.augmentation import BackTranslation, Casing, Punctuation, TypingNoise, Variation, WordDropout
from tasks.preparation.passages import Passage, passage_of
from tasks.preparation.translation import Translator

SUPPORT = Path(__file__).resolve().parents[3] / "data_contracts" / "samples" / "support"
RULES = (Punctuation(), Casing(), TypingNoise(rate=0.2), WordDropout(rate=0.4))
TAGGED = {"tokens": ["Hi", ",", "is", "Da", "Nang", "in", "?"], "tags": ["O", "O", "O", "B-PLACE", "I-PLACE", "O", "O"]}


def variants(variation: Any, text: str, tagged: dict[str, Any] | None = None, draws: int = 200) -> list[Passage]:
    """Variants of one text by many draws."""
    passage = passage_of(text, {"places": tagged})
    found: list[Passage] = variation.vary([passage] * draws, [Random(draw) for draw in range(draws)])
    return found


def texts(variation: Any, text: str, tagged: dict[str, Any] | None = None) -> set[str]:
    """The different texts of many draws."""
    return {variant.text for variant in variants(variation, text, tagged)}


@pytest.fixture(scope="module")
def support() -> list[Passage]:
    """Every labelled English, Vietnamese and noisy sample."""
    rows = [
        json.loads(line) for name in ("train", "vietnamese", "noisy") for line in (SUPPORT / f"{name}.jsonl").open()
    ]
    assert len(rows) > 1000
    return [passage_of(row["text"], {"entities": row["entities"]}) for row in rows]


def entities(passage: Passage) -> list[list[str]]:
    """Tags of each entity's tokens."""
    found: list[list[str]] = []
    for _, _, tag in passage.tagged["entities"]:
        if tag.startswith("B-"):
            found.append([tag])
        elif tag != "O":
            found[-1].append(tag)
    return found


@pytest.mark.parametrize("variation", RULES, ids=lambda variation: variation.kind)
def test_tokens_stay_aligned_and_no_entity_is_lost(variation: Any, support: list[Passage]) -> None:
    found = variation.vary(support, [Random(row) for row in range(len(support))])
    assert sum(variant.text != original.text for variant, original in zip(found, support, strict=True)) > 1500
    for variant, original in zip(found, support, strict=True):
        assert variant.is_findable
        assert entities(variant) == entities(original)
        position = 0
        for start, end, _ in variant.tagged["entities"]:
            assert position <= start < end <= len(variant.text)
            position = end


@pytest.mark.parametrize("variation", RULES, ids=lambda variation: variation.kind)
def test_the_same_draw_gives_the_same_variant(variation: Any, support: list[Passage]) -> None:
    some = support[:50]
    once, again = (variation.vary(some, [Random(row) for row in range(50)]) for _ in range(2))
    assert once == again
    assert variation.vary(some, [Random(row + 50) for row in range(50)]) != once


@pytest.mark.parametrize("variation", RULES, ids=lambda variation: variation.kind)
@pytest.mark.parametrize("text", ["?", "12", "a", "\u00a0", "\u1ea1"])
def test_a_text_with_next_to_nothing_in_it_does_no_harm(variation: Any, text: str) -> None:
    assert len(variants(variation, text, draws=20)) == 20


def test_marks_are_left_out_added_or_repeated() -> None:
    assert texts(Punctuation(), "Hi, costs 3.50?") == {
        "Hi costs 3.50",
        "Hi, costs 3.50",
        "Hi, costs 3.50??",
        "Hi, costs 3.50???",
    }
    assert texts(Punctuation(), "see example.com, ok ") == {
        "see example.com ok ",
        "see example.com, ok. ",
        "see example.com, ok! ",
        "see example.com, ok... ",
    }
    assert texts(Punctuation(), "我要退款，谢谢。") == {
        "我要退款谢谢",
        "我要退款，谢谢",
        "我要退款，谢谢。。",
        "我要退款，谢谢。。。",
    }


def test_marks_of_an_entity_stay() -> None:
    tagged = {"tokens": ["to", "St", ".", "Ives", "Inc", "."], "tags": ["O", *["B-PLACE", *["I-PLACE"] * 4]]}
    assert texts(Punctuation(), "to St. Ives Inc.", tagged) == {
        "to St. Ives Inc..",
        "to St. Ives Inc.!",
        "to St. Ives Inc....",
    }
    assert all(len(v.tagged["places"]) == 6 for v in variants(Punctuation(), "to St. Ives Inc.", tagged))


def test_letters_become_small_or_capital() -> None:
    assert texts(Casing(), '"my New e-mail isn\'t 2nd"') == {
        '"my new e-mail isn\'t 2nd"',
        '"MY NEW E-MAIL ISN\'T 2ND"',
        '"My New E-mail Isn\'t 2nd"',
        '"My new e-mail isn\'t 2nd"',
    }
    assert texts(Casing(), "ΟΔΟΣ") == {"οδος", "Οδος"}
    assert "STRASSE" in texts(Casing(), "Straße")


def test_casing_keeps_tokens_at_their_places_where_a_capital_is_two_letters() -> None:
    tagged = {"tokens": ["Große", "Straße", "5"], "tags": ["B-PLACE", "I-PLACE", "O"]}
    values = [variant.value_of("places") for variant in variants(Casing(), "Große Straße 5", tagged)]
    assert {"tokens": ["GROSSE", "STRASSE", "5"], "tags": tagged["tags"]} in values


def test_keys_that_touch_are_neighbours() -> None:
    assert set(neighbours_of("g")) == set("tyfhvb")
    assert set(neighbours_of("a")) == set("qwsz")
    assert set(neighbours_of("P")) == set("OL")
    assert neighbours_of("đ") == neighbours_of("7") == ""


def test_a_slip_is_a_neighbouring_key_a_swap_an_omission_or_a_doubling() -> None:
    # So rare that each text has just the one slip that it has at least.
    found = texts(TypingNoise(rate=1e-9), "Get 12 go")
    assert found == {
        *("Gt 12 go", "Geet 12 go", "Gte 12 go", *(f"G{key}t 12 go" for key in neighbours_of("e"))),
        *("Ge 12 go", "Gett 12 go", *(f"Ge{key} 12 go" for key in neighbours_of("t"))),
    }


def test_slips_spare_first_letters_numbers_and_short_words() -> None:
    text = "Order LF-70666 of 2026 is my 3rd parcel"
    for variant in texts(TypingNoise(rate=0.5), text):
        assert re.fullmatch(r"O\w+ LF-70666 of 2026 is my 3rd p\w+", variant)


def test_more_slips_are_made_at_a_higher_rate() -> None:
    text = "please deliver parcel tomorrow morning between seven and nine"
    few, many = (
        sum(sum(a != b for a, b in zip(v.split(), text.split(), strict=True)) for v in texts(TypingNoise(rate=r), text))
        / len(texts(TypingNoise(rate=r), text))
        for r in (0.01, 0.2)
    )
    assert 1 <= few < 2
    assert many > 3


def test_words_are_left_out_with_the_space_before_them() -> None:
    assert texts(WordDropout(rate=1e-9), "where is it?") == {"is it?", "where it?", "where is?"}


def test_at_least_one_word_stays() -> None:
    assert texts(WordDropout(rate=0.5), "go now") == {"go", "now"}
    assert texts(WordDropout(rate=0.5), "go!") == {"go!"}


def test_words_of_entities_are_never_left_out() -> None:
    found = variants(WordDropout(rate=0.5), "Hi, is Da Nang in?", TAGGED)
    assert {variant.text for variant in found} >= {", Da Nang?", "Hi, is Da Nang?"}
    for variant in found:
        value = variant.value_of("places")
        assert value is not None
        assert value["tokens"] == [token for token in TAGGED["tokens"] if token in value["tokens"]]
        assert dict(zip(value["tokens"], value["tags"], strict=True)).items() >= {
            ("Da", "B-PLACE"),
            ("Nang", "I-PLACE"),
        }


def test_a_text_of_entities_alone_has_no_variant_without_words() -> None:
    tagged = {"tokens": ["Da", "Nang"], "tags": ["B-PLACE", "I-PLACE"]}
    assert texts(WordDropout(), "Da Nang", tagged) == {"Da Nang"}


def test_texts_come_back_from_another_language_said_otherwise(translators: tuple[Path, Path]) -> None:
    there, back = (Translator(name=str(folder)) for folder in translators)
    variation = BackTranslation(forward=there, backward=back)
    originals = [Passage(text, {}) for text in ("thanks a lot", "thanks a lot " * 9, "where is my refund")]
    found = variation.vary(originals, [Random(0)] * 3)
    assert [variant.text for variant in found] == ["many thanks", originals[1].text, "where is my money"]


def test_only_back_translation_needs_models_and_loses_tags() -> None:
    there, back = Translator(name="there"), Translator(name="back")
    variation: Variation = BackTranslation(forward=there, backward=back)
    assert (variation.translators, variation.keeps_tags) == ((there, back), False)
    assert {(rule.translators, rule.keeps_tags) for rule in RULES} == {((), True)}
