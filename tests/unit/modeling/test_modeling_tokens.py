"""Token ids of a real tokenizer, the windows of long texts, and the pieces that words start at."""

import shutil
import unicodedata
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from data_contracts.errors import InputError
from tasks.modeling.alignment import first_pieces
from tasks.modeling.limits import TokenLimit
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import spans_of, words_of

CLS, SEP = 101, 102  # of the BERT vocabulary


def cutting(encoder: Path, max_tokens: int) -> TextEncoder:
    """The tokenizer with room for so many tokens, which cuts what is longer."""
    return TextEncoder(encoder, TokenLimit(max_tokens=max_tokens))


def sliding(encoder: Path, max_tokens: int, overlap: int) -> TextEncoder:
    """The tokenizer that reads what is longer in windows."""
    return TextEncoder(encoder, TokenLimit(max_tokens=max_tokens, beyond="windows", window_overlap=overlap))


def starts_of(encoder: TextEncoder, text: str) -> dict[str, int]:
    """The position of the first piece of each word of `text`."""
    words = words_of(text)
    return dict(zip(words, encoder.align([text]).word_starts([spans_of(words, text)]).lists()[0], strict=True))


@pytest.fixture(scope="module")
def text_encoder(tiny_encoder: Path) -> TextEncoder:
    """The tokenizer with room for 32 tokens."""
    return cutting(tiny_encoder, 32)


def test_a_text_is_framed_by_special_tokens(text_encoder: TextEncoder) -> None:
    found = text_encoder.encode(["hello world", ""])
    assert found.input_ids.lists() == [[CLS, 7592, 2088, SEP], [CLS, SEP]]
    assert found.rows.tolist() == [0, 1]
    assert found.truncated == 0


def test_pieces_cover_characters_and_special_tokens_none(text_encoder: TextEncoder) -> None:
    found = text_encoder.align(["hello world", ""])
    assert found.pieces == [[(0, 0), (0, 5), (6, 11), (0, 0)], [(0, 0), (0, 0)]]
    assert found.encoded.input_ids.lists() == [[CLS, 7592, 2088, SEP], [CLS, SEP]]


def test_a_text_of_exactly_the_limit_is_not_truncated(tiny_encoder: Path) -> None:
    found = cutting(tiny_encoder, 8).encode(["one two three four five six"])
    assert [len(ids) for ids in found.input_ids.lists()] == [8]
    assert found.truncated == 0


def test_longer_texts_are_cut_before_the_closing_token_and_counted(tiny_encoder: Path) -> None:
    encoder = cutting(tiny_encoder, 8)
    found = encoder.encode(["one two three four five six seven", "short", "a b c d e f g h"])
    ids = found.input_ids.lists()
    assert found.truncated == 2
    assert [len(of_text) for of_text in ids] == [8, 3, 8]
    assert [of_text[-1] for of_text in ids] == [SEP, SEP, SEP]
    assert ids[0] == encoder.encode(["one two three four five six"]).input_ids.lists()[0]


def test_longer_texts_are_read_in_windows_that_overlap_and_nothing_is_truncated(tiny_encoder: Path) -> None:
    one, two, three, four, five, six, seven, eight, nine = (
        TextEncoder(tiny_encoder, TokenLimit())
        .encode(["one two three four five six seven eight nine"])
        .input_ids.lists()[0][1:-1]
    )
    found = sliding(tiny_encoder, 8, 3).encode(["one two", "one two three four five six seven eight nine", "nine"])
    assert found.input_ids.lists() == [
        [CLS, one, two, SEP],
        [CLS, one, two, three, four, five, six, SEP],
        [CLS, four, five, six, seven, eight, nine, SEP],
        [CLS, nine, SEP],
    ]
    assert found.rows.tolist() == [0, 1, 1, 2]
    assert found.truncated == 0


@pytest.mark.parametrize("overlap", [0, 1, 7])
def test_windows_are_those_that_the_tokenizers_own_truncation_leaves_over(tiny_encoder: Path, overlap: int) -> None:
    texts = [" ".join(f"order {number} é" for number in range(count)) for count in (1, 3, 4, 9, 40)]
    library = Tokenizer.from_file(str(tiny_encoder / "tokenizer.json"))
    library.no_padding()
    library.enable_truncation(max_length=16, stride=overlap)
    expected = [
        window.ids for text in texts for first in [library.encode(text)] for window in (first, *first.overflowing)
    ]
    assert sliding(tiny_encoder, 16, overlap).encode(texts).input_ids.lists() == expected
    library.enable_truncation(max_length=16)
    assert cutting(tiny_encoder, 16).encode(texts).input_ids.lists() == [library.encode(text).ids for text in texts]


@pytest.mark.parametrize("frame", ["<s> $A </s> </s>", "$A </s>", "<s> $A", "$A"])
def test_windows_are_framed_as_the_tokenizer_frames_a_text(tiny_encoder: Path, tmp_path: Path, frame: str) -> None:
    folder = shutil.copytree(tiny_encoder, tmp_path / "encoder")
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = [("<s>", CLS), ("</s>", SEP)]
    library.post_processor = TemplateProcessing(single=frame, pair="$A $B", special_tokens=special)
    library.no_padding()
    library.enable_truncation(max_length=9, stride=2)
    words = "one two three four five six seven eight nine ten eleven twelve"
    first = library.encode(words)
    assert first.overflowing
    library.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    found = sliding(folder, 9, 2).encode([words])
    assert found.input_ids.lists() == [first.ids, *(window.ids for window in first.overflowing)]


def test_words_that_were_cut_off_start_at_minus_one(tiny_encoder: Path) -> None:
    starts = starts_of(cutting(tiny_encoder, 8), "one two three four five six seven eight")
    assert list(starts.values()) == [1, 2, 3, 4, 5, 6, -1, -1]


def test_each_word_belongs_to_the_window_where_it_has_most_context(tiny_encoder: Path) -> None:
    text = "one two three four five six seven eight nine"
    # The windows hold words 1 to 6 and 4 to 9. Five has 4 and 1 neighbours in the first and 1 and 4 in the second.
    found = sliding(tiny_encoder, 8, 3).align([text]).word_starts([spans_of(text.split(), text)])
    assert found.lists() == [[1, 2, 3, 4, 5], [3, 4, 5, 6]]


def test_a_word_whose_pieces_two_windows_share_is_found_at_its_first(tiny_encoder: Path) -> None:
    # one two three four five cr ##eme | cr ##eme six
    text = "one two three four five crème six"
    found = sliding(tiny_encoder, 8, 0).align([text])
    assert found.encoded.input_ids.lengths.tolist() == [8, 4]
    assert found.word_starts([spans_of(text.split(), text)]).lists() == [[1, 2, 3, 4, 5, 6], [2]]


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
    pieces = [[(0, 0), (0, 5), (5, 9), (9, 11), (0, 0)]]
    assert first_pieces(pieces, [[(0, 5), (6, 11)]]).lists() == [[1, 2]]


def test_words_are_looked_for_in_their_own_text_only() -> None:
    pieces = [[(0, 0), (0, 3), (0, 0)], [(0, 0), (0, 0)], [(0, 0), (4, 9), (0, 0)]]
    assert first_pieces(pieces, [[(0, 3), (4, 9)], [(0, 3)], [(0, 3), (4, 9)]]).lists() == [[1, -1], [-1], [-1, 1]]
    assert first_pieces([[(0, 0)]], [[(0, 1)]]).lists() == [[-1]]
    assert first_pieces([[(0, 3)]], [[(4, 9)]]).lists() == [[-1]]
    assert first_pieces([], []).lists() == []


def test_every_word_of_long_mixed_text_starts_at_a_piece_that_overlaps_it(text_encoder: TextEncoder) -> None:
    text = "Trời ơi! Café ở Đà-Nẵng 👍🏽 (JS7-11806) €10, isn't"
    spans = spans_of(words_of(text), text)
    aligned = text_encoder.align([text])
    starts = aligned.word_starts([spans]).lists()[0]
    assert len(starts) > 15
    for (start, end), piece in zip(spans, starts, strict=True):
        first, last = aligned.pieces[0][piece]
        assert piece > 0
        assert first < end
        assert last > start


def test_padding_has_the_tokenizers_own_id(text_encoder: TextEncoder) -> None:
    assert text_encoder.pad_id == 0


def test_a_limit_beyond_the_encoders_positions_is_an_error_that_names_both(tiny_encoder: Path) -> None:
    with pytest.raises(InputError, match=r"max_tokens.*129.*128"):
        cutting(tiny_encoder, 129)
    cutting(tiny_encoder, 128)


def of_files(encoder: Path, folder: Path, **tokenizer: str) -> Path:
    """The encoder in another folder, with these tokenizer files alone: `vocab="..."` for vocab.txt."""
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(encoder / name, folder / name)
    for name, content in tokenizer.items():
        (folder / {"vocab": "vocab.txt", "library": "tokenizer.json"}[name]).write_text(content, encoding="utf-8")
    return folder


def test_a_folder_without_a_tokenizer_is_refused_and_none_is_made_up(tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{tmp_path} holds no tokenizer: none of tokenizer\.json, vocab\.txt, .*"):
        cutting(of_files(tiny_encoder, tmp_path), 8)
    # One of two files that are needed together.
    (tmp_path / "vocab.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"vocab\.json with merges\.txt"):
        cutting(tmp_path, 8)


def test_a_vocabulary_alone_is_a_tokenizer(tiny_encoder: Path, tmp_path: Path) -> None:
    vocabulary = (tiny_encoder / "vocab.txt").read_text(encoding="utf-8")
    found = cutting(of_files(tiny_encoder, tmp_path, vocab=vocabulary), 8).encode(["hello world"])
    assert found.input_ids.lists() == [[CLS, 7592, 2088, SEP]]


def test_a_vocabulary_of_special_tokens_alone_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    special = "\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))
    with pytest.raises(InputError, match=rf"tokenizer in {tmp_path} knows no word: its vocabulary is .*\[UNK\]"):
        cutting(of_files(tiny_encoder, tmp_path, vocab=special), 8)


def test_a_tokenizer_that_cannot_be_read_is_refused_by_its_folder(tiny_encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"the tokenizer of the encoder in {tmp_path} cannot be read"):
        cutting(of_files(tiny_encoder, tmp_path, library='{"half": '), 8)


def test_a_token_that_was_added_behind_the_encoders_embeddings_is_an_error_that_names_it(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_encoder, tmp_path / "added")
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    library.add_tokens(["<person>"])
    library.save(str(folder / "tokenizer.json"))
    encoder = cutting(folder, 8)
    assert encoder.encode(["hello world"]).input_ids.lists() == [[CLS, 7592, 2088, SEP]]
    with pytest.raises(InputError, match=r"'<person>' as its token 30522, and the encoder there embeddings for 30522"):
        encoder.encode(["hello world", "hello <person>"])
    library.add_special_tokens(["<blank>"])
    library.save(str(folder / "tokenizer.json"))
    (folder / "special_tokens_map.json").unlink()
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<blank>"}'
    )
    with pytest.raises(InputError, match=r"'<blank>' as its token 30523"):
        cutting(folder, 8)
