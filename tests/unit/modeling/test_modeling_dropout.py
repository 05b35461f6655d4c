"""Dropout by 16 random bits a number."""

import pytest
import torch

from tasks.modeling.dropout import Dropout

SHAPE = (101, 7, 33)  # a number of numbers that four does not divide


def drawn(share: float, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    """What it makes of ones."""
    torch.manual_seed(seed)
    found: torch.Tensor = Dropout(share).train()(torch.ones(SHAPE, dtype=dtype))
    return found


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_of_the_numbers_is_zero_and_the_others_keep_the_mean(share: float) -> None:
    found = drawn(share)
    assert found.shape == SHAPE
    assert float((found == 0).float().mean()) == pytest.approx(share, abs=0.02)
    assert found[found != 0].unique().tolist() == [pytest.approx(1 / (1 - share))]


def test_all_places_are_drawn_alike_and_by_themselves() -> None:
    zeros = torch.stack([drawn(0.5, seed=seed).flatten()[:64] == 0 for seed in range(2000)]).float()
    assert zeros.mean(dim=0) == pytest.approx(0.5, abs=0.06)
    assert torch.corrcoef(zeros.T).fill_diagonal_(0).abs().max() < 0.12


def test_what_is_drawn_hangs_on_the_seed() -> None:
    assert torch.equal(drawn(0.3), drawn(0.3))
    assert not torch.equal(drawn(0.3), drawn(0.3, seed=1))


def test_the_gradient_goes_where_the_number_did() -> None:
    states = torch.ones(SHAPE, dtype=torch.bfloat16, requires_grad=True)
    found = Dropout(0.3).train()(states)
    found.sum().backward()
    assert found.dtype == torch.bfloat16
    assert torch.equal(states.grad, found.detach())


@pytest.mark.parametrize(("share", "training"), [(0.3, False), (0.0, True)])
def test_nothing_is_drawn_in_evaluation_or_for_no_share(share: float, training: bool) -> None:
    states, before = torch.randn(SHAPE), torch.get_rng_state()
    assert torch.equal(Dropout(share).train(training)(states), states)
    assert torch.equal(torch.get_rng_state(), before)


def test_everything_may_be_dropped() -> None:
    assert not drawn(1.0).any()
