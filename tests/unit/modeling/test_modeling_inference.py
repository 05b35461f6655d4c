"""Answers of a network for many rows."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from tasks.modeling.inference import LONG_ROWS_AT_ONCE, Outputs, batches_by_length, mask_of, pad, run_network
from tasks.modeling.limits import TokenLimit
from tasks.modeling.network import MultiTaskNetwork, load_network
from tasks.modeling.ragged import Ragged, ragged
from tasks.modeling.tokenized import TokenizedRows, Words, read_tokens
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import shapes_in, spans_of, words_of

LIMIT = TokenLimit(max_tokens=16)
LONG = " ".join(f"lamp {number}" for number in range(20)) + " oslo"
TEXTS = [
    "refund",
    "Where is my parcel to Da Nang? It was promised for Monday, then for Tuesday, and nobody knows anything.",
    "thanks 🙂now",
    "Giao ở Đà Nẵng giúp em",
    "I want my money back at once, order JS7-11806",
    "great",
    "the parcel went to Oslo",
]


def tokenized(texts: list[str], encoder: TextEncoder) -> TokenizedRows:
    """Tokens and words of the texts."""
    found = encoder.align(texts)
    spans = [spans_of(words_of(text), text) for text in texts]
    starts = found.word_starts(spans)
    shapes = Ragged(ragged(shapes_in(texts, spans)).values, starts.lengths)
    words = {"tags": Words(starts.lists(), shapes.lists())}
    return TokenizedRows(found.encoded.input_ids.lists(), found.encoded.rows.tolist(), words)


def answers_for(network: MultiTaskNetwork, texts: list[str], encoder: TextEncoder) -> Outputs:
    """The network's answers, all texts in one call."""
    return run_network(network, tokenized(texts, encoder), pad_id=encoder.pad_id)


@pytest.fixture
def network(saved_network: Path) -> MultiTaskNetwork:
    """The untrained network, to be changed at will."""
    return load_network(saved_network)[0]


@pytest.fixture(scope="module")
def text_encoder(saved_network: Path) -> TextEncoder:
    """Its tokenizer, with room for 16 tokens."""
    return TextEncoder(saved_network / "encoder", LIMIT)


def sliding(saved_network: Path) -> TextEncoder:
    """Its tokenizer, with windows of 16 tokens."""
    return TextEncoder(saved_network / "encoder", TokenLimit(max_tokens=16, beyond="windows", window_overlap=4))


def always_tag(network: MultiTaskNetwork, position: int) -> None:
    """Makes the tagger give every word the same tag."""
    linear = network.layers["places"][1]  # type: ignore[index]
    torch.nn.init.zeros_(linear.weight)
    linear.bias.data = torch.nn.functional.one_hot(torch.tensor(position), 3) * 9.0


class WordSpotter(nn.Module):
    """An encoder whose states say nothing but whether a token is a certain one."""

    def __init__(self, token: int, width: int) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=width)
        self.token = token
        self.place = nn.Parameter(nn.functional.one_hot(torch.tensor(0), width).float())

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        """1 in the first dimension where the token stands."""
        return SimpleNamespace(last_hidden_state=(input_ids == self.token).unsqueeze(-1) * self.place)


def listen_to(network: MultiTaskNetwork, token: int) -> None:
    """Makes intent and urgency depend on that token: `delivery`, not `refund`, and higher where it is read."""
    network.encoder = WordSpotter(token, 32)
    for task, weights in {"intent": [[0.0], [1000.0], [0.0]], "urgency": [[1.0]]}.items():
        network.layers[task][1] = linear = nn.Linear(32, len(weights))  # type: ignore[index, operator]
        torch.nn.init.zeros_(linear.weight)
        linear.weight.data[:, :1] = torch.tensor(weights)
        linear.bias.data = torch.nn.functional.one_hot(torch.tensor(0), len(weights)).float()


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


def test_rows_that_no_answer_is_wanted_of_get_none_and_the_others_the_same(
    network: MultiTaskNetwork, text_encoder: TextEncoder
) -> None:
    tokens = tokenized(TEXTS, text_encoder)
    whole = run_network(network, tokens, pad_id=text_encoder.pad_id)
    wanted = {"intent": {1, 4}, "places": {6}, "urgency": ()}
    found = run_network(network, tokens, pad_id=text_encoder.pad_id, wanted=wanted)
    for task, rows in wanted.items():
        for row in range(len(TEXTS)):
            if row in rows:
                assert found.answers[task][row] == whole.answers[task][row]
                assert found.confidences[task][row] == pytest.approx(whole.confidences[task][row])
            else:
                assert (found.answers[task][row], found.confidences[task][row]) == ("", 0.0)
    assert np.allclose(found.label_scores["intent"][[1, 4]], whole.label_scores["intent"][[1, 4]])
    assert not found.label_scores["intent"][[0, 2, 3, 5, 6]].any()
    assert np.array_equal(found.embeddings, whole.embeddings)


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
    found = run_network(network, TokenizedRows([], [], {"tags": Words([], [])}), pad_id=0)
    assert found.answers == {"intent": [], "places": [], "urgency": []}
    assert found.embeddings.shape == (0, 32)


def test_embeddings_are_means_of_the_token_states(network: MultiTaskNetwork, text_encoder: TextEncoder) -> None:
    found = answers_for(network, TEXTS, text_encoder)
    ids = torch.tensor(text_encoder.encode([TEXTS[0]]).input_ids.lists())
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


def test_a_tokenized_split_is_read_with_the_words_of_every_tag_column(tmp_path: Path) -> None:
    columns = {"input_ids": [[1, 2], [3]], "row": [0, 0], "starts_tags": [[1, -1], []], "shapes_tags": [[0, 2], []]}
    pq.write_table(pa.table(columns), tmp_path / "tagged.parquet")
    pq.write_table(pa.table({"input_ids": [[1]], "row": [0]}), tmp_path / "plain.parquet")
    tagged = TokenizedRows([[1, 2], [3]], [0, 0], {"tags": Words([[1, -1], []], [[0, 2], []])})
    assert read_tokens(tmp_path / "tagged.parquet") == tagged
    assert read_tokens(tmp_path / "plain.parquet") == TokenizedRows([[1]], [0], {})


def test_short_rows_get_the_same_answers_to_the_bit_whether_there_are_long_ones_or_not(
    network: MultiTaskNetwork, saved_network: Path
) -> None:
    encoder = sliding(saved_network)
    short = [text for text in TEXTS if len(encoder.encode([text]).rows) == 1]
    alone, among = answers_for(network, short, encoder), answers_for(network, [LONG, *short, LONG], encoder)
    assert len(short) == 5
    for task in network.heads:
        assert among.answers[task][1:-1] == alone.answers[task]
        assert among.confidences[task][1:-1] == alone.confidences[task]
    assert np.array_equal(among.embeddings[1:-1], alone.embeddings)


def test_a_long_rows_answers_are_those_of_its_windows_by_their_tokens(
    network: MultiTaskNetwork, saved_network: Path
) -> None:
    encoder = sliding(saved_network)
    rows = tokenized([LONG], encoder)
    sizes = np.array([len(ids) for ids in rows.input_ids])
    assert sizes.tolist() == [16, 16, 16, 13]
    apart = run_network(network, TokenizedRows(rows.input_ids, range(4), {"tags": rows.words["tags"]}), pad_id=0)
    whole = run_network(network, rows, pad_id=0)
    shares = sizes / sizes.sum()
    assert whole.answers["urgency"][0] == pytest.approx(shares @ np.array(apart.answers["urgency"]), abs=1e-5)
    assert whole.embeddings[0] == pytest.approx(shares @ apart.embeddings, abs=1e-5)
    means = np.zeros(3)
    with torch.no_grad():
        for share, ids in zip(shares, rows.input_ids, strict=True):
            logits = network(torch.tensor([ids]), torch.ones(1, len(ids)).long(), {}, ["intent"])[0]["intent"]
            means += share * logits.log_softmax(-1)[0].numpy()
    expected = np.exp(means) / np.exp(means).sum()
    assert whole.confidences["intent"] == [pytest.approx(expected.max(), abs=1e-5)]
    assert whole.answers["intent"] == [network.heads["intent"].labels[int(expected.argmax())]]


def test_words_beyond_the_first_window_are_tagged(network: MultiTaskNetwork, saved_network: Path) -> None:
    always_tag(network, 1)
    text = " ".join(["oslo"] * 40)
    assert answers_for(network, [text, "oslo", text], sliding(saved_network)).answers["places"] == [
        ["B-PLACE"] * 40,
        ["B-PLACE"],
        ["B-PLACE"] * 40,
    ]


def test_tags_of_several_windows_are_one_legal_sequence(network: MultiTaskNetwork, saved_network: Path) -> None:
    # In each window alone the first word would have to begin an entity.
    always_tag(network, 2)
    found = answers_for(network, [" ".join(["oslo"] * 40)], sliding(saved_network)).answers["places"]
    assert found == [["B-PLACE", *["I-PLACE"] * 39]]


def test_a_word_at_the_end_of_a_long_text_decides_only_where_it_is_read(
    network: MultiTaskNetwork, saved_network: Path
) -> None:
    words = ["lamp"] * 40 + ["oslo"]
    text = " ".join(words)
    listen_to(network, sliding(saved_network).encode(["oslo"]).input_ids.lists()[0][1])
    cut = answers_for(network, [text, " ".join(words[:-1])], TextEncoder(saved_network / "encoder", LIMIT))
    read = answers_for(network, [text, " ".join(words[:-1])], sliding(saved_network))
    assert cut.answers["intent"] == ["refund", "refund"]
    assert read.answers["intent"] == ["delivery", "refund"]
    assert read.answers["urgency"][0] > read.answers["urgency"][1]  # type: ignore[operator]


def test_more_long_rows_than_are_kept_at_once_come_back_in_order(
    network: MultiTaskNetwork, saved_network: Path
) -> None:
    texts = [f"{' '.join(['lamp'] * 20)} {number} {'oslo ' * (number % 7)}" for number in range(LONG_ROWS_AT_ONCE + 9)]
    encoder = sliding(saved_network)
    together = answers_for(network, texts, encoder)
    for row in (0, 5, LONG_ROWS_AT_ONCE - 1, LONG_ROWS_AT_ONCE, LONG_ROWS_AT_ONCE + 8):
        alone = answers_for(network, [texts[row]], encoder)
        assert together.answers["urgency"][row] == pytest.approx(alone.answers["urgency"][0], abs=1e-5)
        assert len(together.answers["places"][row]) == len(words_of(texts[row]))  # type: ignore[arg-type]
        assert together.embeddings[row] == pytest.approx(alone.embeddings[0], abs=1e-5)


def test_long_rows_without_a_word_have_no_tags(network: MultiTaskNetwork) -> None:
    rows = TokenizedRows([[101, 7592, 102]] * 2, [0, 0], {"tags": Words([[], []], [[], []])})
    assert run_network(network, rows, pad_id=0).answers["places"] == [[]]
