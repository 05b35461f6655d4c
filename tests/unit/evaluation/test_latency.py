import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.evaluation import latency
from tasks.evaluation.latency import latency_of, measure_cost, read_cost, texts_in_domain, write_cost
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead, SpanHead, TokenTagHead
from tasks.modeling.limits import TokenLimit

Write = Callable[..., Path]
TEXTS = ["where is my refund ?", "thanks !", "the parcel went to Oslo and not to Lima"]


@pytest.fixture(scope="module")
def model(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with heads of texts, of words and of answers in a text, which has learnt nothing."""
    import torch

    from tasks.modeling.network import new_network, save_network

    heads: dict[str, AnyHead] = {
        "intent": SingleLabelHead(column="intent", labels=("refund", "delivery")),
        "places": TokenTagHead(column="tags", labels=("O", "B-PLACE", "I-PLACE")),
        "urgency": RegressionHead(column="urgency"),
        "answer": SpanHead(column="answer"),
    }
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_network(new_network(tiny_encoder, heads), tiny_encoder, TokenLimit(max_tokens=32), folder)
    return folder


@pytest.fixture
def few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four single texts and two batches of 32."""
    monkeypatch.setattr(latency, "BATCHES", {1: 4, 32: 2})


@pytest.mark.usefixtures("few_batches")
@pytest.mark.parametrize("seconds", [None, ["it is on its way", None, "to Oslo"]], ids=["texts", "pairs"])
def test_the_model_answers_single_texts_and_batches_in_a_time_that_is_measured(
    model: Path, seconds: list[str | None] | None
) -> None:
    cost = measure_cost(model, TEXTS, seconds)
    assert [(found.batch_size, found.batches) for found in cost.latencies] == [(1, 4), (32, 2)]
    assert all(0 < found.p50_ms <= found.p99_ms for found in cost.latencies)
    assert cost.device


def test_half_of_the_batches_and_ninety_nine_in_a_hundred_are_within_the_quantiles() -> None:
    # A hundred and one batches of two texts, of 1 to 101 milliseconds, which are 5.151 seconds.
    found = latency_of(2, [milliseconds / 1000 for milliseconds in range(1, 102)])
    assert (found.batch_size, found.batches) == (2, 101)
    assert (found.p50_ms, found.p99_ms) == pytest.approx((51, 100))
    assert found.texts_per_second == pytest.approx(202 / 5.151)


@pytest.mark.usefixtures("few_batches")
def test_size_is_that_of_files_and_parameters(model: Path) -> None:
    from safetensors.torch import load_file

    cost = measure_cost(model, TEXTS)
    files = [path for path in model.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"weights.safetensors", "model.json", "tokenizer.json"}
    assert cost.bytes == sum(len(path.read_bytes()) for path in files)
    weights = load_file(model / "weights.safetensors")
    assert cost.parameters == sum(tensor.numel() for tensor in weights.values())


def test_timing_ends_when_the_time_for_it_is_up(model: Path) -> None:
    assert [found.batches for found in measure_cost(model, TEXTS, limit_seconds=0).latencies] == [1, 1]


def test_without_a_text_there_is_no_latency(model: Path) -> None:
    cost = measure_cost(model, [])
    assert cost.latencies == ()
    assert cost.latency(1) is None


def test_texts_and_their_seconds_are_those_of_the_in_domain_rows(write_rows: Write) -> None:
    snapshot = write_rows("test", text=["a", "b"], context=["c", None])
    assert texts_in_domain(snapshot, "text", None) == (["a", "b"], None)
    assert texts_in_domain(snapshot, "text", "context") == (["a", "b"], ["c", None])


@pytest.mark.usefixtures("few_batches")
def test_a_cost_comes_back_from_disk_as_it_was(model: Path, tmp_path: Path) -> None:
    cost = measure_cost(model, TEXTS)
    write_cost(tmp_path / "cost.json", cost)
    assert read_cost(tmp_path / "cost.json") == cost
    assert json.loads((tmp_path / "cost.json").read_text())["latencies"][0]["batch_size"] == 1
