"""Trainings of a two-layer encoder on forty rows."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor

from data_contracts.errors import InputError
from tasks.modeling.calibration import fit_temperature
from tasks.modeling.encoder import set_dropout
from tasks.modeling.heads import AnyHead
from tasks.modeling.inference import run_network
from tasks.modeling.network import load_network, new_network
from tasks.modeling.packing import pack
from tasks.training import kept_states
from tasks.training.imprinting import imprint_heads
from tasks.training.loop import fine_tune, has_fast_bf16
from tasks.training.optimiser import parameter_groups
from tasks.training.plan import plan_epoch
from tasks.training.ranks import ALONE
from tasks.training.recipe import Recipe
from tasks.training.rows import read_rows
from tasks.training.selection import validation_scores

Train = Callable[..., Any]
Toys = list[dict[str, Any]]


def weights(folder: Path) -> dict[str, Tensor]:
    """The weights of the model that a training left in `folder`."""
    found: dict[str, Tensor] = load_file(folder / "model" / "weights.safetensors")
    return found


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether all weights are equal to the bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def curve(folder: Path, tag: str) -> list[tuple[int, float]]:
    """Steps and values of one curve."""
    events = EventAccumulator(str(folder / "curves")).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_a_learnable_problem_is_learnt(train: Train, tmp_path: Path) -> None:
    facts = train("toys")
    # The majority scores 0.5, 0 and 0 on intent, places and urgency.
    assert facts.validation_skill > 0.9
    assert (facts.epochs, facts.steps) == (8, 40)
    for task in ("intent", "places", "urgency"):
        losses = [loss for _, loss in curve(tmp_path / "toys", f"loss/{task}")]
        assert sum(losses[-5:]) < 0.1 * sum(losses[:5])


@pytest.mark.parametrize(("amx", "avx512", "expected"), [(0, 0, False), (1, 0, True), (0, 1, True), (1, 1, True)])
def test_a_processor_computes_in_bf16_where_it_has_instructions_for_it(
    amx: bool, avx512: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: avx512)
    assert has_fast_bf16(torch.device("cpu")) is expected


def test_steps_are_as_large_as_the_labels_ask_for_where_nothing_else_is_said(train: Train) -> None:
    # Forty rows with all labels, in steps of 32.
    assert train("own_size", rows_per_step=None, epochs=1).steps == 2


def test_the_model_that_is_kept_scores_what_was_reported(train: Train, toy_splits: Path, tmp_path: Path) -> None:
    facts = train("toys", epochs=3)
    network, limit = load_network(tmp_path / "toys" / "model")
    rows = read_rows(toy_splits / "snapshot", toy_splits / "tokens", "validation", network.heads)
    scores = validation_scores(network, rows, pad_id=0)
    assert (limit.max_tokens, limit.beyond) == (24, "cut")
    assert set(scores) == {"intent", "places", "urgency"}
    assert sum(scores.values()) / 3 == pytest.approx(facts.validation_skill, abs=1e-6)


def test_the_confidences_of_the_model_that_is_kept_are_calibrated_on_validation(
    train: Train, toy_splits: Path, tmp_path: Path
) -> None:
    train("toys", epochs=3)
    network, _ = load_network(tmp_path / "toys" / "model")
    rows = read_rows(toy_splits / "snapshot", toy_splits / "tokens", "validation", network.heads)
    head = network.heads["intent"]
    scores = run_network(network, rows.tokens, pad_id=0).label_scores["intent"]
    best = fit_temperature(scores, [head.labels.index(label) for label in rows.labels["intent"]])
    assert head.temperature == pytest.approx(best)
    assert head.temperature != pytest.approx(1.0, abs=0.05)


def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others(train: Train, tmp_path: Path) -> None:
    for name, seed in {"first": 1, "again": 1, "other": 2}.items():
        train(name, epochs=1, seed=seed, encoder_dropout=0.1)
    assert same(weights(tmp_path / "first"), weights(tmp_path / "again"))
    assert not same(weights(tmp_path / "first"), weights(tmp_path / "other"))


def test_training_takes_denormal_numbers_for_zero_and_leaves_them_to_others(train: Train) -> None:
    seen = []
    train("toys", epochs=1, report=lambda *_: seen.append(float(torch.tensor(1e-40) * 1)))
    assert len(seen) == 5
    assert set(seen) == {0.0}
    assert float(torch.tensor(1e-40) * 1) > 0


def test_the_cut_into_micro_batches_does_not_change_the_weights(train: Train, tmp_path: Path) -> None:
    train("whole", epochs=2, tokens_per_batch=4096)
    train("cut", epochs=2, tokens_per_batch=16)
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert not same(whole, cut)  # or nothing was cut
    for name, value in whole.items():
        assert torch.allclose(value, cut[name], rtol=0, atol=1e-5), name


def test_a_row_without_a_label_for_one_task_still_teaches_the_others(
    train: Train, write_splits: Callable[..., Path], toy_rows: Toys, tmp_path: Path
) -> None:
    longest = max(range(40), key=lambda row: len(toy_rows[row]["text"].split()))
    rows = [{**row, "intent": row["intent"] if n % 5 else None} for n, row in enumerate(toy_rows)]
    rows = [{**row, "places": None if n % 7 == 3 or n == longest else row["places"]} for n, row in enumerate(rows)]
    rows = [{**row, "urgency": None if n % 3 == 0 else row["urgency"]} for n, row in enumerate(rows)]
    facts = train("gaps", splits=write_splits("gaps_data", rows, rows[:12]))
    assert facts.validation_skill > 0.9


def test_a_step_without_any_label_of_a_task_does_not_stop_the_training_and_rows_without_any_are_in_none(
    train: Train, write_splits: Callable[..., Path], toy_rows: Toys, toy_heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    rows = [
        {**row, "intent": row["intent"] if n < 8 else None, "urgency": row["urgency"] if 8 <= n < 30 else None}
        for n, row in enumerate(toy_rows)
    ]
    splits = write_splits("sparse", rows, toy_rows[:12])
    heads = {task: toy_heads[task] for task in ("intent", "urgency")}
    facts = train("sparse_run", splits=splits, heads=heads, rows_per_step=2, epochs=2)
    assert facts.steps == 2 * 15
    assert 0 < len(curve(tmp_path / "sparse_run", "loss/intent")) <= 2 * 8


def test_what_stands_behind_the_token_limit_is_learnt_in_windows_and_not_where_texts_are_cut(
    train: Train, write_splits: Callable[..., Path], toy_rows: Toys
) -> None:
    told = "well you see the thing is that last week I was not at all sure what to do ,"
    opening = told.split() * 2
    rows = [
        {
            **row,
            "text": " ".join([*opening, row["text"]]),
            "places": {
                "tokens": [*opening, *row["places"]["tokens"]],
                "tags": ["O"] * len(opening) + row["places"]["tags"],
            },
        }
        for row in toy_rows
    ]
    skills = {}
    for beyond in ("cut", "windows"):
        splits = write_splits(beyond, rows, rows[:12], beyond=beyond, window_overlap=8)
        skills[beyond] = train(f"{beyond}_run", splits=splits).validation_skill
    assert skills["windows"] > 0.9 > 0.4 > skills["cut"]


def test_validation_rows_without_any_label_of_a_task_are_refused(
    train: Train, write_splits: Callable[..., Path], toy_rows: Toys
) -> None:
    blank = [{**row, "places": None, "intent": None} for row in toy_rows[:6]]
    with pytest.raises(InputError, match=r"(?s)validation.*intent.*places") as caught:
        train("blind", splits=write_splits("blank", toy_rows, blank))
    assert "urgency" not in str(caught.value)


def test_training_stops_early_and_keeps_the_best_epoch(
    train: Train, write_splits: Callable[..., Path], toy_rows: Toys, toy_heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    # What is learnt is the opposite of what validation asks for, so learning more makes it worse.
    other = {"refund": "delivery", "delivery": "refund"}
    wrong = [{**row, "intent": other[row["intent"]]} for row in toy_rows[:12]]
    splits = write_splits("opposite", toy_rows, wrong)
    # From angles it would be wrong of all rows at once.
    intent = toy_heads["intent"].model_copy(update={"classifier": "linear"})
    facts = train("early", splits=splits, heads={"intent": intent}, epochs=30, patience_epochs=2)
    skills = curve(tmp_path / "early", "validation/skill")
    assert len(skills) == facts.epochs == facts.best_epoch + 2 < 30
    assert facts.validation_skill == pytest.approx(skills[facts.best_epoch - 1][1])
    assert max(value for _, value in skills) == skills[facts.best_epoch - 1][1] > skills[-1][1]
    network, _ = load_network(tmp_path / "early" / "model")
    kept = validation_scores(network, read_rows(splits / "snapshot", splits / "tokens", "validation", network.heads), 0)
    assert kept["intent"] == pytest.approx(facts.validation_skill)


def test_curves_show_losses_learning_rate_and_validation(train: Train, tmp_path: Path) -> None:
    facts = train("curves", epochs=2, warmup_share=0.2)
    folder = tmp_path / "curves"
    assert facts.steps == 10
    for task in ("intent", "places", "urgency"):
        assert [step for step, _ in curve(folder, f"loss/{task}")] == list(range(10))
    for task in ("intent", "places", "urgency", "skill"):
        assert [step for step, _ in curve(folder, f"validation/{task}")] == [5, 10]
    # Two steps of warm-up to 5e-3, then down in a line that would reach 0 after the tenth.
    rates = [rate for _, rate in curve(folder, "learning_rate")]
    assert rates == pytest.approx([5e-3 * share for share in (1 / 2, 1, 1, *(n / 8 for n in range(7, 0, -1)))])
    for tag in ("gradient_norm", "tokens_per_second", "padding_share"):
        assert len(curve(folder, tag)) == 10
    assert all(0 <= share < 1 for _, share in curve(folder, "padding_share"))


def test_the_first_loss_is_that_of_the_untrained_network(
    train: Train, tiny_encoder: Path, toy_splits: Path, toy_heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    heads: dict[str, AnyHead] = {"intent": toy_heads["intent"]}
    train("one", heads=heads, epochs=1, rows_per_step=40, seed=5)
    rows = read_rows(toy_splits / "snapshot", toy_splits / "tokens", "train", heads)
    torch.manual_seed(5)
    network = new_network(tiny_encoder, heads).eval()
    imprint_heads(network, rows, 0, ALONE)
    batch = rows.batch(range(40), heads, pad_id=0)
    with torch.no_grad():
        logits, _ = network(batch.input_ids, batch.mask, batch.words, ["intent"])
    expected = float(heads["intent"].loss(logits["intent"], batch.targets["intent"])) / 40
    assert curve(tmp_path / "one", "loss/intent") == [(0, pytest.approx(expected, rel=1e-5))]


def test_frozen_layers_keep_their_weights_and_the_rest_learns(train: Train, tiny_encoder: Path, tmp_path: Path) -> None:
    train("frozen", epochs=1, frozen_layers=1)
    before = load_file(tiny_encoder / "model.safetensors")
    after = weights(tmp_path / "frozen")
    kept = {name for name in after if name.startswith("encoder.") and torch.equal(after[name], before[name[8:]])}
    assert any("embeddings" in name for name in kept)
    assert {name for name in after if "embeddings" in name or "layer.0." in name} == kept


def test_frozen_layers_computed_once_lead_to_the_weights_that_computing_them_in_every_step_does(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    train("kept", epochs=2, frozen_layers=1)
    assert "computed in every step" not in caplog.text
    monkeypatch.setattr(kept_states, "FREE_BYTES_LEFT", 1 << 60)
    train("in_memory", epochs=2, frozen_layers=1)
    assert "kept in memory" in caplog.text
    monkeypatch.setattr(kept_states, "MOST_BYTES_IN_MEMORY", 0)
    train("computed", epochs=2, frozen_layers=1)
    assert "computed in every step" in caplog.text
    kept, computed = weights(tmp_path / "kept"), weights(tmp_path / "computed")
    assert same(kept, weights(tmp_path / "in_memory"))
    for name, value in kept.items():
        assert torch.allclose(value, computed[name], rtol=0, atol=1e-4), name


def test_heads_can_be_trained_on_an_encoder_that_is_frozen_whole(train: Train, tmp_path: Path) -> None:
    assert train("heads_only", epochs=4, frozen_layers=2).validation_skill > 0.3


def test_a_heavier_loss_weight_pulls_harder(train: Train, toy_heads: dict[str, AnyHead], tmp_path: Path) -> None:
    for name, weight in {"even": 1.0, "heavy": 10.0}.items():
        train(name, heads={"intent": toy_heads["intent"].model_copy(update={"loss_weight": weight})}, epochs=1)
    norms = [curve(tmp_path / name, "gradient_norm")[0][1] for name in ("even", "heavy")]
    losses = [curve(tmp_path / name, "loss/intent")[0][1] for name in ("even", "heavy")]
    assert norms[1] == pytest.approx(10 * norms[0], rel=1e-4)
    assert losses[0] == losses[1]  # the curve is that of the loss itself


def test_a_training_that_diverges_ends_by_saying_where_and_leaves_no_checkpoint_of_it(
    training: Callable[..., dict[str, Any]], toy_heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    # The loss of intent is a number, but not 1e38 times as much of it.
    heads = {**toy_heads, "intent": toy_heads["intent"].model_copy(update={"loss_weight": 1e39})}
    arguments = training("wild", heads=heads, checkpoint_steps=1)
    with pytest.raises(InputError, match=r"diverged: at step 1 the gradient has norm (nan|inf), and .* intent \d"):
        fine_tune(**arguments)
    assert not list(tmp_path.glob("wild/checkpoints/*"))
    assert not list(tmp_path.glob("wild/model/*"))


def test_encoder_and_heads_learn_at_their_own_rates_and_vectors_do_not_decay(
    tiny_encoder: Path, toy_heads: dict[str, AnyHead]
) -> None:
    network = new_network(tiny_encoder, toy_heads)
    recipe = Recipe(encoder_learning_rate=1e-4, head_learning_rate=1e-2, weight_decay=0.3)
    groups = parameter_groups(network, recipe)
    chosen = [weight for group in groups for weight in group["params"]]
    assert {id(weight) for weight in chosen} == {id(weight) for weight in network.parameters()}
    assert len(chosen) == len(list(network.parameters()))
    of_heads = {id(weight) for weight in network.layers.parameters()}
    for group in groups:
        for weight in group["params"]:
            assert group["lr"] == (1e-2 if id(weight) in of_heads else 1e-4)
            assert group["weight_decay"] == (0.3 if weight.ndim == 2 else 0.0)


def test_training_labels_that_nothing_can_be_learnt_from_are_refused_before_any_step(
    train: Train, write_splits: Callable[..., Path], toy_rows: Toys, tmp_path: Path
) -> None:
    constant = write_splits("all_refunds", [{**row, "intent": "refund"} for row in toy_rows], toy_rows[:12])
    with pytest.raises(InputError, match=r"'intent' holds only \['refund'\]"):
        train("constant", splits=constant)
    assert not (tmp_path / "constant" / "curves").exists()


def test_the_default_training_is_that_of_a_plain_loop_to_the_bit(
    train: Train, tiny_encoder: Path, toy_splits: Path, toy_heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    facts = train("default", epochs=2, tokens_per_batch=64, encoder_dropout=0.1)
    rows = read_rows(toy_splits / "snapshot", toy_splits / "tokens", "train", toy_heads)
    heads = {task: head.fit(rows.labels[task]) for task, head in toy_heads.items()}
    torch.manual_seed(13)
    network = new_network(tiny_encoder, heads).train()
    set_dropout(network.encoder, 0.1)
    network.packed = pack(network.encoder)
    imprint_heads(network, rows, 0, ALONE)
    pre_trained = network.encoder.get_input_embeddings().weight.detach().clone()  # type: ignore[operator]
    groups = [
        {"params": [p for p in part.parameters() if (p.ndim > 1) == matrix], "lr": rate, "weight_decay": 0.01 * matrix}
        for part, rate in ((network.encoder, 5e-3), (network.layers, 2e-2))
        for matrix in (True, False)
    ]
    optimiser = torch.optim.AdamW(groups, fused=True)
    # Ten steps, the first of which is the warm-up.
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(step + 1, (10 - step) / 9))
    after_epochs = []
    for epoch in range(2):
        for step in plan_epoch(
            rows.lengths, rows.labelled, rows_per_step=8, tokens_per_batch=64, seed=13, epoch=epoch, packed=True
        ):
            batches = [rows.batch(batch.rows, heads, pad_id=0) for batch in step.micro_batches]
            counts = {task: sum(int(of.present(b.targets[task]).sum()) for b in batches) for task, of in heads.items()}
            for batch in batches:
                logits, _ = network(batch.input_ids, batch.mask, batch.words, list(heads))
                losses = [
                    of.loss_weight * (of.loss(logits[t], batch.targets[t]) / counts[t]) for t, of in heads.items()
                ]
                torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
        after_epochs.append({name: value.clone() for name, value in network.state_dict().items()})
    assert facts.steps == 10
    assert not same(*after_epochs)
    found, expected = weights(tmp_path / "default"), after_epochs[facts.best_epoch - 1]
    name = "encoder.embeddings.word_embeddings.weight"
    occurring = sorted({token for ids in rows.tokens.input_ids for token in ids})
    others = [token for token in range(len(pre_trained)) if token not in occurring]
    assert torch.equal(found.pop(name)[others], pre_trained[others])
    assert torch.equal(weights(tmp_path / "default")[name][occurring], expected.pop(name)[occurring])
    assert same(found, expected)


def test_a_model_below_its_floors_is_written_and_the_log_says_so(
    train: Train, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        train("above", epochs=1, skill_floors={"places": 0.0})
        assert "skill_floors" not in caplog.text
        train("below", epochs=1, skill_floors={"places": 0.0, "urgency": 2.0})
    assert "no epoch reached all skill_floors; the best is below that of urgency" in caplog.text


def test_settings_that_name_other_tasks_are_refused_all_at_once(train: Train) -> None:
    sampling = {"kind": "fixed", "tasks": {"intent": 1, "places": 1}}
    with pytest.raises(InputError) as caught:
        train("other", sampling=sampling, skill_floors={"colour": 0.5})
    assert str(caught.value) == (
        "the training settings do not fit the heads, which are intent, places, urgency\n"
        "  - sampling.tasks gives urgency no part\n"
        "  - skill_floors: no head is called colour\n"
        "Name each head as it is called, or take the key out."
    )
