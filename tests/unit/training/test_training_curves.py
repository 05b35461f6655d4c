"""What TensorBoard is given of a training, read back from its files."""

import logging
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch import nn

from data_contracts.errors import InputError
from tasks.modeling.encoder import freeze
from tasks.modeling.heads import AnyHead
from tasks.modeling.history import read_history
from tasks.modeling.network import MultiTaskNetwork, new_network
from tasks.training import curves as module
from tasks.training.curves import Curves
from tasks.training.graph import graph_of
from tasks.training.rows import Batch, read_rows

Train = Callable[..., Any]
CPU = torch.device("cpu")


def read(folder: Path) -> EventAccumulator:
    """Everything that lies in a folder of curves."""
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0}).Reload()


def scalars(folder: Path, tag: str) -> dict[int, float]:
    """Values of one curve by step."""
    return {event.step: event.value for event in read(folder).Scalars(tag)}


def give(curves: Curves, step: int, norm: float = 0.5, **losses: float) -> None:
    """Measures a step of 30 tokens in 40 places."""
    curves.step(
        step,
        time.perf_counter(),
        losses={task: torch.tensor(loss) for task, loss in losses.items()},
        norm=torch.tensor(norm),
        learning_rate=0.25,
        tokens=30,
        computed_tokens=40,
    )


@pytest.fixture
def network(tiny_encoder: Path, toy_heads: dict[str, AnyHead]) -> MultiTaskNetwork:
    return new_network(tiny_encoder, toy_heads)


@pytest.fixture
def batch(toy_splits: Path, toy_heads: dict[str, AnyHead]) -> Batch:
    rows = read_rows(toy_splits / "snapshot", toy_splits / "tokens", "train", toy_heads)
    return rows.batch([0, 1], toy_heads, pad_id=0)


def test_a_step_and_an_epoch_are_shown_as_they_were_measured(tmp_path: Path) -> None:
    with Curves(tmp_path, CPU).begin(0) as curves:
        give(curves, 0, intent=2.0, places=1.0)
        assert curves.loss == 3.0
        give(curves, 1, intent=1.0)
        curves.end_epoch(2, {"validation/intent": 0.75})
        give(curves, 2, intent=5.0)
        curves.end_epoch(3, {"validation/intent": 0.5})
    assert scalars(tmp_path, "loss/intent") == {0: 2.0, 1: 1.0, 2: 5.0}
    assert scalars(tmp_path, "loss/places") == {0: 1.0}
    assert scalars(tmp_path, "padding_share") == {0: 0.25, 1: 0.25, 2: 0.25}
    assert scalars(tmp_path, "learning_rate") == {0: 0.25, 1: 0.25, 2: 0.25}
    assert scalars(tmp_path, "gradient_norm") == {0: 0.5, 1: 0.5, 2: 0.5}
    assert scalars(tmp_path, "validation/intent") == {2: 0.75, 3: 0.5}
    # A mean over the steps that a task was in.
    assert scalars(tmp_path, "mean_loss/intent") == {2: 1.5, 3: 5.0}
    assert [(epoch.step, epoch.values) for epoch in curves.epochs] == [
        (2, {"mean_loss/intent": 1.5, "mean_loss/places": 1.0, "validation/intent": 0.75}),
        (3, {"mean_loss/intent": 5.0, "validation/intent": 0.5}),
    ]


def test_several_steps_are_read_from_the_device_at_once_and_shown_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEPS_AT_ONCE", {"cpu": 3})
    with Curves(tmp_path, CPU).begin(0) as curves:
        give(curves, 0, intent=2.0)
        give(curves, 1, intent=1.0)
        assert math.isnan(curves.loss)
        give(curves, 2, intent=4.0)
        assert curves.loss == 4.0
        give(curves, 3, intent=8.0)
        curves.flush()
        assert curves.loss == 8.0
        give(curves, 4, intent=16.0)
        curves.end_epoch(5, {})
    assert scalars(tmp_path, "loss/intent") == {0: 2.0, 1: 1.0, 2: 4.0, 3: 8.0, 4: 16.0}
    assert curves.epochs[0].values == {"mean_loss/intent": 6.2}


@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_a_step_that_diverged_is_told_from_those_that_were_read_with_it(
    norm: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STEPS_AT_ONCE", {"cpu": 3})
    with Curves(tmp_path, CPU).begin(0) as curves:
        give(curves, 0, intent=2.0)
        give(curves, 1, norm=norm, intent=1.0, mood=math.nan)
        with pytest.raises(InputError, match=rf"at step 2 the gradient has norm {norm}, and .* intent 1, mood nan\."):
            curves.flush()


def test_what_goes_on_from_a_checkpoint_has_the_means_and_epochs_of_before(tmp_path: Path) -> None:
    with Curves(tmp_path / "first", CPU).begin(0) as first:
        give(first, 0, intent=1.0)
        first.end_epoch(1, {"validation/intent": 0.5})
        give(first, 1, intent=2.0)
        state = first.state_dict()
    with Curves(tmp_path / "second", CPU).begin(2) as second:
        second.load_state_dict(state)
        give(second, 2, intent=4.0)
        second.end_epoch(3, {})
    assert [epoch.values for epoch in second.epochs] == [
        {"mean_loss/intent": 1.0, "validation/intent": 0.5},
        {"mean_loss/intent": 3.0},
    ]


def test_histograms_are_of_what_learns_by_layer_and_by_head(network: MultiTaskNetwork, tmp_path: Path) -> None:
    freeze(network.encoder, 1)
    for weight in network.encoder.encoder.layer[1].parameters():  # type: ignore[union-attr, index]
        nn.init.constant_(weight, 3.0)
        weight.grad = torch.full_like(weight, -2.0)
    with Curves(tmp_path, CPU).begin(0) as curves:
        curves.histograms(network, 7)
    found = read(tmp_path)
    parts = {"layer_1", "head_intent", "head_places", "head_urgency"}
    # Heads have no gradients yet.
    assert set(found.Tags()["histograms"]) == {f"weights/{part}" for part in parts} | {"gradients/layer_1"}
    for tag, value in (("weights/layer_1", 3.0), ("gradients/layer_1", -2.0)):
        (event,) = found.Histograms(tag)
        assert event.step == 7
        shown = event.histogram_value
        assert (shown.min, shown.max) == (value, value)
        assert shown.num == sum(w.numel() for w in network.encoder.encoder.layer[1].parameters())  # type: ignore[union-attr, index]


def test_of_many_weights_some_are_counted_and_none_that_is_no_number(
    network: MultiTaskNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_VALUES", 100)
    table = network.encoder.embeddings.word_embeddings.weight  # type: ignore[union-attr]
    table.grad = torch.full_like(table, float("nan"))
    with Curves(tmp_path, CPU).begin(0) as curves:
        curves.histograms(network, 0)
    found = read(tmp_path)
    assert found.Histograms("weights/encoder_embeddings")[0].histogram_value.num <= 110
    assert "gradients/encoder_embeddings" not in found.Tags()["histograms"]


def test_the_graph_has_every_weight_and_operation_below_its_module(network: MultiTaskNetwork, batch: Batch) -> None:
    graph = graph_of(network, batch)
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node)
    weights = {name.replace(".", "/") for name, _ in network.named_parameters()}
    assert {name for name, node in nodes.items() if node.op == "weight"} == weights
    assert {name for name, node in nodes.items() if node.op == "input"} == {"token_ids", "mask"}
    outputs = [name for name, node in nodes.items() if node.op == "output"]
    assert outputs == ["logits/intent", "logits/places", "logits/urgency"]
    assert all(source in nodes for node in graph.node for source in node.input)
    (look_up,) = [node for node in graph.node if "encoder/embeddings/word_embeddings/weight" in node.input]
    assert look_up.name.startswith("encoder/embeddings/word_embeddings/embedding")
    assert [size.size for size in look_up.attr["_output_shapes"].list.shape[0].dim] == [*batch.input_ids.shape, 32]
    # From every head a way leads back to the texts.
    for output in outputs:
        reached, waiting = set(), [output]
        while waiting:
            name = waiting.pop()
            waiting += [source for source in nodes[name].input if source not in reached]
            reached.add(name)
        assert {"token_ids", "mask", "encoder/encoder/layer/0/attention/self/query/weight"} <= reached


def test_the_graph_of_one_head_ends_in_its_logits(
    tiny_encoder: Path, toy_heads: dict[str, AnyHead], batch: Batch
) -> None:
    graph = graph_of(new_network(tiny_encoder, {"intent": toy_heads["intent"]}), batch)
    (output,) = [node for node in graph.node if node.op == "output"]
    assert output.name == "logits/intent"
    assert output.input[0].startswith("layers/intent/1/linear")


def test_drawing_the_graph_changes_neither_weights_nor_chance_nor_what_is_trained(
    network: MultiTaskNetwork, batch: Batch
) -> None:
    network.train()
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    before = torch.get_rng_state()
    graph_of(network, batch)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert all(part.training for part in network.modules())
    assert all(weight.requires_grad and weight.grad is None for weight in network.parameters())
    assert torch.jit._trace._trace_module_map is None


def test_a_network_that_cannot_be_drawn_is_trained_all_the_same_and_the_log_says_so(
    network: MultiTaskNetwork, batch: Batch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def refuses(*_: Any) -> None:
        raise TypeError("sizes must be known")

    network.encoder.register_forward_pre_hook(refuses)
    with Curves(tmp_path, CPU).begin(0) as curves:
        curves.graph(network.train(), batch)
    assert "no graph of BertModel (sizes must be known)" in caplog.text
    assert network.training


def test_a_training_shows_graph_histograms_and_epochs(train: Train, tmp_path: Path) -> None:
    facts = train("shown", epochs=2)
    found = read(tmp_path / "shown" / "curves")
    assert len(GraphDef.FromString(found.Graph().SerializeToString()).node) > 100
    for tag in ("weights/layer_0", "gradients/layer_1", "gradients/head_places", "weights/encoder_embeddings"):
        assert [event.step for event in found.Histograms(tag)] == [4, 9]  # the last step of each epoch
    history = read_history(tmp_path / "shown" / "model")
    assert [epoch.step for epoch in history] == [5, 10]
    assert history[facts.best_epoch - 1].values["validation/skill"] == facts.validation_skill
    losses = [event.value for event in found.Scalars("loss/intent")]
    assert history[1].values["mean_loss/intent"] == pytest.approx(sum(losses[5:]) / 5)
    assert not (tmp_path / "shown" / "curves" / "projector").exists()


def test_rows_of_validation_are_in_the_projector_on_request_and_change_nothing_else(
    train: Train, toy_rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    train("without", epochs=1)
    train("with", epochs=1, projector_rows=3)
    shutil.rmtree(tmp_path / "with" / "model")
    train("with", epochs=1, projector_rows=5)
    folder = tmp_path / "with" / "curves"
    states = [line.split("\t") for line in (folder / "projector" / "states.tsv").read_text().splitlines()]
    assert [len(state) for state in states] == [32] * 5
    header, *rows = [line.split("\t") for line in (folder / "projector" / "rows.tsv").read_text().splitlines()]
    assert header == [
        "text", "intent", "intent answered", "places", "places answered", "urgency", "urgency answered"
    ]  # fmt: skip
    # Rows 0, 2, 5, 8 and 11 of twelve.
    wanted = [toy_rows[row] for row in (0, 2, 5, 8, 11)]
    assert [row[0] for row in rows] == [row["text"].lower().replace(" ,", ",") for row in wanted]
    assert [row[1] for row in rows] == [row["intent"] for row in wanted]
    assert (folder / "projector_config.pbtxt").read_text().count("embeddings {") == 1
    kept, plain = (load_file(tmp_path / name / "model" / "weights.safetensors") for name in ("with", "without"))
    assert all(torch.equal(kept[name], plain[name]) for name in plain)


def test_every_step_is_reported_with_the_scores_of_the_last_epoch(train: Train) -> None:
    reported: list[tuple[float, str]] = []
    train("told", epochs=2, report=lambda share, scores: reported.append((share, scores)))
    assert [share for share, _ in reported] == pytest.approx([step / 10 for step in range(1, 11)])
    assert {scores for _, scores in reported[:5]} == {"no epoch has ended yet"}
    assert all(scores.startswith("epoch 1 of 2: intent ") for _, scores in reported[5:])
