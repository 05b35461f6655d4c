"""Batches with rows of padding behind them: of few sizes, and what is learnt from them is the same."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tasks.modeling.encoder import set_dropout
from tasks.modeling.heads import AnyHead, MultiLabelHead, OrdinalHead, RegressionHead, SingleLabelHead, SpanHead
from tasks.modeling.network import MultiTaskNetwork, new_network
from tasks.modeling.packing import pack
from tasks.training.gradients import StepGradients
from tasks.training.rows import Batch, Rows, read_rows
from tasks.training.teaching import Teacher
from tasks.training.widening import Size, size_above, size_of, size_rounded, widened

WINDOWS = [3, 0, 17, 9, 30, 22, 5]
OF_PAIRS: dict[str, AnyHead] = {
    "answer": SpanHead(column="answer", dropout=0.0),
    "holds": SingleLabelHead(column="holds", labels=("no", "yes"), dropout=0.0, pooling="attention"),
    "fits": RegressionHead(column="fits", dropout=0.0),
}
OF_TEXTS: dict[str, AnyHead] = {
    "topics": MultiLabelHead(column="topics", labels=("money", "parcel"), dropout=0.0),
    "haste": OrdinalHead(column="haste", labels=("low", "middle", "high"), dropout=0.0),
}


def toys_with_topics(rows: Rows, heads: dict[str, AnyHead]) -> Rows:
    """The rows with the labels of a list and of a scale, some of them missing."""
    texts = range(len(rows.lengths))
    topics: list[Any] = [None if at % 5 == 3 else ["money", "parcel"][: at % 3] for at in texts]
    haste: list[Any] = [None if at % 7 == 2 else ("low", "middle", "high")[at % 3] for at in texts]
    labels = {"topics": topics, "haste": haste}
    return Rows(rows.tokens, labels, labels)


@pytest.fixture(params=["toys", "topics", "pairs"])
def case(
    request: pytest.FixtureRequest,
    toy_splits: Path,
    toy_heads: dict[str, AnyHead],
    write_pairs: Callable[..., Path],
    pair_rows: list[dict[str, Any]],
) -> tuple[Rows, dict[str, AnyHead]]:
    """Rows of training and their heads: every kind of head is one of some case."""
    folder, heads = toy_splits, toy_heads
    if request.param == "pairs":
        folder, heads = write_pairs("pairs", pair_rows), OF_PAIRS
    rows = read_rows(folder / "snapshot", folder / "tokens", "train", heads if request.param != "topics" else {})
    heads = OF_TEXTS if request.param == "topics" else heads
    rows = toys_with_topics(rows, heads) if request.param == "topics" else rows
    return rows, {task: head.fit(rows.labels[task]) for task, head in heads.items()}


def learn(network: MultiTaskNetwork, batch: Batch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Losses and gradients."""
    network.zero_grad()
    states = network.states(batch.input_ids, batch.mask, batch.segments)
    logits = network.logits(states, batch.mask, batch.words, list(network.heads))
    losses = {task: head.loss(logits[task], batch.targets[task]) for task, head in network.heads.items()}
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    gradients = {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}
    return losses, {name: gradient.clone() for name, gradient in gradients.items()}


@pytest.mark.parametrize("sized", [size_above, size_rounded])
@pytest.mark.parametrize("packed", [True, False])
def test_a_wider_batch_has_the_same_losses_and_gradients(
    case: tuple[Rows, dict[str, AnyHead]], packed: bool, sized: Callable[[Size], Size | None], tiny_encoder: Path
) -> None:
    rows, heads = case
    torch.manual_seed(0)
    network = new_network(tiny_encoder, heads).train()
    set_dropout(network.encoder, 0.0)
    network.packed = pack(network.encoder) and packed
    batch = rows.batch(WINDOWS, heads, 0)
    size = sized(size_of(batch))
    assert size is not None
    wide = widened(batch, size, heads, 0)
    assert size_of(wide) == size != size_of(batch)
    assert torch.equal(wide.mask[: len(WINDOWS), : batch.mask.shape[1]], batch.mask)
    assert int(wide.mask.sum(dim=1).min()) > 0

    (losses, gradients), (found, found_gradients) = learn(network, batch), learn(network, wide)
    assert all(float(loss) > 0 for loss in losses.values())  # or nothing was compared
    for task, loss in losses.items():
        assert torch.allclose(found[task], loss, rtol=1e-5), task
    assert found_gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(found_gradients[name], gradient, rtol=1e-4, atol=1e-5), name


def test_only_the_tasks_that_a_batch_teaches_have_to_be_there(toy_splits: Path, toy_heads: dict[str, AnyHead]) -> None:
    rows = read_rows(toy_splits / "snapshot", toy_splits / "tokens", "train", toy_heads)
    batch = rows.batch(WINDOWS, toy_heads, 0)
    batch = replace(batch, targets={"intent": batch.targets["intent"]})
    wide = widened(batch, Size(256, 16, 32), toy_heads, 0)
    assert list(wide.targets) == ["intent"]
    assert wide.targets["intent"][: len(WINDOWS)].tolist() == batch.targets["intent"].tolist()


@pytest.mark.parametrize(
    ("size", "above"),
    [
        (Size(240, 8, 20), Size(256, 24, 32)),
        (Size(241, 8, 20), Size(512, 24, 32)),  # each of 16 rows more has a token
        (Size(500, 31, 33), Size(768, 48, 64)),
        (Size(2100, 128, 64), Size(2560, 152, 64)),
        (Size(1, 1, 1), Size(256, 24, 32)),
        (Size(3030, 40, 300), Size(3072, 64, 512)),
        (Size(3060, 40, 300), None),
        (Size(9000, 40, 300), None),
    ],
)
def test_sizes_are_rounded_up_to_those_of_recordings(size: Size, above: Size | None) -> None:
    assert size_above(size) == above


def test_rows_of_padding_have_a_token_each_and_no_more_than_an_encoder_has_positions_for() -> None:
    for rows in range(1, 140):
        for tokens in range(rows, 3100, 13):
            above = size_above(Size(tokens, rows, 20))
            if above is not None:
                assert above.rows - rows <= above.tokens - tokens <= 32 * (above.rows - rows), (rows, tokens, above)
            else:
                assert tokens > 3000


@pytest.mark.parametrize(
    ("size", "rounded"),
    [
        (Size(320, 16, 30), None),
        (Size(321, 16, 40), Size(352, 17, 40)),
        (Size(321, 16, 10), Size(352, 20, 10)),  # 31 tokens are four rows of at most ten
        (Size(31, 31, 1), Size(32, 32, 1)),
    ],
)
def test_sizes_are_rounded_to_whole_32_tokens(size: Size, rounded: Size | None) -> None:
    assert size_rounded(size) == rounded


def test_many_sizes_become_a_few() -> None:
    sizes = [Size(tokens, 32, longest) for tokens in range(300, 900, 7) for longest in range(17, 65)]
    assert len({size_above(size) for size in sizes}) <= 8


@pytest.mark.parametrize(("bf16", "packed", "tokens"), [(True, True, 96), (False, True, 67), (True, False, 91)])
def test_a_processor_is_given_whole_32_tokens_in_bf16_and_what_is_learnt_is_the_same(
    bf16: bool, packed: bool, tokens: int, toy_splits: Path, toy_heads: dict[str, AnyHead], tiny_encoder: Path
) -> None:
    rows = read_rows(toy_splits / "snapshot", toy_splits / "tokens", "train", toy_heads)
    torch.manual_seed(0)
    network = new_network(tiny_encoder, toy_heads).train()
    set_dropout(network.encoder, 0.0)
    network.packed = pack(network.encoder) and packed
    gradients, device = StepGradients(dict.fromkeys(toy_heads, 1.0)), torch.device("cpu")
    teacher = Teacher(network, gradients, None, 0, device, bf16=bf16, recorded=True)
    batch = rows.batch(WINDOWS, toy_heads, 0)
    assert teacher.computed_tokens(batch) == tokens
    losses = teacher.teach(batch, dict.fromkeys(toy_heads, 1.0), WINDOWS)
    expected, _ = learn(network, batch)
    for task, loss in losses.items():
        assert float(loss) == pytest.approx(float(expected[task]), rel=2e-2 if bf16 else 1e-5), task
