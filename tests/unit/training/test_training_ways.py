"""Trainings with other samplings, weightings and schedules than the default, and tasks that stop early."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from tasks.modeling.heads import AnyHead

Train = Callable[..., Any]
Toys = list[dict[str, Any]]
TASKS = ("intent", "places", "urgency")
WAYS: dict[str, dict[str, Any]] = {
    "proportional": {"sampling": {"kind": "proportional"}},
    "uniform": {"sampling": {"kind": "uniform"}},
    "temperature": {"sampling": {"kind": "temperature"}},
    "annealed": {"sampling": {"kind": "annealed"}},
    "fixed": {"sampling": {"kind": "fixed", "tasks": {"intent": 1, "places": 2, "urgency": 2}}},
    "uncertainty": {"loss_weighting": {"kind": "uncertainty"}},
    "pcgrad": {"loss_weighting": {"kind": "pcgrad"}},
    "normalised": {"loss_weighting": {"kind": "fixed", "normalise": True}},
    "cosine": {"schedule": {"kind": "cosine"}},
    "exponential": {"schedule": {"kind": "exponential"}},
}


@pytest.fixture
def refunds(write_splits: Callable[..., Path], toy_rows: Toys) -> Path:
    """The toy problem, validated on a single row: once its answer is right there is nothing to gain."""
    return write_splits("refunds", toy_rows, [row for row in toy_rows if row["intent"] == "refund"][:1])


def weights(folder: Path) -> dict[str, Tensor]:
    """The weights of the model that a training left in `folder`."""
    found: dict[str, Tensor] = load_file(folder / "model" / "weights.safetensors")
    return found


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Steps and values of one curve."""
    events = EventAccumulator(str(folder / "curves"), size_guidance={"scalars": 0}).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


@pytest.mark.parametrize("way", WAYS)
def test_the_problem_is_learnt_in_every_way(way: str, train: Train) -> None:
    # A drawn row teaches one task of three.
    epochs = 24 if "sampling" in WAYS[way] else 8
    assert train(way, epochs=epochs, patience_epochs=epochs, **WAYS[way]).validation_skill > 0.9


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_another_than_the_default(way: str, train: Train, tmp_path: Path) -> None:
    train("default", epochs=1)
    train("other", epochs=1, **WAYS[way])
    default, other = weights(tmp_path / "default"), weights(tmp_path / "other")
    assert any(not torch.equal(default[name], other[name]) for name in default)


@pytest.mark.parametrize("way", ["temperature", "fixed", "uncertainty", "pcgrad"])
def test_the_cut_into_micro_batches_does_not_change_the_weights(way: str, train: Train, tmp_path: Path) -> None:
    train("whole", epochs=1, tokens_per_batch=4096, **WAYS[way])
    train("cut", epochs=1, rows_per_batch=1, **WAYS[way])
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert any(not torch.equal(whole[name], cut[name]) for name in whole)  # or nothing was cut
    for name, value in whole.items():
        assert torch.allclose(value, cut[name], rtol=0, atol=1e-4), name


def test_curves_show_what_share_each_task_had_and_what_its_loss_was_weighed_by(train: Train, tmp_path: Path) -> None:
    for name, settings in {"plain": {}, "fixed": WAYS["fixed"], "learnt": WAYS["uncertainty"]}.items():
        train(name, epochs=2, **settings)
    weight = {"intent": 1.0, "places": 3.0, "urgency": 1.0}
    for task, share in {"intent": 0.2, "places": 0.4, "urgency": 0.4}.items():
        assert curve(tmp_path / "plain", f"task_share/{task}") == [(at, pytest.approx(1 / 3)) for at in (5, 10)]
        assert curve(tmp_path / "fixed", f"task_share/{task}") == [(at, pytest.approx(share)) for at in (5, 10)]
        assert curve(tmp_path / "plain", f"loss_weight/{task}") == [(5, weight[task]), (10, weight[task])]
        # A step of AdamW moves a log variance by at most about the learning rate of heads, 2e-2.
        learnt = curve(tmp_path / "learnt", f"loss_weight/{task}")
        assert [step for step, _ in learnt] == [5, 10]
        assert all(0.75 < value / weight[task] < 1.3 and value != weight[task] for _, value in learnt)


def test_annealed_shares_go_from_those_of_the_rows_to_the_same_over_all_epochs(
    train: Train, write_splits: Callable[..., Path], toy_rows: Toys, tmp_path: Path
) -> None:
    rows = [{**row, "urgency": row["urgency"] if number < 20 else None} for number, row in enumerate(toy_rows)]
    train("annealed", splits=write_splits("sparse", rows, toy_rows[:12]), epochs=3, **WAYS["annealed"])
    shares = [share for _, share in curve(tmp_path / "annealed", "task_share/urgency")]
    # 20 of 40 + 40 + 20 rows; their square roots; and the same for all three tasks. Within a row of 40.
    assert shares == pytest.approx([1 / 5, 20**0.5 / (2 * 40**0.5 + 20**0.5), 1 / 3], abs=1 / 40)


def test_the_learning_rate_is_halved_where_validation_stands_still(
    train: Train, refunds: Path, toy_heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    settings = {"epochs": 12, "patience_epochs": 3, "schedule": {"kind": "reduce_on_plateau"}, "warmup_share": 0.0}
    facts = train("still", splits=refunds, heads={"intent": toy_heads["intent"]}, **settings)
    assert facts.epochs == facts.best_epoch + 3 < 12
    rates = [rate for _, rate in curve(tmp_path / "still", "learning_rate")]
    last_of_epochs = rates[4::5]
    assert last_of_epochs[facts.best_epoch - 1 :] == pytest.approx([5e-3 * share for share in (1, 1, 0.5, 0.25)])


@pytest.mark.parametrize("kind", ["all", "uniform"])
def test_a_task_that_has_stopped_is_taught_no_more_while_the_others_learn_on(
    kind: str,
    train: Train,
    write_splits: Callable[..., Path],
    toy_rows: Toys,
    toy_heads: dict[str, AnyHead],
    tmp_path: Path,
) -> None:
    # What is learnt of intent is the opposite of what validation asks for, so it gets worse from some epoch on.
    other = {"refund": "delivery", "delivery": "refund"}
    splits = write_splits("opposite", toy_rows, [{**row, "intent": other[row["intent"]]} for row in toy_rows[:12]])
    settings = {"epochs": 10, "patience_epochs": 10, "task_patience_epochs": 2, "sampling": {"kind": kind}}
    # By angles the places are found, and nothing of intent is right, from the first epochs on.
    linear = {task: toy_heads[task].model_copy(update={"classifier": "linear"}) for task in ("intent", "places")}
    heads = {**toy_heads, **linear}
    train("stopping", splits=splits, heads=heads, **settings)
    shares = [share for _, share in curve(tmp_path / "stopping", "task_share/intent")]
    stopped = shares.index(0.0)
    assert 2 <= stopped < 10
    assert shares[stopped:] == [0.0] * (len(shares) - stopped)
    last = {task: curve(tmp_path / "stopping", f"loss/{task}")[-1][0] for task in TASKS}
    assert last["intent"] < 5 * stopped < last["urgency"]


def test_a_training_in_which_all_tasks_have_stopped_is_over(
    train: Train, refunds: Path, toy_heads: dict[str, AnyHead]
) -> None:
    settings = {"epochs": 12, "patience_epochs": 12, "task_patience_epochs": 2}
    facts = train("still", splits=refunds, heads={"intent": toy_heads["intent"]}, **settings)
    assert facts.epochs == facts.best_epoch + 2 < 12
