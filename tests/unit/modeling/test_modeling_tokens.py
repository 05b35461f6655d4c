"""Token ids of a real tokenizer, and the pieces that words start at."""

import unicodedata
from pathlib import Path

import pytest

from data_contracts.errors import InputError
from tasks.modeling.tokens import EncodedTexts, TextEncoder
from tasks.modeling.words import spans_of, words_of

CLS, SEP = 101, 102  # of the BERT vocabulary


def starts_of(encoder: TextEncoder, text: str) -> dict[str, int]:
    """The position of the first piece of each word of `text`."""
    words = words_of(text)
    return dict(zip(words, encoder.encode([text]).word_starts([spans_of(words, text)])[0], strict=True))


@pytest.fixture(scope="module")
def text_encoder(tiny_encoder: Path) -> TextEncoder:
    """The tokenizer with room for 32 tokens."""
    return TextEncoder(tiny_encoder, 32)


def test_a_text_is_framed_by_special_tokens(text_encoder: TextEncoder) -> None:
    found = text_encoder.encode(["hello world", ""])
    assert found.input_ids == [[CLS, 7592, 2088, SEP], [CLS, SEP]]
    assert found.offsets == [[(0, 0), (0, 5), (6, 11), (0, 0)], [(0, 0), (0, 0)]]
    assert found.truncated == 0


def test_a_text_of_exactly_the_limit_is_not_truncated(tiny_encoder: Path) -> None:
    found = TextEncoder(tiny_encoder, 8).encode(["one two three four five six"])
    assert [len(ids) for ids in found.input_ids] == [8]
    assert found.truncated == 0


def test_longer_texts_are_cut_before_the_closing_token_and_counted(tiny_encoder: Path) -> None:
    encoder = TextEncoder(tiny_encoder, 8)
    found = encoder.encode(["one two three four five six seven", "short", "a b c d e f g h"])
    assert found.truncated == 2
    assert [len(ids) for ids in found.input_ids] == [8, 3, 8]
    assert [ids[-1] for ids in found.input_ids] == [SEP, SEP, SEP]
    assert found.input_ids[0][:-1] == encoder.encode(["one two three four five six"]).input_ids[0][:-1]


def test_words_that_were_cut_off_start_at_minus_one(tiny_encoder: Path) -> None:
    starts = starts_of(TextEncoder(tiny_encoder, 8), "one two three four five six seven eight")
    assert list(starts.values()) == [1, 2, 3, 4, 5, 6, -1, -1]


def test_a_word_in_pieces_starts_at_the_first(text_encoder: TextEncoder) -> None:
    # cr + ##eme, and naive behind the comma.
    assert starts_of(text_encoder, "Café crème, naïve") == {"Café": 1, "crème": 2, ",": 4, "naïve": 5}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_vietnamese_words_start_where_their_pieces_do_in_either_encoding(text_encoder: TextEncoder, form: str) -> None:
    # gia ##o | o | đ ##a | nan ##g | gi ##up | em
    text = unicodedata.normalize(form, "Giao ở Đà Nẵng giúp em")
    assert list(starts_of(text_encoder, text).values()) == [1, 3, 4, 6, 8, 10]


def test_a_word_glued_to_an_emoji_starts_at_the_piece_that_covers_it(text_encoder: TextEncoder) -> None:
    # [CLS] [UNK] thanks [UNK] [SEP]: the tokenizer makes one piece of great👍 and one of 🙂now.
    found = starts_of(text_encoder, "great👍 thanks 🙂now")
    assert found == {"great": 1, "👍": 1, "thanks": 2, "🙂": 3, "now": 3}


def test_an_amount_keeps_its_pieces_beside_a_currency_the_tokenizer_does_not_know(text_encoder: TextEncoder) -> None:
    # ton 500 . [UNK] va € ##10
    found = starts_of(text_encoder, "tốn 500.000₫ và €10")
    assert found == {"tốn": 1, "500": 2, ".": 3, "000": 4, "₫": 4, "và": 5, "€": 6, "10": 7}


def test_a_mark_that_the_tokenizer_drops_has_no_piece(text_encoder: TextEncoder) -> None:
    assert starts_of(text_encoder, "\u200bHanoi now") == {"\u200b": -1, "Hanoi": 1, "now": 2}


def test_a_piece_that_begins_with_the_space_before_its_word_is_found() -> None:
    # SentencePiece tokenizers count the space before a word to its first piece.
    encoded = EncodedTexts([[0, 11, 12, 13, 2]], [[(0, 0), (0, 5), (5, 9), (9, 11), (0, 0)]], truncated=0)
    assert encoded.word_starts([[(0, 5), (6, 11)]]) == [[1, 2]]


def test_every_word_of_long_mixed_text_starts_at_a_piece_that_overlaps_it(text_encoder: TextEncoder) -> None:
    text = "Trời ơi! Café ở Đà-Nẵng 👍🏽 (JS7-11806) €10, isn't"
    spans = spans_of(words_of(text), text)
    encoded = text_encoder.encode([text])
    starts = encoded.word_starts([spans])[0]
    assert len(starts) > 15
    for (start, end), piece in zip(spans, starts, strict=True):
        first, last = encoded.offsets[0][piece]
        assert piece > 0
        assert first < end
        assert last > start


def test_padding_has_the_tokenizers_own_id(text_encoder: TextEncoder) -> None:
    assert text_encoder.pad_id == 0


def test_a_limit_beyond_the_encoders_positions_is_an_error_that_names_both(tiny_encoder: Path) -> None:
    with pytest.raises(InputError, match=r"max_tokens.*129.*128"):
        TextEncoder(tiny_encoder, 129)
    TextEncoder(tiny_encoder, 128)
