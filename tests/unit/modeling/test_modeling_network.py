"""The multi-task network and the folder it is kept in."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tasks.modeling.heads import (
    AnyHead,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    WordTensors,
    heads_of,
)
from tasks.modeling.limits import TokenLimit, limit_of
from tasks.modeling.network import load_network, new_network, save_network
from tasks.modeling.tokens import TextEncoder

IDS = torch.tensor([[101, 7592, 2088, 102], [101, 7592, 102, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
WORDS = {"tags": WordTensors(torch.tensor([[1, 2], [1, -1]]), torch.tensor([[0, 1], [0, -1]]))}


def test_a_network_that_was_saved_and_loaded_gives_the_same_logits(
    tiny_encoder: Path, heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    source = shutil.copytree(tiny_encoder, tmp_path / "encoder")
    network = new_network(source, heads).eval()
    limit = TokenLimit(max_tokens=24, beyond="windows", window_overlap=5)
    (tmp_path / "model").mkdir()
    save_network(network, source, limit, tmp_path / "model")
    shutil.rmtree(source)

    loaded, loaded_limit = load_network(tmp_path / "model")

    assert loaded_limit == limit
    assert not loaded.training
    assert loaded.heads == heads
    with torch.no_grad():
        before, states_before = network(IDS, MASK, WORDS, list(heads))
        after, states_after = loaded(IDS, MASK, WORDS, list(heads))
    assert torch.equal(states_before, states_after)
    assert set(after) == set(heads)
    for task in heads:
        assert torch.equal(before[task], after[task])


def test_the_folder_of_a_network_holds_its_tokenizer(saved_network: Path) -> None:
    found = TextEncoder(saved_network / "encoder", TokenLimit()).encode(["hello world"]).input_ids.lists()
    assert found == [[101, 7592, 2088, 102]]


def test_heads_are_read_without_the_weights(saved_network: Path, heads: dict[str, AnyHead], tmp_path: Path) -> None:
    shutil.copyfile(saved_network / "model.json", tmp_path / "model.json")
    assert heads_of(tmp_path) == heads


def test_a_model_that_was_saved_before_there_were_windows_cuts(saved_network: Path, tmp_path: Path) -> None:
    facts = json.loads((saved_network / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({"heads": facts["heads"], "max_tokens": 40}))
    assert limit_of(tmp_path) == TokenLimit(max_tokens=40, beyond="cut")


def test_only_the_tasks_asked_for_are_answered(saved_network: Path) -> None:
    network, _ = load_network(saved_network)
    logits, states = network(IDS, MASK, {}, ["urgency", "intent"])
    assert {task: tuple(value.shape) for task, value in logits.items()} == {"urgency": (2,), "intent": (2, 3)}
    assert states.shape == (2, 4, 32)


def test_new_heads_depend_on_the_seed_and_the_encoder_does_not(tiny_encoder: Path, heads: dict[str, AnyHead]) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return new_network(tiny_encoder, heads).state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    changed = {name.split(".")[0] for name in first if not torch.equal(first[name], other[name])}
    assert changed == {"layers"}


def test_heads_of_every_depth_and_pooling_load_again_and_give_the_same_logits(
    tiny_encoder: Path, tmp_path: Path
) -> None:
    labels = ("low", "middle", "high")
    heads: dict[str, AnyHead] = {
        "topics": MultiLabelHead(column="topics", labels=labels, threshold=0.3, pooling="attention"),
        "haste": OrdinalHead(column="haste", labels=labels, hidden=(8,), pooling="attention"),
        "tone": SingleLabelHead(column="tone", labels=labels, hidden=(8, 4), dropout=(0.5, 0.3), pooling="first"),
    }
    network = new_network(tiny_encoder, heads).eval()
    # What begins at zero could be lost without a trace.
    for parameter in network.layers.parameters():
        torch.nn.init.normal_(parameter)
    save_network(network, tiny_encoder, TokenLimit(), tmp_path)
    loaded, _ = load_network(tmp_path)
    assert loaded.heads == heads
    with torch.no_grad():
        before, _ = network(IDS, MASK, {}, list(heads))
        after, _ = loaded(IDS, MASK, {}, list(heads))
    assert {task: tuple(value.shape) for task, value in after.items()} == {
        "topics": (2, 3),
        "haste": (2, 2),
        "tone": (2, 3),
    }
    assert all(torch.equal(before[task], after[task]) for task in heads)


def test_a_task_may_be_called_as_a_part_of_a_torch_module_is(tiny_encoder: Path, tmp_path: Path) -> None:
    names = ("type", "items", "values", "keys", "update", "training", "forward", "type_", "urgency")
    heads: dict[str, AnyHead] = {name: RegressionHead(column=name) for name in names}
    network = new_network(tiny_encoder, heads).eval()
    save_network(network, tiny_encoder, TokenLimit(), tmp_path)
    loaded, _ = load_network(tmp_path)
    with torch.no_grad():
        before, after = (of(IDS, MASK, {}, list(heads))[0] for of in (network, loaded))
    assert list(after) == list(heads)
    # Drawn at random for each: none has the layers of another.
    assert len({value.tolist()[0] for value in before.values()}) == len(names)
    assert all(torch.equal(before[task], after[task]) for task in heads)
    assert "layers.urgency.1.weight" in network.state_dict()


def test_a_model_that_was_saved_before_heads_had_depth_pooling_and_angles_loads(
    tiny_encoder: Path, heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    as_it_was = {"classifier": "linear", "loss_weight": 1.0}
    linear = heads | {task: heads[task].model_copy(update=as_it_was) for task in ("intent", "places")}
    linear["topics"] = MultiLabelHead(column="topics", labels=("money", "parcel"), classifier="linear")
    shared = {"loss_weight": 1.0, "dropout": 0.1}
    before = {
        "intent": {"column": "intent", "labels": ["refund", "delivery", "praise"], **shared, "kind": "single_label",
                   "label_smoothing": 0.0, "class_weights": "none", "label_weights": []},
        "places": {"column": "tags", "labels": ["O", "B-PLACE", "I-PLACE"], **shared, "kind": "token_tags",
                   "transition_weight": 0.5, "transitions": []},
        "urgency": {"column": "urgency", "labels": [], **shared, "kind": "regression", "mean": 0.5, "deviation": 0.25},
        "topics": {"column": "topics", "labels": ["money", "parcel"], **shared, "kind": "multi_label"},
    }  # fmt: skip
    (folder := tmp_path / "model").mkdir()
    save_network(new_network(tiny_encoder, linear), tiny_encoder, TokenLimit(max_tokens=16), folder)
    limit = {"max_tokens": 16, "beyond": "cut", "window_overlap": 0}
    (folder / "model.json").write_text(json.dumps({"heads": before, **limit}))
    weights = load_file(folder / "weights.safetensors")
    assert {name for name in weights if name.startswith("layers.")} == {
        f"layers.{task}.1.{part}" for task in linear for part in ("weight", "bias")
    }
    assert load_network(folder)[0].heads == linear


@pytest.mark.parametrize("missing", ["model.json", "weights.safetensors"])
def test_a_network_with_a_file_missing_does_not_load(saved_network: Path, tmp_path: Path, missing: str) -> None:
    folder = shutil.copytree(saved_network, tmp_path / "model")
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError):
        load_network(folder)
