"""Edits of texts: what they change, and what they leave alone."""

from random import Random
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.evaluation.edits import AnyEdit, Entity, Original, Text
from tasks.evaluation.word_exchange import exchanged, found_in


def edited(settings: dict[str, Any], text: str, *entities: Entity, seed: int = 0) -> str:
    """What an edit, as its YAML would give it, makes of a text."""
    edit: AnyEdit = TypeAdapter(AnyEdit).validate_python(settings)
    return edit.apply(Original(Text(text), entities), Random(seed))


def test_a_typing_error_keeps_first_letters_numbers_and_short_words() -> None:
    texts = {edited({"kind": "typing_errors"}, "Go get 1234", seed=seed) for seed in range(200)}
    assert "Go get 1234" not in texts
    assert {text[:4] + text[-5:] for text in texts} == {"Go g 1234"}
    assert {"Go gte 1234", "Go gt 1234", "Go gett 1234"} <= texts


def test_more_typing_errors_are_made_at_a_higher_rate() -> None:
    text = "every single letter of these words may slip " * 20
    few, many = (edited({"kind": "typing_errors", "rate": rate}, text) for rate in (0.02, 0.4))
    differing = [sum(a != b for a, b in zip(text.split(), of.split(), strict=True)) for of in (few, many)]
    assert 1 <= differing[0] < differing[1] / 3


@pytest.mark.parametrize(
    ("to", "wanted"),
    [
        ("lower", "my juno s7, at đà nẵng's 3pm (now)"),
        ("upper", "MY JUNO S7, AT ĐÀ NẴNG'S 3PM (NOW)"),
        ("title", "My Juno S7, At Đà Nẵng's 3pm (Now)"),
    ],
)
def test_casing_changes_letters_alone(to: str, wanted: str) -> None:
    assert edited({"kind": "casing", "to": to}, "my Juno S7, at Đà Nẵng's 3pm (now)") == wanted


def test_marks_go_from_the_ends_of_words_and_stay_inside_of_numbers_and_names() -> None:
    text = 'It cost 3.50, at 10:30! See example.com (really?). "Yes."'
    wanted = 'It cost 3.50 at 10:30 See example.com (really) "Yes"'
    assert edited({"kind": "punctuation", "marks": "dropped"}, text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("真的吗？是。", "真的吗是"),
        ("هل وصل؟ نعم، شكرا", "هل وصل نعم شكرا"),
        ("क्या यह आया? हाँ।", "क्या यह आया हाँ"),
        ("جی؛ ہاں۔", "جی ہاں"),
    ],
)
def test_marks_of_other_scripts_go_too_and_end_a_text(text: str, wanted: str) -> None:
    assert edited({"kind": "punctuation", "marks": "dropped"}, text) == wanted
    ended = {"kind": "punctuation", "marks": "added"}
    assert (edited(ended, text) == text) == (text[-1] in "。؟۔।")


@pytest.mark.parametrize(("text", "wanted"), [("no end ", "no end."), ("Ends?", "Ends?"), ('"Ends!" ', '"Ends!" ')])
def test_a_full_stop_is_added_where_a_text_has_no_end(text: str, wanted: str) -> None:
    assert edited({"kind": "punctuation", "marks": "added"}, text) == wanted


def test_numbers_become_others_of_as_many_digits_and_names_keep_theirs() -> None:
    found = {edited({"kind": "numbers"}, "S7 of order 40213 for £89.99", seed=seed) for seed in range(300)}
    parts = [text.replace("£", "").replace(".", " ").split() for text in found]
    assert all((part[0], len(part[3]), len(part[5]), len(part[6])) == ("S7", 5, 2, 2) for part in parts)
    assert all(part[3][0] not in "04" and part[5][0] not in "08" for part in parts)
    assert edited({"kind": "numbers"}, "no number, S7") == "no number, S7"


def test_a_word_of_a_list_becomes_another_one_of_it_the_same_everywhere_and_in_its_case() -> None:
    settings = {"kind": "words", "words": ["Ana", "Minh"]}
    assert edited(settings, "Ana, ANA and ana, but not Anastasia") == "Minh, MINH and minh, but not Anastasia"
    assert edited(settings, "nobody") == "nobody"


def test_an_entity_of_the_kind_becomes_one_of_the_list_and_others_stay() -> None:
    text = "Ana to Oslo, from Bo"
    entities = (Entity("PERSON", 0, 3), Entity("PLACE", 7, 11), Entity("PERSON", 18, 20))
    settings = {"kind": "entities", "entity": "PERSON", "others": ["Bo", "Mr Okafor"]}
    found = {edited(settings, text, *entities, seed=seed) for seed in range(20)}
    # Bo becomes somebody else for sure, Ana one of the two.
    assert found == {"Bo to Oslo, from Mr Okafor", "Mr Okafor to Oslo, from Mr Okafor"}
    assert edited(settings, text) == text


def test_a_replacement_is_made_once_and_the_longest_key_counts() -> None:
    settings = {"kind": "replaced", "words": {"is": "is not", "is not": "is"}}
    assert edited(settings, "This is good and is cheap") == "This is not good and is cheap"
    assert edited(settings, "It is not good and is cheap") == "It is good and is cheap"


def test_a_template_says_something_before_or_after_the_text() -> None:
    assert edited({"kind": "template", "template": "Well: {text} Now!"}, "{odd} text") == "Well: {odd} text Now!"


@pytest.mark.parametrize("template", ["This is outrageous.", "{text} {thing}"])
def test_a_template_has_a_place_for_the_text_and_no_other(template: str) -> None:
    with pytest.raises(ValidationError, match=r"\{(text|thing)\}"):
        edited({"kind": "template", "template": template}, "a")


def test_words_are_exchanged_both_ways_at_once() -> None:
    others = {"he": "she", "she": "he"}
    assert exchanged("He told her that she or HE hears the heater", others) == (
        "She told her that he or SHE hears the heater"
    )
    assert exchanged("as it is", {}) == "as it is"


def test_terms_are_found_as_whole_words_in_the_order_of_the_text() -> None:
    assert found_in("A jewish man, a Man", ["man", "Jewish", "wo"]) == ["Jewish", "man"]
    assert found_in("an AFRICAN AMERICAN poet", ["african", "african american"]) == ["african american"]
    assert found_in("anything", []) == []


def test_a_turkish_i_is_the_same_letter_with_and_without_its_dot_as_for_every_expression() -> None:
    assert exchanged("İş mi, hıs mı? IS!", {"is": "are", "his": "her"}) == "İş mi, her mı? ARE!"
    assert exchanged("istanbul, İSTANBUL", {"İstanbul": "Ankara"}) == "ankara, ANKARA"
    assert found_in("ISTANBUL'da", ["İstanbul"]) == ["İstanbul"]


def test_a_word_may_be_left_out_at_the_beginning_of_a_sentence_too() -> None:
    assert edited({"kind": "replaced", "words": {"please": ""}}, "Please help") == " help"


def test_space_around_words_is_no_part_of_them_and_words_of_nothing_are_refused() -> None:
    assert edited({"kind": "replaced", "words": {"is ": "is not"}}, "It is so") == "It is not so"
    for edit in ({"kind": "replaced", "words": {" ": "x"}}, {"kind": "words", "words": ["Oslo", ""]}):
        with pytest.raises(ValidationError, match="at least 1 character"):
            edited(edit, "a")
