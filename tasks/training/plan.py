"""What training will see, as a pure function: so resume is one integer and a plan can be tested without a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LENGTH_JITTER = 0.1
CHUNKS_PER_STEP = 2


@dataclass(frozen=True)
class Step:
    """One optimiser step: its rows, divided into micro-batches that fit the token budget."""

    micro_batches: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> tuple[int, ...]:
        """All rows of the step."""
        return tuple(row for batch in self.micro_batches for row in batch)


def plan_epoch(
    lengths: Sequence[int], *, rows_per_step: int, tokens_per_batch: int, seed: int, epoch: int
) -> list[Step]:
    """The steps of one epoch: every row once, rows of like length together, steps in random order.

    Lengths are jittered by 10% before sorting, so the company a row keeps changes from epoch to epoch. A step is made
    of two chunks drawn at random, each of rows of like length: steps stay mixed, micro-batches hold little padding.
    """
    random = np.random.default_rng([seed, epoch])
    noisy = np.asarray(lengths) * random.uniform(1 - LENGTH_JITTER, 1 + LENGTH_JITTER, size=len(lengths))
    ordered = np.argsort(noisy, kind="stable")
    chunks_per_step = min(CHUNKS_PER_STEP, rows_per_step)
    size = rows_per_step // chunks_per_step
    chunks = [[int(row) for row in ordered[start : start + size]] for start in range(0, len(ordered), size)]
    order = random.permutation(len(chunks))
    steps = []
    for start in range(0, len(order), chunks_per_step):
        drawn = [chunks[at] for at in sorted(order[start : start + chunks_per_step])]
        batches = [batch for chunk in drawn for batch in _within_budget(chunk, lengths, tokens_per_batch)]
        steps.append(Step(tuple(batches)))
    return steps


def _within_budget(rows: Sequence[int], lengths: Sequence[int], tokens_per_batch: int) -> list[tuple[int, ...]]:
    """Rows in the given order, cut where padding to the longest would pass the budget; a single row always passes."""
    batches: list[list[int]] = []
    for row in rows:
        if batches and (len(batches[-1]) + 1) * max(lengths[r] for r in [row, *batches[-1]]) <= tokens_per_batch:
            batches[-1].append(row)
        else:
            batches.append([row])
    return [tuple(batch) for batch in batches]
