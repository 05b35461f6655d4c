"""Multi-task fine-tuning: one optimiser step takes the mean loss of each task over all rows of the step."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from data_contracts.errors import InputError
from tasks.modeling.encoder import freeze, set_dropout
from tasks.modeling.heads import AnyHead, WordTensors
from tasks.modeling.inference import device_of_choice, lower_precision, run_network
from tasks.modeling.limits import read_limit
from tasks.modeling.network import MultiTaskNetwork, new_network, save_network
from tasks.modeling.tokens import TextEncoder
from tasks.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from tasks.training.plan import Step, plan_epoch
from tasks.training.recipe import Recipe
from tasks.training.rows import Rows, read_rows
from tasks.training.trunk import Trunk, trunk_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingFacts:
    """What came of a training."""

    best_epoch: int
    epochs: int
    steps: int
    validation_skill: float


def fine_tune(
    snapshot: Path,
    tokens: Path,
    encoder: Path,
    heads: Mapping[str, AnyHead],
    recipe: Recipe,
    *,
    checkpoints: Path,
    curves: Path,
    output: Path,
) -> TrainingFacts:
    """Trains, keeps the epoch with the best validation skill, and writes it to `output`.

    A checkpoint in `checkpoints` is taken up where it stands; on the CPU the result is then the same to the bit.
    Raises InputError for labels that nothing can be learnt from, or chosen by.
    """
    labelled = read_rows(snapshot, tokens, "train", heads)
    heads = {task: head.fit(labelled.labels[task]) for task, head in heads.items()}
    validation = read_rows(snapshot, tokens, "validation", heads)
    _check_validation(validation)
    torch.manual_seed(recipe.seed)
    network = new_network(encoder, heads)
    set_dropout(network.encoder, recipe.encoder_dropout)
    if recipe.frozen_layers is not None:
        freeze(network.encoder, recipe.frozen_layers)
    limit = read_limit(tokens)
    pad_id = TextEncoder(encoder, limit).pad_id
    progress = _Trainer(network, recipe, labelled, pad_id, checkpoints, curves).run(validation)
    network.load_state_dict(progress.best_weights)
    save_network(network.cpu(), encoder, limit, output)
    return TrainingFacts(progress.best_epoch, progress.epoch, progress.step, progress.best_skill)


def validation_scores(network: MultiTaskNetwork, rows: Rows, pad_id: int) -> dict[str, float]:
    """{task: primary metric} on the rows that have a label for the task."""
    outputs = run_network(network, rows.tokens, pad_id=pad_id)
    found = {}
    for task, head in network.heads.items():
        known = [row for row, label in enumerate(rows.labels[task]) if label is not None]
        sums = head.statistics([outputs.answers[task][r] for r in known], [rows.labels[task][r] for r in known]).sum(
            axis=0
        )
        found[task] = float(head.score_of_sums(sums[None])[0])
    return found


class _Trainer:
    """Network, optimiser, schedule and position of one training."""

    def __init__(
        self, network: MultiTaskNetwork, recipe: Recipe, rows: Rows, pad_id: int, checkpoints: Path, curves: Path
    ) -> None:
        self.device = device_of_choice()
        self.network = network.to(self.device)
        self.recipe = recipe
        self.rows = rows
        self.pad_id = pad_id
        self.checkpoint = checkpoints / "checkpoint.pt"
        self.curves = curves
        self.bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and has_fast_bf16(self.device))
        self.optimiser = torch.optim.AdamW(parameter_groups(network, recipe), fused=True)
        total = len(self._plan(0)) * recipe.epochs
        warmup = max(1, math.ceil(total * recipe.warmup_share))
        self.total_steps = total
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: min((step + 1) / warmup, max(0.0, (total - step) / max(1, total - warmup)))
        )
        self.progress = Progress()
        self.trunk = self._trunk()

    def run(self, validation: Rows) -> Progress:
        """Trains to the last epoch, or until validation has not improved for `patience_epochs`."""
        if self.checkpoint.exists():
            self.progress = load_checkpoint(self.checkpoint, self.network, self.optimiser, self.schedule)
            logger.info("resuming at epoch %d, step %d", self.progress.epoch + 1, self.progress.step)
        now = self.progress
        precision = "bf16" if self.bf16 else "fp32"
        logger.info("training on %s in %s, %d steps at most", self.device, precision, self.total_steps)
        bar = tqdm(total=self.total_steps, initial=now.step, desc="training", unit="step", disable=None, leave=False)
        with bar, SummaryWriter(str(self.curves), purge_step=now.step) as writer:
            while now.epoch < self.recipe.epochs and now.stale_epochs < self.recipe.patience_epochs:
                plan = self._plan(now.epoch)
                while now.step_in_epoch < len(plan):
                    losses = self._step(plan[now.step_in_epoch], writer)
                    now.step_in_epoch += 1
                    now.step += 1
                    bar.update()
                    bar.set_postfix(epoch=now.epoch + 1, loss=f"{losses:.2f}")
                    if now.step % self.recipe.checkpoint_steps == 0:
                        writer.flush()
                        save_checkpoint(self.checkpoint, self.network, self.optimiser, self.schedule, now)
                self._end_epoch(validation, writer)
        return now

    def _trunk(self) -> Trunk | None:
        frozen, recipe = self.recipe.frozen_layers, self.recipe
        if not frozen or recipe.encoder_dropout:
            return None
        self.network.train()
        ids = self.rows.tokens.input_ids
        return trunk_of(self.network.encoder, frozen, ids, self.pad_id, recipe.tokens_per_batch, bf16=self.bf16)

    def _plan(self, epoch: int) -> list[Step]:
        return plan_epoch(
            self.rows.lengths,
            rows_per_step=self.recipe.rows_per_step,
            tokens_per_batch=self.recipe.tokens_per_batch,
            seed=self.recipe.seed,
            epoch=epoch,
        )

    def _step(self, step: Step, writer: Any) -> float:
        started = time.perf_counter()
        self.network.train()
        heads = self.network.heads
        batches = [self.rows.batch(rows, heads, self.pad_id) for rows in step.micro_batches]
        counts = {task: sum(int(head.present(b.targets[task]).sum()) for b in batches) for task, head in heads.items()}
        active = [task for task, count in counts.items() if count]
        totals = dict.fromkeys(active, 0.0)
        for rows, batch in zip(step.micro_batches, batches, strict=True) if active else []:
            words = {column: WordTensors(*(t.to(self.device) for t in of)) for column, of in batch.words.items()}
            input_ids, mask = batch.input_ids.to(self.device), batch.mask.to(self.device)
            with lower_precision(self.device, self.bf16):
                states = (
                    self.trunk.states(rows, input_ids, mask) if self.trunk else self.network.states(input_ids, mask)
                )
                logits = self.network.logits(states, mask, words, active)
            # Divided by the labels of the whole step, so that the cut into micro-batches changes nothing.
            losses = {
                task: heads[task].loss(logits[task], batch.targets[task].to(self.device)) / counts[task]
                for task in active
            }
            torch.stack([heads[task].loss_weight * loss for task, loss in losses.items()]).sum().backward()  # type: ignore[no-untyped-call]
            for task, loss in losses.items():
                totals[task] += float(loss.detach())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        rate = self.schedule.get_last_lr()[0]
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad(set_to_none=True)
        real = sum(int(batch.mask.sum()) for batch in batches)
        padded = sum(batch.mask.numel() for batch in batches)
        # Counted from 0, so that a resumed training, which purges from its own step on, purges only what it repeats.
        at = self.progress.step
        for task, value in totals.items():
            writer.add_scalar(f"loss/{task}", value, at)
        writer.add_scalar("learning_rate", rate, at)
        writer.add_scalar("gradient_norm", float(norm), at)
        writer.add_scalar("tokens_per_second", real / (time.perf_counter() - started), at)
        writer.add_scalar("padding_share", 1 - real / padded, at)
        return sum(totals.values())

    def _end_epoch(self, validation: Rows, writer: Any) -> None:
        now = self.progress
        scores = validation_scores(self.network, validation, self.pad_id)
        skill = sum(scores.values()) / len(scores)
        for task, value in {**scores, "skill": skill}.items():
            writer.add_scalar(f"validation/{task}", value, now.step)
        now.epoch += 1
        now.step_in_epoch = 0
        now.stale_epochs += 1
        if skill > now.best_skill:
            now.best_skill, now.best_epoch, now.stale_epochs = skill, now.epoch, 0
            now.best_weights = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
        primary = ", ".join(f"{task} {value:.3f}" for task, value in scores.items())
        logger.info("epoch %d of %d: %s", now.epoch, self.recipe.epochs, primary)


def _check_validation(rows: Rows) -> None:
    unlabelled = [task for task, labels in rows.labels.items() if all(label is None for label in labels)]
    if unlabelled:
        raise InputError(
            f"no row of validation has a label for {', '.join(unlabelled)}, but the best epoch is chosen by all tasks. "
            "Label some rows, or leave out the head."
        )


def parameter_groups(network: MultiTaskNetwork, recipe: Recipe) -> list[dict[str, Any]]:
    """Encoder and heads at their own learning rates; no weight decay on biases and norms, which are vectors."""
    groups = []
    for part, rate in ((network.encoder, recipe.encoder_learning_rate), (network.layers, recipe.head_learning_rate)):
        for matrices, decay in ((True, recipe.weight_decay), (False, 0.0)):
            chosen = [p for p in part.parameters() if p.requires_grad and (p.ndim > 1) == matrices]
            groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return groups


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 itself rather than emulating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())
