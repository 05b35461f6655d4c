"""Words, where they stand, and their shapes."""

import sys
import unicodedata

import pytest

from tasks.modeling.words import SHAPES, shape_of, shapes_in, spans_of, words_of


def test_words_are_runs_of_letters_and_digits_and_single_marks() -> None:
    assert words_of("JS7-11806 isn't back!!") == ["JS7", "-", "11806", "isn", "'", "t", "back", "!", "!"]


def test_vietnamese_words_are_the_same_however_their_accents_are_encoded() -> None:
    text = "Giao ở Đà Nẵng giúp em"
    apart = unicodedata.normalize("NFD", text)
    assert apart != text
    assert words_of(text) == ["Giao", "ở", "Đà", "Nẵng", "giúp", "em"]
    assert [unicodedata.normalize("NFC", word) for word in words_of(apart)] == words_of(text)
    assert [shape_of(word) for word in words_of(apart)] == [shape_of(word) for word in words_of(text)]


@pytest.mark.parametrize(
    "text",
    [
        "हिन्दी में दिल्ली",
        "বাংলায় সাহায্য",
        "தமிழ் மொழி",
        "مُحَمَّد رَسُول",
        "می\u200cخواهم رفت",  # joined by a character without width
        "ක්\u200dරි ලංකා",
        "𑄌𑄋𑄴𑄟𑄳𑄦 𑄞𑄌𑄴",  # beyond the first 65,536 characters
    ],
)
def test_vowel_signs_and_joiners_are_part_of_their_word_in_every_script(text: str) -> None:
    assert words_of(f"{text}, (7)") == [*text.split(), ",", "(", "7", ")"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("王小明去了2024年的HSK考试。", [*"王小明去了", "2024", *"年的", "HSK", *"考试。"]),
        ("東京タワーへ行く", [*"東京タワーへ行く"]),
        ("ไปภูเก็ต", ["ไ", "ป", "ภู", "เ", "ก็", "ต"]),
        ("ទៅភ្នំពេញ", ["ទៅ", "ភ្", "នំ", "ពេ", "ញ"]),
        ("서울에 간다", ["서울에", "간다"]),
    ],
)
def test_of_scripts_without_spaces_each_character_with_its_signs_is_a_word(text: str, words: list[str]) -> None:
    assert words_of(text) == words
    assert [text[start:end] for start, end in spans_of(words, text)] == words


def test_every_mark_of_unicode_is_part_of_a_word() -> None:
    marks = [chr(at) for at in range(sys.maxunicode + 1) if unicodedata.category(chr(at)).startswith("M")]
    assert len(marks) > 2000
    assert [mark for mark in marks if words_of(f"a{mark}b") != [f"a{mark}b"]] == []


def test_each_emoji_is_a_word_of_its_own() -> None:
    assert words_of("great👍 thanks🙂🙂") == ["great", "👍", "thanks", "🙂", "🙂"]


def test_a_repeated_word_is_found_again_behind_its_first_place() -> None:
    assert spans_of(["no", "means", "no"], "no means no") == [(0, 2), (3, 8), (9, 11)]


def test_spans_cut_the_words_out_of_any_text() -> None:
    text = "  Café\tở Đà Nẵng 👍🏽, €10!  "
    words = words_of(text)
    assert len(words) == 10
    assert [text[start:end] for start, end in spans_of(words, text)] == words


def test_a_word_that_does_not_stand_in_the_text_is_named() -> None:
    with pytest.raises(ValueError, match=r"token 2, 'parcel', does not stand in the text after character 2"):
        spans_of(["my", "parcel"], "my package")


def test_words_out_of_order_are_an_error() -> None:
    with pytest.raises(ValueError, match="token 2, 'my'"):
        spans_of(["parcel", "my"], "my parcel")


@pytest.mark.parametrize(
    ("word", "shape"),
    [
        ("parcel", "lower"),
        ("ở", "lower"),
        ("Hanoi", "capital"),
        ("Đà", "capital"),
        ("I", "capital"),
        ("CoffeeClub", "capital"),
        ("USB", "upper"),
        ("11806", "digits"),
        ("JS7", "mixed"),
        ("iPhone", "mixed"),
        ("€", "mark"),
        ("🙂", "mark"),
    ],
)
def test_the_shape_of_a_word(word: str, shape: str) -> None:
    assert SHAPES[shape_of(word)] == shape


def test_shapes_are_those_of_the_words_at_the_spans() -> None:
    assert shapes_in(["Paris 7", "ok"], [[(0, 5), (6, 7)], []]) == [
        [SHAPES.index("capital"), SHAPES.index("digits")],
        [],
    ]
