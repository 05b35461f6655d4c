"""A last layer that goes by angles."""

import pytest
import torch

from tasks.modeling.cosine import SCALE, CosineLayer


def random_layer(width: int, labels: int) -> CosineLayer:
    torch.manual_seed(0)
    layer = CosineLayer(width, labels)
    torch.nn.init.normal_(layer.centre)
    return layer


def test_logits_are_scaled_cosines() -> None:
    layer = random_layer(5, 3)
    inputs = torch.randn(2, 4, 5)
    found = layer(inputs)
    assert found.shape == (2, 4, 3)
    for label in range(3):
        expected = SCALE * torch.cosine_similarity(inputs - layer.centre, layer.weight[label], dim=-1)
        assert torch.allclose(found[..., label], expected, atol=1e-4)


def test_neither_the_length_of_a_state_nor_of_a_direction_counts() -> None:
    layer = random_layer(5, 3)
    inputs = torch.randn(4, 5)
    before = layer(inputs)
    farther = layer.centre + 7 * (inputs - layer.centre)
    layer.weight.data *= 3
    assert torch.allclose(layer(farther), before, atol=1e-4)


def test_it_begins_with_the_means_of_the_labels_and_keeps_what_it_has_for_others() -> None:
    layer = random_layer(2, 3)
    before = layer.weight.detach().clone()
    # Means (4, 0) and (0, 2), of more texts the one than the other: both count alike, and the centre is (2, 1).
    inputs = torch.tensor([[5.0, 0.0], [3.0, 0.0], [4.0, 0.0], [0.0, 2.0]])
    layer.imprint(inputs, torch.tensor([2, 2, 2, 0]))
    assert layer.centre.tolist() == [2.0, 1.0]
    directions = torch.nn.functional.normalize(torch.tensor([[-2.0, 1.0], [2.0, -1.0]]), dim=1)
    assert torch.allclose(layer.weight[[0, 2]], directions)
    assert torch.equal(layer.weight[1], before[1])
    assert layer(inputs).argmax(dim=1).tolist() == [2, 2, 2, 0]


def test_a_state_at_the_centre_is_of_no_label() -> None:
    layer = random_layer(5, 3)
    found = layer(layer.centre.detach()[None])
    assert found.tolist() == [[pytest.approx(0)] * 3]
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters() if parameter.grad is not None)
