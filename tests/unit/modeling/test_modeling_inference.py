"""Answers of a network for many rows."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.modeling.inference import Outputs, Words, batches_by_length, mask_of, pad, run_network, words_in
from tasks.modeling.network import MultiTaskNetwork, load_network
from tasks.modeling.tokens import EncodedTexts, TextEncoder
from tasks.modeling.words import shapes_in, spans_of, words_of

TEXTS = [
    "refund",
    "Where is my parcel to Da Nang? It was promised for Monday, then for Tuesday, and nobody knows anything.",
    "thanks 🙂now",
    "Giao ở Đà Nẵng giúp em",
    "I want my money back at once, order JS7-11806",
    "great",
    "the parcel went to Oslo",
]


def encoded(texts: list[str], encoder: TextEncoder) -> tuple[EncodedTexts, Words]:
    """Tokens and words of the texts."""
    found = encoder.encode(texts)
    spans = [spans_of(words_of(text), text) for text in texts]
    return found, Words(found.word_starts(spans), shapes_in(texts, spans))


def answers_for(network: MultiTaskNetwork, texts: list[str], encoder: TextEncoder) -> Outputs:
    """The network's answers, all texts in one call."""
    found, words = encoded(texts, encoder)
    return run_network(network, found.input_ids, {"tags": words}, pad_id=encoder.pad_id)


@pytest.fixture
def network(saved_network: Path) -> MultiTaskNetwork:
    """The untrained network, to be changed at will."""
    return load_network(saved_network)[0]


@pytest.fixture(scope="module")
def text_encoder(saved_network: Path) -> TextEncoder:
    """Its tokenizer, with room for 16 tokens."""
    return TextEncoder(saved_network / "encoder", 16)


def always_tag(network: MultiTaskNetwork, position: int) -> None:
    """Makes the tagger give every word the same tag."""
    linear = network.layers["places"][1]  # type: ignore[index]
    torch.nn.init.zeros_(linear.weight)
    linear.bias.data = torch.nn.functional.one_hot(torch.tensor(position), 3) * 9.0


def test_answers_do_not_depend_on_the_company_of_a_row(network: MultiTaskNetwork, text_encoder: TextEncoder) -> None:
    together = answers_for(network, TEXTS, text_encoder)
    backwards = answers_for(network, TEXTS[::-1], text_encoder)
    assert len({str(answer) for answer in together.answers["places"]}) > 1
    for row, text in enumerate(TEXTS):
        for other, at in ((answers_for(network, [text], text_encoder), 0), (backwards, len(TEXTS) - 1 - row)):
            assert together.answers["intent"][row] == other.answers["intent"][at]
            assert together.answers["places"][row] == other.answers["places"][at]
            assert together.answers["urgency"][row] == pytest.approx(other.answers["urgency"][at], abs=1e-5)
            assert together.confidences["places"][row] == pytest.approx(other.confidences["places"][at], abs=1e-5)
            assert together.embeddings[row] == pytest.approx(other.embeddings[at], abs=1e-5)


def test_more_rows_than_one_batch_holds_come_back_in_order(
    network: MultiTaskNetwork, text_encoder: TextEncoder
) -> None:
    few = answers_for(network, TEXTS, text_encoder)
    many = answers_for(network, TEXTS * 100, text_encoder)
    assert len(list(batches_by_length([16] * 700, 4096))) > 1
    assert many.answers["intent"] == few.answers["intent"] * 100
    assert many.answers["places"] == few.answers["places"] * 100
    assert many.embeddings == pytest.approx(np.tile(few.embeddings, (100, 1)), abs=1e-5)


def test_every_word_gets_a_tag(network: MultiTaskNetwork, text_encoder: TextEncoder) -> None:
    found = answers_for(network, TEXTS, text_encoder)
    assert [len(tags) for tags in found.answers["places"] if isinstance(tags, list)] == [
        len(words_of(text)) for text in TEXTS
    ]


def test_a_word_beyond_the_token_limit_is_tagged_o(network: MultiTaskNetwork, text_encoder: TextEncoder) -> None:
    always_tag(network, 1)
    text = " ".join(["oslo"] * 20)
    assert answers_for(network, [text], text_encoder).answers["places"] == [["B-PLACE"] * 14 + ["O"] * 6]


def test_what_was_cut_off_does_not_change_the_answers_to_the_rest(
    network: MultiTaskNetwork, text_encoder: TextEncoder
) -> None:
    words = words_of("my order of two lamps went from hue to oslo and then to lima again")
    assert len(words) == 15
    found = answers_for(network, [" ".join(words[:14]), " ".join(words), " ".join(words * 2)], text_encoder)
    short, cut, longer = found.answers["places"]
    assert isinstance(short, list)
    assert (cut, longer) == ([*short, "O"], [*short, *["O"] * 16])
    assert found.confidences["places"] == pytest.approx([found.confidences["places"][0]] * 3)


def test_tags_stay_legal_where_a_word_without_a_piece_is_tagged_o(
    network: MultiTaskNetwork, text_encoder: TextEncoder
) -> None:
    always_tag(network, 2)
    # The tokenizer drops the zero-width space, so it is no word an entity could begin with.
    found = answers_for(network, ["\u200bDa Nang", "Da \u200b Nang"], text_encoder)
    before, between = found.answers["places"]
    assert before == ["O", "B-PLACE", "I-PLACE"]
    assert between[1] == "O"  # type: ignore[index]
    assert "I-PLACE" not in between  # type: ignore[operator]


def test_no_rows_give_no_answers(network: MultiTaskNetwork) -> None:
    found = run_network(network, [], {"tags": Words([], [])}, pad_id=0)
    assert found.answers == {"intent": [], "places": [], "urgency": []}
    assert found.embeddings.shape == (0, 32)


def test_embeddings_are_means_of_the_token_states(network: MultiTaskNetwork, text_encoder: TextEncoder) -> None:
    found = answers_for(network, TEXTS, text_encoder)
    ids = torch.tensor(text_encoder.encode([TEXTS[0]]).input_ids)
    with torch.no_grad():
        states = network.states(ids, torch.ones_like(ids))
    assert found.embeddings.dtype == np.float32
    assert found.embeddings[0] == pytest.approx(states[0].mean(dim=0).numpy(), abs=1e-5)


def test_batches_hold_every_row_once_within_the_budget() -> None:
    lengths = [3, 50, 7, 7, 12, 1, 30, 30]
    batches = list(batches_by_length(lengths, 32))
    assert sorted(row for batch in batches for row in batch) == list(range(8))
    assert batches[0] == [1]
    assert all(len(batch) * max(lengths[row] for row in batch) <= 32 for batch in batches[1:])
    assert max(len(batch) for batch in batches) > 1


def test_padding_stands_behind_the_shorter_rows() -> None:
    assert pad([[5, 6], [], [7]], 9).tolist() == [[5, 6], [9, 9], [7, 9]]
    assert mask_of([[5, 6], [], [7]]).tolist() == [[1, 1], [0, 0], [1, 0]]
    assert pad([[], []], -1).tolist() == [[-1], [-1]]


def test_words_of_a_tokenized_split_are_found_by_tag_column() -> None:
    split = {"input_ids": [[1]], "starts_tags": [[1, -1]], "shapes_tags": [[0, 2]]}
    assert words_in(split) == {"tags": Words([[1, -1]], [[0, 2]])}
    assert words_in({"input_ids": [[1]]}) == {}
