"""Selection: what an epoch is worth, which one is kept, and when a task or the training has learnt what it can."""

import logging
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from data_contracts.errors import InputError
from tasks.modeling.inference import run_network
from tasks.modeling.network import MultiTaskNetwork
from tasks.training.checkpoint import Progress
from tasks.training.recipe import Recipe
from tasks.training.rows import Rows
from tasks.training.sharding import whole

logger = logging.getLogger(__name__)


def check_validation(rows: Rows) -> None:
    """Raises InputError where validation has no label for a task."""
    unlabelled = [task for task, labels in rows.labels.items() if all(label is None for label in labels)]
    if unlabelled:
        raise InputError(
            f"no row of validation has a label for {', '.join(unlabelled)}, but the best epoch is chosen by all tasks. "
            "Label some rows, or leave out the head."
        )


def validation_scores(network: MultiTaskNetwork, rows: Rows, pad_id: int) -> dict[str, float]:
    """{task: primary metric} on the rows that have a label for the task."""
    labelled = rows.labelled_rows
    outputs = run_network(network, rows.tokens, pad_id=pad_id, wanted=labelled)
    found = {}
    for task, head in network.heads.items():
        known = list(labelled[task])
        sums = head.statistics([outputs.answers[task][r] for r in known], [rows.labels[task][r] for r in known]).sum(
            axis=0
        )
        found[task] = float(head.score_of_sums(sums[None])[0])
    return found


def skill_of(scores: Mapping[str, float], references: Mapping[str, float]) -> float:
    """Mean over the tasks of score / reference; without references, of the score, which is the gate's skill.

    Against models of one task each, it is 1 plus the mean gain of Maninis et al. 2019 (arXiv:1904.08918, equation 4).
    """
    return sum(score / references.get(task, 1.0) for task, score in scores.items()) / len(scores)


class Standing(NamedTuple):
    """What a model is worth on validation: its skill, and the tasks whose floor it misses."""

    skill: float
    missed: list[str]

    @property
    def rank(self) -> tuple[bool, float]:
        """What models are compared by: all floors reached before one missed, then skill."""
        return not self.missed, self.skill


def standing_of(scores: Mapping[str, float], recipe: Recipe) -> Standing:
    """That of a model with those scores."""
    missed = [task for task, floor in recipe.skill_floors.items() if scores[task] < floor]
    return Standing(skill_of(scores, recipe.reference_scores), missed)


def end_epoch(progress: Progress, scores: Mapping[str, float], network: MultiTaskNetwork, recipe: Recipe) -> float:
    """Takes the epoch's scores into the progress, and gives its skill.

    Keeps the weights where the epoch is the best: one that reaches all floors before one that does not, then by skill.
    """
    standing = standing_of(scores, recipe)
    skill, missed = standing
    progress.epoch += 1
    progress.step_in_epoch = 0
    progress.stale_epochs += 1
    progress.skills.append(skill)
    if standing.rank > (progress.best_epoch > 0 and not progress.best_missed, progress.best_skill):
        progress.best_skill, progress.best_epoch, progress.best_missed = skill, progress.epoch, missed
        progress.stale_epochs = 0
        progress.best_weights = _copy(network.state_dict())
    if recipe.task_patience_epochs is not None:
        _stop_tasks(progress, scores, network, recipe.task_patience_epochs)
    return skill


def is_over(progress: Progress, tasks: int, recipe: Recipe) -> bool:
    """Whether there is nothing more to be learnt: no epoch left, no better one for long, or no task that goes on."""
    return (
        progress.epoch >= recipe.epochs
        or progress.stale_epochs >= recipe.patience_epochs
        or len(progress.stopped) == tasks
    )


def _stop_tasks(progress: Progress, scores: Mapping[str, float], network: MultiTaskNetwork, patience: int) -> None:
    for task in [task for task in scores if task not in progress.stopped]:
        layers = network.layers[task]
        progress.task_stale[task] = progress.task_stale.get(task, 0) + 1
        if scores[task] > progress.task_best.get(task, float("-inf")):
            progress.task_best[task], progress.task_stale[task] = scores[task], 0
            progress.task_heads[task] = _copy(layers.state_dict())
        if progress.task_stale[task] >= patience:
            layers.load_state_dict(progress.task_heads[task])
            progress.stopped[task] = progress.epoch
            best = progress.task_best[task]
            logger.info("task %s learns no more after epoch %d; its best score was %.3f", task, progress.epoch, best)


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in whole(weights).items()}
