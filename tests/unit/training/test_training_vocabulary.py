"""Only tokens that occur in training learn; nothing else changes, and the vocabulary is whole again at the end."""

import torch
from torch import nn
from transformers import BertConfig, BertModel

from tasks.training.vocabulary import LearntEmbedding, learn_all, learn_occurring

OCCURRING = [[7, 3, 9], [3, 3], [12]]


def bert() -> BertModel:
    """Two layers, 50 tokens, of which the first is padding."""
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 2}
    return BertModel(BertConfig(vocab_size=50, **shape), add_pooling_layer=False).eval()


def test_only_tokens_that_occur_have_weights_that_learn_and_padding_never_does() -> None:
    encoder = bert()
    before = encoder.get_input_embeddings().weight.detach().clone()
    assert learn_occurring(encoder, OCCURRING, pad_id=0)
    embedding = encoder.embeddings.word_embeddings
    assert isinstance(embedding, LearntEmbedding)
    assert torch.equal(embedding.weight, before[[0, 3, 7, 9, 12]])
    encoder.train()(input_ids=torch.tensor([[7, 3, 0]])).last_hidden_state.square().sum().backward()
    assert embedding.weight.grad is not None
    assert (embedding.weight.grad.abs().sum(dim=1) > 0).tolist() == [False, True, True, False, False]


def test_all_tokens_learn_where_the_padding_of_the_encoder_is_none_of_them() -> None:
    encoder = bert()
    learn_occurring(encoder, [[7, 3, 9]], pad_id=5)
    encoder.train()(input_ids=torch.tensor([[7, 3, 9]])).last_hidden_state.square().sum().backward()
    gradient = encoder.embeddings.word_embeddings.weight.grad
    assert gradient is not None
    # Of 3, 5, 7 and 9.
    assert (gradient.abs().sum(dim=1) > 0).tolist() == [True, False, True, True]


def test_the_states_of_all_tokens_are_as_before() -> None:
    encoder = bert()
    ids = torch.arange(50).reshape(5, 10)
    expected = encoder(input_ids=ids).last_hidden_state
    learn_occurring(encoder, OCCURRING, pad_id=0)
    assert torch.equal(encoder(input_ids=ids).last_hidden_state, expected)
    known = torch.tensor([[7, 3, 9, 12, 0]])
    assert torch.equal(
        encoder.embeddings.word_embeddings.train()(known), encoder.embeddings.word_embeddings.eval()(known)
    )


def test_what_was_learnt_joins_the_rest_which_stays_as_it_was() -> None:
    encoder = bert()
    before = encoder.get_input_embeddings().weight.detach().clone()
    names = list(encoder.state_dict())
    learn_occurring(encoder, OCCURRING, pad_id=0)
    assert encoder.state_dict()["embeddings.word_embeddings.weight"].shape == (5, 8)
    with torch.no_grad():
        encoder.embeddings.word_embeddings.weight += 1.0
    learn_all(encoder)
    after = encoder.get_input_embeddings()
    assert type(after) is nn.Embedding
    assert after.padding_idx == 0
    assert after.weight.requires_grad
    learnt = [0, 3, 7, 9, 12]
    assert torch.equal(after.weight[learnt], before[learnt] + 1.0)
    rest = [token for token in range(50) if token not in learnt]
    assert torch.equal(after.weight[rest], before[rest])
    assert list(encoder.state_dict()) == names


def test_embeddings_that_are_frozen_or_of_another_make_are_left_alone() -> None:
    frozen = bert()
    frozen.embeddings.requires_grad_(False)
    assert not learn_occurring(frozen, OCCURRING, pad_id=0)
    scaled = bert()
    scaled.set_input_embeddings(nn.Embedding(50, 8, max_norm=1.0))
    assert not learn_occurring(scaled, OCCURRING, pad_id=0)
    for encoder in (frozen, scaled):
        assert type(encoder.get_input_embeddings()) is nn.Embedding
