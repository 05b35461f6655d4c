"""Pairs of texts as rows of tokens: the tokenizer's template, what is cut, and windows over the second text."""

import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing

from tasks.modeling.limits import TokenLimit
from tasks.modeling.pairs import NoRoomError, inputs_of
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import spans_of

CLS, SEP = 101, 102  # of the BERT vocabulary
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve") * 2


def cutting(folder: Path, max_tokens: int) -> TextEncoder:
    """The tokenizer that cuts what is longer."""
    return TextEncoder(folder, TokenLimit(max_tokens=max_tokens))


def sliding(folder: Path, max_tokens: int, overlap: int) -> TextEncoder:
    """The tokenizer that reads what is longer in windows."""
    return TextEncoder(folder, TokenLimit(max_tokens=max_tokens, beyond="windows", window_overlap=overlap))


def first(count: int) -> str:
    """So many words of one token each."""
    return " ".join(NUMBERS[:count])


def second(count: int) -> str:
    """So many others."""
    return " ".join(["red", "green", "blue", "black", "white", "pink", "grey", "brown", "gold", "silver"][:count])


def lengths_of(ids: list[int]) -> tuple[int, int]:
    """Tokens of the first text and of the second, between [CLS], [SEP] and [SEP]."""
    assert (ids[0], ids[-1], ids.count(SEP)) == (CLS, SEP, 2)
    middle = ids.index(SEP)
    return middle - 1, len(ids) - middle - 2


@pytest.fixture(scope="module")
def two_closing(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer with RoBERTa's template, whose encoder knows no segments."""
    folder = shutil.copytree(tiny_encoder, tmp_path_factory.mktemp("two_closing") / "encoder")
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = [("<s>", CLS), ("</s>", SEP)]
    library.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=special
    )
    library.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    config = (folder / "config.json").read_text().replace('"type_vocab_size": 2', '"type_vocab_size": 1')
    (folder / "config.json").write_text(config)
    return folder


@pytest.fixture(scope="module")
def letter_by_letter(two_closing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer whose vocabulary is a space and letters, so that a word of one letter has two pieces."""
    folder = shutil.copytree(two_closing, tmp_path_factory.mktemp("letters") / "encoder")
    pieces = [("<s>", 0.0), ("</s>", 0.0), ("\u2581", -1.0), *((letter, -1.0) for letter in "abcdefghij")]
    library = Tokenizer(Unigram(pieces, unk_id=0))
    library.pre_tokenizer = Metaspace()
    library.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    library.save(str(folder / "tokenizer.json"))
    return folder


def test_a_pair_is_framed_by_the_tokenizers_template_and_a_missing_second_text_makes_a_single_one(
    tiny_encoder: Path,
) -> None:
    found = cutting(tiny_encoder, 32).encode(inputs_of(["hello world", "hello", "hello"], ["world", None, ""]))
    assert found.input_ids.lists() == [
        [CLS, 7592, 2088, SEP, 2088, SEP],
        [CLS, 7592, SEP],
        [CLS, 7592, SEP, SEP],
    ]
    assert found.segments is not None
    assert found.segments.lists() == [[0, 0, 0, 0, 1, 1], [0, 0, 0], [0, 0, 0, 1]]


def test_special_tokens_are_told_from_the_pieces_of_a_word(letter_by_letter: Path) -> None:
    (whole,) = cutting(letter_by_letter, 64).encode([("bcdef", "ghij")]).input_ids.lists()
    assert whole == [0, 2, 4, 5, 6, 7, 8, 1, 1, 2, 9, 10, 11, 12, 1]
    (cut,) = cutting(letter_by_letter, 10).encode([("bcdef", "ghij")]).input_ids.lists()
    assert cut == [0, 2, 4, 5, 1, 1, 2, 9, 10, 1]
    windows = sliding(letter_by_letter, 20, 4).encode([("bcdef", "ghij" * 3)]).input_ids.lists()
    assert [(ids[:9], ids[-1]) for ids in windows] == [(whole[:9], 1)] * len(windows)


def test_an_encoder_without_segments_is_given_none(tiny_encoder: Path, two_closing: Path) -> None:
    pairs = inputs_of(["hello world"], ["world"])
    found = cutting(two_closing, 32).encode(pairs)
    assert found.input_ids.lists() == [[CLS, 7592, 2088, SEP, SEP, 2088, SEP]]
    assert found.segments is None
    # Nor is one that knows them where there is no pair.
    assert cutting(tiny_encoder, 32).encode(["hello"]).segments is None


@pytest.mark.parametrize(
    ("lengths", "left"),
    [
        ((3, 10), (3, 6)),
        ((10, 3), (6, 3)),
        ((10, 10), (5, 4)),
        ((5, 4), (5, 4)),
        ((4, 7), (4, 5)),
        ((0, 10), (0, 9)),
        ((10, 0), (9, 0)),
    ],
)
def test_a_pair_beyond_the_limit_loses_tokens_of_the_longer_text(
    tiny_encoder: Path, lengths: tuple[int, int], left: tuple[int, int]
) -> None:
    # Of 12 tokens three are special.
    encoder = cutting(tiny_encoder, 12)
    pair = (first(lengths[0]), second(lengths[1]))
    found = encoder.encode([pair, "red"])
    ids = found.input_ids.lists()
    assert lengths_of(ids[0]) == left
    assert found.truncated == int(sum(lengths) > 9)
    assert ids[0] == encoder.encode([(first(left[0]), second(left[1]))]).input_ids.lists()[0]
    assert ids[1] == encoder.encode(["red"]).input_ids.lists()[0]
    assert found.segments is not None
    assert found.segments.lists()[0] == [0] * (2 + left[0]) + [1] * (1 + left[1])


def test_windows_slide_over_the_second_text_and_hold_the_whole_first_one(tiny_encoder: Path) -> None:
    # 18 tokens hold five of the first text, three special ones, and ten of the second.
    colours = second(10).split() * 2
    whole = TextEncoder(tiny_encoder, TokenLimit())
    found = sliding(tiny_encoder, 18, 4).encode([(first(5), " ".join(colours)), "red", (first(5), second(10))])
    expected = [" ".join(colours[start : start + 10]) for start in (0, 6, 12)]
    windows = whole.encode([*((first(5), part) for part in expected), "red", (first(5), second(10))])
    assert found.input_ids.lists() == windows.input_ids.lists()
    assert found.rows.tolist() == [0, 0, 0, 1, 2]
    assert found.truncated == 0
    assert found.segments is not None
    assert windows.segments is not None
    assert found.segments.lists() == windows.segments.lists()


@pytest.mark.parametrize("overlap", [0, 3])
def test_windows_of_pairs_are_those_of_the_tokenizers_own_truncation(
    tiny_encoder: Path, two_closing: Path, overlap: int
) -> None:
    for folder in (tiny_encoder, two_closing):
        library = Tokenizer.from_file(str(folder / "tokenizer.json"))
        library.no_padding()
        library.enable_truncation(max_length=20, stride=overlap, strategy="only_second")
        pairs = [(first(a), " ".join(second(10).split() * b)) for a, b in ((1, 1), (3, 4), (5, 9), (0, 3))]
        expected = [window.ids for pair in pairs for of in [library.encode(*pair)] for window in (of, *of.overflowing)]
        assert sliding(folder, 20, overlap).encode(pairs).input_ids.lists() == expected


def test_windows_move_on_by_a_quarter_of_themselves_where_the_first_text_leaves_little_room(
    tiny_encoder: Path,
) -> None:
    # Room for 8 tokens of 30, fewer than the overlap of 12.
    found = sliding(tiny_encoder, 26, 12).encode([(first(15), " ".join(second(10).split() * 3))])
    assert [lengths_of(ids) for ids in found.input_ids.lists()] == [(15, 8)] * 12
    moved = [ids[17] for ids in found.input_ids.lists()]
    assert moved == found.input_ids.lists()[0][17:25:2] + moved[4:]


def test_a_first_text_that_leaves_no_room_for_windows_is_told_by_its_position(tiny_encoder: Path) -> None:
    encoder = sliding(tiny_encoder, 18, 4)
    long = " ".join(second(10).split() * 2)
    with pytest.raises(NoRoomError, match=r"take 11 of 18 tokens, which leaves fewer than 8.*Raise") as told:
        encoder.encode([(first(7), long), "red", (first(8), long)])
    assert told.value.position == 2
    # What fits as it is needs no window, and where the limit cuts there is room for both.
    assert len(encoder.encode([(first(12), second(3))]).rows) == 1
    assert len(cutting(tiny_encoder, 18).encode([(first(12), long)]).rows) == 1


def test_words_are_looked_for_in_the_first_text_and_found_in_its_first_window(tiny_encoder: Path) -> None:
    pair = ("red two", " ".join(second(10).split() * 2))
    spans = [spans_of(["red", "two"], pair[0])]
    assert sliding(tiny_encoder, 18, 4).align([pair]).word_starts(spans).lists() == [[1, 2], []]
    # Cut to 5 and 4 tokens.
    text = "red two three four five crème"
    found = cutting(tiny_encoder, 12).align([(text, second(10)), text])
    assert found.word_starts([spans_of(text.split(), text)] * 2).lists() == [[1, 2, 3, 4, 5, -1], [1, 2, 3, 4, 5, 6]]
