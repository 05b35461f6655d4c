"""Edits of a text, and where its tagged tokens are afterwards."""

import pytest

from tasks.modeling.chance import number_of, random_of, share_of
from tasks.preparation.passages import Passage, Token, passage_of

PLACES = {"tokens": ["to", "Da", "Nang", "!"], "tags": ["O", "B-PLACE", "I-PLACE", "O"]}


def test_a_passage_holds_where_its_tokens_stand() -> None:
    passage = passage_of("to Da Nang!", {"places": PLACES, "names": None})
    assert passage.tagged == {
        "places": (Token(0, 2, "O"), Token(3, 5, "B-PLACE"), Token(6, 10, "I-PLACE"), Token(10, 11, "O"))
    }
    assert passage.words == [(0, 2), (3, 5), (6, 10), (10, 11)]
    assert passage.in_entities == {3, 4, 6, 7, 8, 9}
    assert (passage.value_of("places"), passage.value_of("names")) == (PLACES, None)


def test_tokens_that_do_not_stand_in_the_text_are_refused() -> None:
    with pytest.raises(ValueError, match=r"token 3, 'Nang'"):
        passage_of("to Nang Da!", {"places": PLACES})


def test_what_replaces_a_tokens_characters_belongs_to_it() -> None:
    passage = passage_of("to Da Nang!", {"places": PLACES})
    edited = passage.edited({0: "", 3: "DD", 7: "aaa", 10: "!!", 11: " ok"})
    assert edited.text == "o DDa Naaang!! ok"
    assert edited.value_of("places") == {"tokens": ["o", "DDa", "Naaang", "!!"], "tags": PLACES["tags"]}
    assert edited.tagged["places"][2] == Token(6, 12, "I-PLACE")
    assert edited.is_findable


def test_a_token_that_nothing_is_left_of_goes_with_its_tag() -> None:
    edited = passage_of("to Da Nang!", {"places": PLACES}).edited({0: "", 1: "", 2: "", 10: ""})
    assert (edited.text, edited.value_of("places")) == (
        "Da Nang",
        {"tokens": ["Da", "Nang"], "tags": ["B-PLACE", "I-PLACE"]},
    )


def test_columns_may_cut_a_text_differently() -> None:
    text = "to Da Nang!"
    whole = {"tokens": ["Da Nang", "!"], "tags": ["B-PLACE", "O"]}
    edited = passage_of(text, {"words": PLACES, "phrases": whole}).edited({4: "ạ", 5: "  "})
    assert edited.value_of("phrases") == {"tokens": ["Dạ  Nang", "!"], "tags": ["B-PLACE", "O"]}
    assert edited.value_of("words") == {"tokens": ["to", "Dạ", "Nang", "!"], "tags": PLACES["tags"]}


def test_a_token_is_not_findable_where_its_spelling_stands_earlier_too() -> None:
    # Only the second of the two is a token; tokenization takes the first.
    assert not Passage("ana or ana", {"names": (Token(7, 10, "B-PERSON"),)}).is_findable
    assert Passage("ann or ana", {"names": (Token(7, 10, "B-PERSON"),)}).is_findable
    assert Passage("ana or ana", {}).is_findable


def test_chance_hangs_on_its_whole_occasion_and_on_nothing_else() -> None:
    # As `b2sum -l 64` gives it for the parts with a zero byte between; another number would change all variants.
    assert number_of(13, "row", "casing", 1) == 0x23CD3D9E463DC109
    assert number_of(1, "a") == number_of(1, "a") != number_of(1, "b")
    assert number_of("a", "b") != number_of("ab")
    assert random_of(1, "a").random() == random_of(1, "a").random() != random_of(2, "a").random()


def test_shares_are_even() -> None:
    shares = sorted(share_of(13, row) for row in range(4000))
    assert 0 <= shares[0] < shares[-1] < 1
    # The largest gap of an empirical distribution, beyond which one even sample of 10,000 falls.
    assert max(abs(share - at / 4000) for at, share in enumerate(shares)) < 2.23 / 4000**0.5
