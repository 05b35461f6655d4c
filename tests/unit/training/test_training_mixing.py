"""A part of the pre-trained encoder in the one that was fine-tuned: which part it is, and what it does."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from tasks.modeling.encoder import load_encoder
from tasks.modeling.heads import AnyHead
from tasks.modeling.network import MultiTaskNetwork, load_network, new_network
from tasks.training import mixing
from tasks.training.loop import fine_tune
from tasks.training.mixing import Mixed, mix_encoder
from tasks.training.recipe import Recipe
from tasks.training.rows import Rows, read_rows
from tasks.training.selection import Standing, validation_scores

FIRST_LAYER = "encoder.encoder.layer.0.output.dense.weight"


@pytest.fixture
def network(tiny_encoder: Path, toy_heads: dict[str, AnyHead]) -> MultiTaskNetwork:
    """One whose encoder has moved by 1 from what it was, in every weight."""
    network = new_network(tiny_encoder, toy_heads)
    with torch.no_grad():
        for weight in network.encoder.parameters():
            weight.add_(1.0)
    return network


@pytest.fixture
def rows(toy_splits: Path, toy_heads: dict[str, AnyHead]) -> Rows:
    """Those of validation."""
    return read_rows(toy_splits / "snapshot", toy_splits / "tokens", "validation", toy_heads)


def mixed(
    monkeypatch: pytest.MonkeyPatch,
    network: MultiTaskNetwork,
    encoder: Path,
    rows: Rows,
    scores: Mapping[float, Mapping[str, float]],
    unmixed: Standing,
    **recipe: Any,
) -> Mixed:
    """What is chosen where these are the scores of each share, which is told by where the encoder stands."""
    before = load_encoder(encoder).state_dict()
    name = FIRST_LAYER.removeprefix("encoder.")

    def score(network: MultiTaskNetwork, *_: object) -> dict[str, float]:
        share = 1.0 - float((network.encoder.state_dict()[name] - before[name]).mean())
        return dict(scores[round(share, 3)])

    monkeypatch.setattr(mixing, "validation_scores", score)
    found = mix_encoder(network, load_encoder(encoder), unmixed, rows, 0, Recipe(**recipe))
    for weight, value in network.encoder.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, before[weight] + 1 - found.share, atol=1e-6), weight
    return found


def scores_of(*intents: float) -> dict[float, dict[str, float]]:
    """Of the shares in their order."""
    shares = (0.1, 0.2, 0.3)
    return {share: {"intent": intent, "places": 0.5} for share, intent in zip(shares, intents, strict=True)}


@pytest.mark.parametrize(
    ("intents", "floors", "expected"),
    [
        ((0.6, 0.8, 0.7), {}, (0.2, 0.65)),
        ((0.6, 0.6, 0.6), {}, (0.1, 0.55)),  # of those alike, the one that was moved least
        ((0.6, 0.8, 0.801), {}, (0.2, 0.65)),  # 0.0005 of skill is nothing
        ((0.6, 0.8, 0.803), {}, (0.3, 0.6515)),
        ((0.501, 0.4, 0.5), {}, (0.0, 0.5)),
        ((0.4195, 0.4205, 0.2), {"intent": 0.42}, (0.2, 0.46025)),  # alike but for the floor
        ((0.4, 0.3, 0.45), {"intent": 0.42}, (0.3, 0.475)),  # the only one that reaches the floor
    ],
)
def test_the_share_that_is_best_on_validation_is_taken(
    intents: tuple[float, ...],
    floors: dict[str, float],
    expected: tuple[float, float],
    monkeypatch: pytest.MonkeyPatch,
    network: MultiTaskNetwork,
    tiny_encoder: Path,
    rows: Rows,
) -> None:
    unmixed = Standing(0.5, [*floors])
    found = mixed(monkeypatch, network, tiny_encoder, rows, scores_of(*intents), unmixed, skill_floors=floors)
    assert (found.share, found.standing.skill) == pytest.approx(expected)
    assert found.standing.missed == []


def test_a_share_that_is_given_is_taken_though_validation_is_the_worse_for_it(
    monkeypatch: pytest.MonkeyPatch, network: MultiTaskNetwork, tiny_encoder: Path, rows: Rows
) -> None:
    scores = {0.6: {"intent": 0.1, "places": 0.3}}
    found = mixed(monkeypatch, network, tiny_encoder, rows, scores, Standing(0.5, []), pretrained_share=0.6)
    assert (found.share, found.standing.skill) == pytest.approx((0.6, 0.2))


def test_an_encoder_that_has_not_moved_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, tiny_encoder: Path, toy_heads: dict[str, AnyHead], rows: Rows
) -> None:
    network = new_network(tiny_encoder, toy_heads)
    monkeypatch.setattr(mixing, "validation_scores", None)
    unmixed = Standing(0.5, [])
    assert mix_encoder(network, load_encoder(tiny_encoder), unmixed, rows, 0, Recipe()) == Mixed(0.0, unmixed)


def test_a_training_writes_the_mix_and_says_its_share_and_skill(
    training: Callable[..., dict[str, Any]], tiny_encoder: Path, tmp_path: Path, rows: Rows
) -> None:
    plain = fine_tune(**training("plain", epochs=4))
    mix = fine_tune(**training("mix", epochs=4, pretrained_share=0.25))
    assert (plain.pretrained_share, mix.pretrained_share) == (0.0, 0.25)
    assert (mix.best_epoch, mix.steps) == (plain.best_epoch, plain.steps)
    tuned, found = (load_file(tmp_path / name / "model" / "weights.safetensors") for name in ("plain", "mix"))
    before = load_encoder(tiny_encoder).state_dict()
    for name, value in found.items():
        expected: Tensor = tuned[name]
        if name.startswith("encoder."):
            expected = 0.75 * expected + 0.25 * before[name.removeprefix("encoder.")]
        assert torch.allclose(value, expected, atol=1e-6), name
    assert not torch.equal(found[FIRST_LAYER], tuned[FIRST_LAYER])
    network, _ = load_network(tmp_path / "mix" / "model")
    scores = validation_scores(network, rows, 0)
    assert sum(scores.values()) / len(scores) == pytest.approx(mix.validation_skill, abs=1e-6)


def test_by_default_a_training_is_no_worse_on_validation_than_without(training: Callable[..., dict[str, Any]]) -> None:
    plain = fine_tune(**training("plain", epochs=3))
    mix = fine_tune(**training("mix", epochs=3, pretrained_share="auto"))
    assert mix.pretrained_share in (0.0, *mixing.SHARES)
    assert mix.validation_skill >= plain.validation_skill
