"""Multi-task fine-tuning: one optimiser step takes the mean loss of each task over all rows of the step."""

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from data_contracts.errors import complain
from tasks.modeling.encoder import freeze, load_encoder, set_dropout
from tasks.modeling.heads import AnyHead
from tasks.modeling.history import write_history
from tasks.modeling.inference import device_of_choice, lower_precision
from tasks.modeling.limits import read_limit
from tasks.modeling.network import MultiTaskNetwork, new_network, save_network
from tasks.modeling.tokens import TextEncoder
from tasks.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from tasks.training.curves import Curves
from tasks.training.guard import choose_packing
from tasks.training.imprinting import imprint_heads
from tasks.training.job import Report, TrainingFacts, say_nothing
from tasks.training.memory import ceiling_of
from tasks.training.mixing import Mixed, mix_encoder
from tasks.training.optimiser import new_optimiser, set_learning_rates, without_denormals
from tasks.training.plan import MicroBatch, Step, plan_epoch, shares_of, size_of_steps
from tasks.training.projector import write_projector
from tasks.training.ranks import ALONE, Ranks
from tasks.training.recipe import Recipe
from tasks.training.rows import Rows, read_rows
from tasks.training.selection import Standing, check_validation, end_epoch, is_over, validation_scores
from tasks.training.sharding import clip_gradients, pass_idly, passes_left, shard
from tasks.training.teaching import Teacher
from tasks.training.temperatures import calibrated_heads
from tasks.training.trunk import Trunk, trunk_of
from tasks.training.vocabulary import learn_all, learn_occurring

logger = logging.getLogger(__name__)
GRAPH_ROWS = 2
SECONDS_BETWEEN_CHECKPOINTS = 60.0
STEPS_BETWEEN_LOOKS = 10


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
    report: Report = say_nothing,
    ranks: Ranks = ALONE,
) -> TrainingFacts:
    """Trains, keeps the epoch with the best validation skill, and writes it to `output`; reports every step.

    A checkpoint in `checkpoints` is taken up where it stands; on the CPU the result is then the same to the bit. Called
    by each of several `ranks`, it trains one network in all of them, and the first one writes.
    Raises InputError for labels that nothing can be learnt from, or chosen by, and for a recipe that names other heads.
    """
    if problems := recipe.misfits(heads):
        raise complain(
            f"the training settings do not fit the heads, which are {', '.join(heads)}",
            problems,
            "Name each head as it is called, or take the key out.",
        )
    labelled = read_rows(snapshot, tokens, "train", heads)
    heads = {task: head.fit(labelled.labels[task]) for task, head in heads.items()}
    validation = read_rows(snapshot, tokens, "validation", heads)
    check_validation(validation)
    torch.manual_seed(recipe.seed)
    limit = read_limit(tokens)
    texts = TextEncoder(encoder, limit)
    network = _network_to_train(encoder, heads, recipe, labelled, texts.pad_id)
    trainer = _Trainer(network, recipe, labelled, texts.pad_id, checkpoints, curves, ranks)
    with without_denormals():
        progress = trainer.run(validation, report)
    mixed = Mixed(0.0, Standing(progress.best_skill, progress.best_missed))
    if ranks.is_first:
        if recipe.sharding == "full":
            # Of the one that was trained, this process holds a part.
            network = _network_to_train(encoder, heads, recipe, labelled, texts.pad_id)
        network.load_state_dict(progress.best_weights)
        learn_all(network.encoder)
        if recipe.pretrained_share != 0:
            mixed = mix_encoder(network, load_encoder(encoder), mixed.standing, validation, texts.pad_id, recipe)
        network.heads = calibrated_heads(network, validation, texts.pad_id)
        if recipe.projector_rows:
            write_projector(curves, network, validation, texts, recipe.projector_rows)
        save_network(network.cpu(), encoder, limit, output)
        write_history(output, trainer.curves.epochs)
    share, standing = ranks.of_first(mixed)
    if standing.missed:
        logger.warning("no epoch reached all skill_floors; the best is below that of %s", ", ".join(standing.missed))
    return TrainingFacts(progress.best_epoch, progress.epoch, progress.step, standing.skill, share)


def _network_to_train(
    encoder: Path, heads: Mapping[str, AnyHead], recipe: Recipe, rows: Rows, pad_id: int
) -> MultiTaskNetwork:
    """As the recipe has it at the start."""
    network = new_network(encoder, heads)
    if not set_dropout(network.encoder, recipe.encoder_dropout):
        name = type(network.encoder).__name__
        logger.info("training.encoder_dropout changes nothing: %s has no dropout of hidden states", name)
    if recipe.frozen_layers is not None:
        freeze(network.encoder, recipe.frozen_layers)
    learn_occurring(network.encoder, rows.tokens.input_ids, pad_id)
    return network


class _Trainer:
    """Network, optimiser, schedule and position of one training."""

    def __init__(
        self,
        network: MultiTaskNetwork,
        recipe: Recipe,
        rows: Rows,
        pad_id: int,
        checkpoints: Path,
        curves: Path,
        ranks: Ranks,
    ) -> None:
        self.ranks = ranks
        self.device = device_of_choice()
        self.sharded = recipe.sharding == "full"
        if self.sharded:
            shard(network.encoder, ranks, self.device)
        self.network = network.to(self.device)
        self.recipe = recipe
        self.tokens_per_batch = ceiling_of(recipe).tokens
        self.rows = rows
        self.pad_id = pad_id
        self.checkpoint = checkpoints / "checkpoint.pt"
        self.curves = Curves(curves if ranks.is_first else None, self.device)
        self.bf16 = recipe.precision == "bf16" or (recipe.precision == "auto" and has_fast_bf16(self.device))
        self.gradients = recipe.loss_weighting.gradients(network, recipe.seed).to(self.device)
        self.optimiser = new_optimiser(network, self.gradients, recipe)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        choose_packing(self.network, rows.tokens.input_ids, pad_id, bf16=self.bf16)
        # The plan is one of all ranks.
        self.network.packed = ranks.total({"packed": self.network.packed})["packed"] == ranks.count
        if not self.checkpoint.exists():
            imprint_heads(self.network, rows, pad_id, ranks)
        learning = {"network": self.network, "optimiser": self.optimiser, "gradients": self.gradients}
        self.parts = {**learning, "curves": self.curves}
        self.labelled = rows.labelled
        self.progress = Progress()
        self.scores = "no epoch has ended yet"
        self.saved = time.monotonic()
        self.total_steps = len(self._plan(0)) * recipe.epochs
        self.warmup_steps = max(1, math.ceil(self.total_steps * recipe.warmup_share))
        self.teacher = Teacher(
            network,
            self.gradients,
            self._trunk(),
            pad_id,
            self.device,
            bf16=self.bf16,
            recorded=recipe.kernels == "recorded" and not self.sharded,
        )

    def run(self, validation: Rows, report: Report) -> Progress:
        """Trains to the last epoch, or until patience is at an end."""
        if self.checkpoint.exists():
            self.progress = load_checkpoint(self.checkpoint, self.parts)
            self._leave_to_the_first()
            logger.info("resuming at epoch %d, step %d", self.progress.epoch + 1, self.progress.step)
            if self.progress.epoch:
                self.scores = (
                    f"epoch {self.progress.epoch} of {self.recipe.epochs}: skill {self.progress.skills[-1]:.3f}"
                )
        now = self.progress
        precision = "bf16" if self.bf16 else "fp32"
        logger.info("training on %s in %s, %d steps at most", self.device, precision, self.total_steps)
        hidden = None if self.ranks.is_first else True
        bar = tqdm(total=self.total_steps, initial=now.step, desc="training", unit="step", disable=hidden, leave=False)
        with bar, self.curves.begin(now.step) as curves:
            # Of a sharded network, no process can compute anything by itself.
            if now.step == 0 and not self.sharded:
                first = range(min(GRAPH_ROWS, len(self.rows.lengths)))
                curves.graph(self.network, self.rows.batch(first, self.network.heads, self.pad_id))
            while not is_over(now, len(self.network.heads), self.recipe):
                plan = self._plan(now.epoch)
                while now.step_in_epoch < len(plan):
                    self._step(plan[now.step_in_epoch], last=now.step_in_epoch + 1 == len(plan))
                    now.step_in_epoch += 1
                    now.step += 1
                    bar.update()
                    bar.set_postfix(epoch=now.epoch + 1, loss=f"{curves.loss:.2f}")
                    report(now.step / self.total_steps, self.scores)
                    if self._is_time_to_save():
                        curves.flush()
                        save_checkpoint(self.checkpoint, self.parts, now, self.ranks)
                        self.saved = time.monotonic()
                self._end_epoch(plan, validation)
        return now

    def _is_time_to_save(self) -> bool:
        """As often as the recipe says, or else once a minute, which the first rank looks at for all."""
        if (steps := self.recipe.checkpoint_steps) is not None:
            return self.progress.step % steps == 0
        looks = self.progress.step % STEPS_BETWEEN_LOOKS == 0
        return looks and self.ranks.of_first(time.monotonic() - self.saved >= SECONDS_BETWEEN_CHECKPOINTS)

    def _trunk(self) -> Trunk | None:
        frozen = self.recipe.frozen_layers
        if not frozen or self.sharded:
            return None
        self.network.eval()
        rows = self.rows.tokens
        return trunk_of(
            *(self.network.encoder, frozen, rows.input_ids, self.pad_id, self.tokens_per_batch),
            bf16=self.bf16,
            packed=self.network.packed,
            segments=rows.segments,
            folder=self.checkpoint.parent,
        )

    def _plan(self, epoch: int) -> list[Step]:
        recipe, lengths = self.recipe, self.rows.lengths
        return plan_epoch(
            lengths,
            self.labelled,
            rows_per_step=recipe.rows_per_step or size_of_steps(self.labelled, recipe.sampling),
            tokens_per_batch=self.tokens_per_batch,
            rows_per_batch=recipe.rows_per_batch,
            sampling=recipe.sampling,
            stopped=self.progress.stopped,
            seed=recipe.seed,
            epoch=epoch,
            epochs=recipe.epochs,
            packed=self.network.packed,
            world_size=self.ranks.count,
        )

    def _step(self, step: Step, *, last: bool) -> None:
        """`last` of its epoch."""
        started = time.perf_counter()
        self.network.train()
        now, heads = self.progress, {task: self.network.heads[task] for task in step.tasks}
        self.ranks.begin_step(self.recipe.seed, now.step)
        own = step.of_rank(self.ranks.rank)
        batches = [self.rows.batch(of.rows, heads, self.pad_id, of.tasks) for of in own]
        counts = self.ranks.total(
            {task: sum(int(head.present(b.targets[task]).sum()) for b in batches) for task, head in heads.items()}
        )
        totals = {task: torch.zeros((), device=self.device) for task, count in counts.items() if count}
        for micro_batch, batch in zip(own, batches, strict=True):
            taught = {task: counts[task] for task in _taught(micro_batch, counts)}
            losses = self.teacher.teach(batch, taught, micro_batch.rows) if taught else {}
            for task, loss in losses.items():
                totals[task] += loss
        if self.sharded:
            self._keep_up(step, counts)
        totals = self.ranks.sums(totals)
        self.ranks.add_up_gradients([*self.network.parameters(), *self.gradients.parameters()])
        if totals:
            self.gradients.finish(now.step, list(totals), self.ranks)
        if self.sharded:
            norm = clip_gradients(self.network, self.recipe.gradient_clip)
        else:
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        factor = self.recipe.schedule.factor(now.step, self.warmup_steps, self.total_steps, now.skills)
        set_learning_rates(self.optimiser, self.rates, factor)
        if last and not self.sharded:
            self.curves.histograms(self.network, now.step)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        real = sum(int(batch.mask.sum()) for batch in batches)
        seen = self.ranks.total({"real": real, "computed": sum(map(self.teacher.computed_tokens, batches))})
        self.curves.step(
            now.step,
            started,
            losses=totals,
            norm=norm,
            learning_rate=self.rates[0] * factor,
            tokens=int(seen["real"]),
            computed_tokens=int(seen["computed"]),
        )

    def _keep_up(self, step: Step, counts: Mapping[str, float]) -> None:
        """Passes through the encoder as often as the other ranks do in this step, for each time they need all parts."""
        learning = [batch.rank for batch in step.micro_batches if _taught(batch, counts)]
        batch = self.rows.batch(step.rows[:1], {}, self.pad_id)
        for _ in range(passes_left(learning, self.ranks.rank)):
            with lower_precision(self.device, self.bf16):
                pass_idly(self.network.states(batch.input_ids.to(self.device), batch.mask.to(self.device)))

    def _leave_to_the_first(self) -> None:
        """Keeps the best weights in the memory of one rank, which is to write them."""
        if not self.ranks.is_first:
            self.progress.best_weights = {}

    def _end_epoch(self, plan: list[Step], validation: Rows) -> None:
        now = self.progress
        asked = self.ranks.is_first or self.sharded
        scores = self.ranks.of_first(validation_scores(self.network, validation, self.pad_id) if asked else {})
        skill = end_epoch(now, scores, self.network, self.recipe)
        self._leave_to_the_first()
        shares, weights = shares_of(plan, self.labelled), self.gradients.weights()
        curves = {"validation": {**scores, "skill": skill}, "task_share": shares, "loss_weight": weights}
        named = {f"{curve}/{name}": value for curve, of in curves.items() for name, value in of.items()}
        self.curves.end_epoch(now.step, named)
        primary = ", ".join(f"{task} {value:.3f}" for task, value in scores.items())
        self.scores = f"epoch {now.epoch} of {self.recipe.epochs}: {primary}"
        logger.info("%s", self.scores)


def _taught(micro_batch: MicroBatch, counts: Mapping[str, float]) -> list[str]:
    """The tasks that a micro-batch has rows for, of those with a label in the step."""
    return [task for task, count in counts.items() if count and (not micro_batch.tasks or task in micro_batch.tasks)]


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 on the device, as where it has units of its own for it.

    With AVX-512 instructions for it alone (avx512_bf16), matrices of the embedded encoder multiply 2.1 to 2.7 times as
    fast in bf16, and its training takes two thirds of the time (torch 2.13, one core of an AMD EPYC 9004).
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
