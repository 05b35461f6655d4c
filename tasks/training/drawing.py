"""Drawing rows for tasks: how many each part of an epoch has of each task, and which."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tasks.training.sampling import Sampling

Rows = Sequence[int]


def learning_tasks(labelled: Mapping[str, Rows], stopped: Mapping[str, int], epoch: int) -> tuple[str, ...]:
    """Tasks that learn in that epoch; `stopped` holds the first epoch in which a task no longer does."""
    return tuple(task for task in labelled if epoch < stopped.get(task, epoch + 1))


def draw_epoch(
    labelled: Mapping[str, Rows],
    stopped: Mapping[str, int],
    sampling: Sampling,
    *,
    rows_of_parts: Sequence[int],
    seed: int,
    epoch: int,
    epochs: int,
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]] | None:
    """(parts, tasks) rows that each part of the epoch has of each task that learns, and the rows drawn for each task.

    None where rows are not drawn for a task. `rows_of_parts` are those of each part of a step. An epoch has whole
    steps, and as many as the labelled rows would fill. A task's rows are drawn without any coming again before all had
    their turn, across epochs, in an order that hangs on the seed: which ones an epoch draws follows from how many all
    epochs before it did.
    """
    starts = dict.fromkeys(labelled, 0)
    steps: dict[tuple[str, ...], int] = {}
    for number in range(epoch + 1):
        tasks = learning_tasks(labelled, stopped, number)
        shares = sampling.shares({task: len(labelled[task]) for task in tasks}, number, epochs)
        if shares is None:
            return None
        if tasks not in steps:
            rows = len({row for task in tasks for row in labelled[task]})
            steps[tasks] = -(-rows // sum(rows_of_parts))
        given = tuple(shares.values())
        if number < epoch:
            drawn = _totals(given, tuple(rows_of_parts), steps[tasks])
            starts |= {task: starts[task] + count for task, count in zip(tasks, drawn, strict=True)}
    counts = apportion(given, [*rows_of_parts] * steps[tasks])
    totals = dict(zip(tasks, counts.sum(axis=0).tolist(), strict=True))
    places = {task: [seed, place] for place, task in enumerate(labelled)}
    return counts, {task: cycled(labelled[task], starts[task], count, places[task]) for task, count in totals.items()}


def apportion(shares: Sequence[float], rows_of_parts: Sequence[int]) -> NDArray[np.int64]:
    """(parts, tasks) rows by largest remainder, where what a task did not get of one part it lacks in the next.

    So the parts up to any one have each task's share, and a share of less than a row a part is met in turn.
    """
    lacking = np.zeros(len(shares))
    found = np.zeros((len(rows_of_parts), len(shares)), dtype=np.int64)
    for given, rows in zip(found, rows_of_parts, strict=True):
        lacking += rows * np.asarray(shares)
        # Rounded, for shares such as 1 / 3 sum to a little less than the whole rows they stand for.
        whole = np.maximum(np.floor(lacking.round(9)), 0).astype(np.int64)
        if whole.sum() <= rows:
            given += whole
        while given.sum() < rows:
            given[np.argmax((lacking - given).round(9))] += 1
        lacking -= given
    return found


@lru_cache(maxsize=2000)
def _totals(shares: tuple[float, ...], rows_of_parts: tuple[int, ...], steps: int) -> tuple[int, ...]:
    """Rows of each task in an epoch; kept, for every epoch asks for those of all before it."""
    return tuple(apportion(shares, [*rows_of_parts] * steps).sum(axis=0).tolist())


def cycled(rows: Rows, start: int, count: int, seed: Sequence[int]) -> NDArray[np.int64]:
    """`count` rows from place `start` on in an endless row of permutations of `rows`."""
    if not count:
        return np.empty(0, dtype=np.int64)
    first, last = start // len(rows), (start + count - 1) // len(rows)
    turns = [np.random.default_rng([*seed, turn]).permutation(np.asarray(rows)) for turn in range(first, last + 1)]
    return np.concatenate(turns)[start - first * len(rows) :][:count]
