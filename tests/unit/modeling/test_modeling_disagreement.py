"""How far two answers of a head to the same rows are apart."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, kl_divergence

from tasks.modeling.heads import (
    MISSING,
    AnyHead,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    SpanHead,
    TokenTagHead,
)

NAN = float("nan")
LABELS = ("a", "b", "c", "d")
# Logits' shape, targets of which the second row's are missing, and how logits become chances.
HEADS: dict[str, tuple[AnyHead, tuple[int, ...], Tensor, type[Distribution]]] = {
    "single_label": (SingleLabelHead(labels=LABELS), (3, 4), torch.tensor([1, MISSING, 3]), Categorical),
    "token_tags": (
        TokenTagHead(labels=("O", "B-A", "I-A", "B-B")),
        (3, 2, 4),
        torch.tensor([[1, 2], [MISSING, MISSING], [0, 0]]),
        Categorical,
    ),
    "multi_label": (
        MultiLabelHead(labels=LABELS),
        (3, 4),
        torch.tensor([[1.0, 0, 0, 1], [NAN] * 4, [0, 0, 0, 0]]),
        Bernoulli,
    ),
    "ordinal": (OrdinalHead(labels=LABELS), (3, 3), torch.tensor([1, MISSING, 3]), Bernoulli),
}
every_kind = pytest.mark.parametrize("kind", HEADS)


def two_answers(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Logits of two passes over the same rows."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


@every_kind
def test_it_is_the_mean_of_both_divergences_over_the_rows_with_a_label(kind: str) -> None:
    head, shape, targets, distribution = HEADS[kind]
    one, other = two_answers(shape)
    ours, theirs = distribution(logits=one), distribution(logits=other)  # type: ignore[call-arg]
    expected = (kl_divergence(ours, theirs) + kl_divergence(theirs, ours))[[0, 2]].sum() / 2
    assert float(head.disagreement(one, other, targets)) == pytest.approx(float(expected), rel=1e-5)


@every_kind
def test_it_is_nothing_between_the_same_answers_and_does_not_hang_on_their_order(kind: str) -> None:
    head, shape, targets, _ = HEADS[kind]
    one, other = two_answers(shape)
    assert float(head.disagreement(one, one, targets)) == 0
    assert float(head.disagreement(one, other, targets)) == pytest.approx(float(head.disagreement(other, one, targets)))


def test_numbers_are_apart_by_their_squared_difference() -> None:
    head = RegressionHead(mean=2.0, deviation=0.5)
    one, other = torch.tensor([1.0, 5.0, 0.5]), torch.tensor([3.0, -5.0, 0.0])
    assert float(head.disagreement(one, other, torch.tensor([0.0, NAN, 1.0]))) == 4.25


def test_first_and_last_tokens_of_an_answer_count_half_each_and_tokens_that_cannot_be_either_nothing() -> None:
    one, other = two_answers((3, 5, 2))
    never = torch.finfo(torch.float32).min
    for logits in (one, other):
        logits[0, 3:] = never
    expected = 0.0
    for row, tokens in ((0, 3), (2, 5)):
        for side in (0, 1):
            ours, theirs = (Categorical(logits=logits[row, :tokens, side]) for logits in (one, other))
            expected += float(kl_divergence(ours, theirs) + kl_divergence(theirs, ours)) / 4
    targets = torch.tensor([[1, 2], [MISSING, MISSING], [0, 0]])
    assert float(SpanHead().disagreement(one, other, targets)) == pytest.approx(expected, rel=1e-5)
