"""What cleaning does to a text, and what it leaves alone."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data_contracts.cleaning import Cleaning, clean_tagged, clean_texts

MARKUP = Cleaning(markup=True)
SPACE = Cleaning(whitespace=True)
ALL = Cleaning(unicode="NFKC", markup=True, whitespace=True)
SAMPLES = sorted((Path(__file__).resolve().parents[3] / "data_contracts" / "samples" / "support").glob("*.jsonl"))


def cleaned(text: str, cleaning: Cleaning) -> str:
    """One text, cleaned."""
    return clean_texts([text], cleaning)[0]


def test_by_default_nothing_is_done_and_nothing_is_copied() -> None:
    texts, tokens, tags = [" a <b>&amp;</b> ﬁ "], ["<b>"], ["O"]
    assert Cleaning().changes_nothing
    assert clean_texts(texts, Cleaning()) is texts
    assert clean_tagged(tokens, tags, Cleaning())[0] is tokens


@pytest.mark.parametrize("settings", [{"unicode": "NFC"}, {"markup": True}, {"whitespace": True}])
def test_each_setting_alone_changes_something(settings: dict[str, Any]) -> None:
    cleaning = Cleaning.model_validate(settings)
    assert not cleaning.changes_nothing
    assert cleaned("e\u0301  <b>x</b>", cleaning) != "e\u0301  <b>x</b>"


@pytest.mark.parametrize("settings", [{"unicode": "NFD"}, {"html": True}])
def test_settings_that_do_not_exist_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Cleaning.model_validate(settings)


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("NFC", "Đa\u0300 Na\u0306\u0303ng", "Đà Nẵng"),
        ("NFC", "ﬁne ½ Ａ", "ﬁne ½ Ａ"),
        ("NFKC", "ﬁne ½ Ａ", "fine 1\u20442 A"),
        ("as_is", "e\u0301", "e\u0301"),
    ],
)
def test_texts_take_the_normal_form(form: str, text: str, expected: str) -> None:
    assert cleaned(text, Cleaning.model_validate({"unicode": form, "whitespace": True})) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<b>wor</b>ld", "world"),
        ("a <a href='x?a=1&b=2' target=_blank>link</a>!", "a link!"),
        ('<span title="5 > 3">q</span>', "q"),
        ("one<br>two<BR/>three", "one\ntwo\nthree"),
        ("<p>one</p><p>two</p>", "\none\n\ntwo\n"),
        ("<option selected>A</option>", "\nA\n"),
        ("x <!-- no\n <b>text</b> --> y", "x  y"),
        ("<!DOCTYPE html>hi", "hi"),
        ("<style>p { }</style>a<script>if (x<b) { '<p>' }</script>z", "az"),
    ],
)
def test_tags_are_taken_out_and_only_those_of_blocks_separate_words(text: str, expected: str) -> None:
    assert cleaned(text, MARKUP) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("R&amp;D &lt;3 &eacute;&#233;&#xE9; &quot;x&quot;", 'R&D <3 ééé "x"'),
        ("&#128;5", "€5"),
        ("a &lt;b&gt; c", "a <b> c"),
    ],
)
def test_references_become_characters(text: str, expected: str) -> None:
    assert cleaned(text, MARKUP) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a < b",
        "I <3 it",
        "a<b and c>d",
        "a <b and c> d",
        "x <b",
        "x </b",
        "<- there ->",
        "Ana <ana@example.com> wrote <https://example.com/a?x=1&copy=2>",
        "AT&T, Q&A & so on &; &nosuchthing;",
        "5 &lt 6",
        "my <script> tag does nothing",
        "<!-- without an end",
        "&",
        "<",
        "",
    ],
)
def test_what_is_no_markup_stays_as_it_is(text: str) -> None:
    assert cleaned(text, MARKUP) == text


def test_white_space_becomes_single_spaces_and_none_at_the_ends() -> None:
    assert cleaned("\u00a0 a\t\r\nb \u2003 c\n", SPACE) == "a b c"


def test_markup_goes_first_and_white_space_last() -> None:
    # The reference is of a full-width letter and a no-break space, and the block's line break is white space.
    assert cleaned("<p>&#xFF21;&nbsp;</p> <p>b</p>", ALL) == "A b"


def test_every_sample_text_is_cleaned_once_and_for_all_and_keeps_its_words() -> None:
    assert len(SAMPLES) >= 6
    texts = [json.loads(line)["text"] for path in SAMPLES for line in path.open(encoding="utf-8")]
    assert len(texts) > 2000
    once = clean_texts(texts, ALL)
    assert clean_texts(once, ALL) == once
    # The samples hold no markup: nothing but the normal form and white space may differ.
    assert once == [" ".join(unicodedata.normalize("NFKC", text).split()) for text in texts]


def test_a_token_of_nothing_but_markup_goes_with_its_tag() -> None:
    tokens = ["<p>", "<b>Hue</b>", "&amp;", "<br/>", "Lima\u00a0", "  "]
    tags = ["O", "B-PLACE", "O", "O", "B-PLACE", "O"]
    assert clean_tagged(tokens, tags, ALL) == (["Hue", "&", "Lima"], ["B-PLACE", "O", "B-PLACE"])


def test_an_entity_that_loses_its_first_token_begins_at_the_next() -> None:
    tokens = ["<i>", "<b>", "Da", "Nang", "<i>", "Oslo", "<i>", "Ana"]
    tags = ["B-PLACE", "I-PLACE", "I-PLACE", "I-PLACE", "B-PLACE", "B-PLACE", "B-PLACE", "B-PERSON"]
    assert clean_tagged(tokens, tags, MARKUP) == (
        ["Da", "Nang", "Oslo", "Ana"],
        ["B-PLACE", "I-PLACE", "B-PLACE", "B-PERSON"],
    )


def test_cleaned_tokens_stand_in_the_cleaned_text_in_order() -> None:
    tokens = ["<p>Ti\u1ec1n", "c\u1ecdc</p>", "500\u00a0000", "&euro;", "<br>", "cho", "<b>ﬁ</b>"]
    text = cleaned(" \n".join(tokens), ALL)
    position = 0
    for token in clean_tagged(tokens, ["O"] * len(tokens), ALL)[0]:
        position = text.index(token, position) + len(token)
    assert text == "Tiền cọc 500 000 € cho fi"


def test_more_tokens_than_tags_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="zip"):
        clean_tagged(["a", "b"], ["O"], SPACE)
