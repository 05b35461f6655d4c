"""Layer B, shift: one permutation test of all views of a window, and how large the shift is."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_contracts.drift import Shift
from data_contracts.errors import InputError
from tasks.drift.novelty import both_apart
from tasks.drift.seen import OfTask, Seen
from tasks.drift.statistics import DriftStatistic, View
from tasks.drift.telling_apart import tell_apart
from tasks.modeling.multiplicity import holm

# A first look at so many draws; a window that so many of them are beaten by is not looked at more closely.
FEW, CLEARLY = 999, 10
NUMBERS_AT_ONCE = 8_000_000
SEED = 20_263
# Two z that are the same but for how sums were rounded, as where no row differs from another.
TIE = 1e-4


def spent_level(look: int, alpha: float, looks: int) -> float:
    """What the `look`-th test of a model's life (from 1) may be held against, so that all together err with `alpha`.

    The first `looks` tests share one half of alpha, the next 2 * looks one quarter, and so on without an end.
    """
    stretch, before = 0, 0
    while look > before + looks * 2**stretch:
        before += looks * 2**stretch
        stretch += 1
    return alpha / float(2 ** (stretch + 1) * looks * 2**stretch)


def measure_shift(
    reference: Seen, window: Seen, statistics: Sequence[DriftStatistic], *, level: float, permutations: int = FEW
) -> Shift:
    """The window against the reference, held against `level`.

    The test looks at the largest z of all views, and permutes all views alike, so they are neither assumed independent
    nor charged for their number (Westfall and Young 1993). As many permutations are drawn as the level asks for,
    unless the first FEW say clearly that nothing is there; either way p is (k + 1) / (B + 1) of those drawn, and a
    chance of p at most. Tasks are tested by their own views, and adjusted for their number by Holm's method. Where
    novelty is looked at, the rows that it is measured from are left out.

    Raises InputError where no statistic has anything to look at.
    """
    apart = both_apart(reference, window)
    told = tell_apart(reference, window, apart)
    if any(statistic.kind == "novelty_shift" for statistic in statistics):
        reference, window = apart
    both = joined(reference, window)
    views = [view for statistic in statistics for view in statistic.views(both)]
    if not views:
        kinds = ", ".join(statistic.kind for statistic in statistics)
        raise InputError(
            f"`drift.statistics` is {kinds}, which no task of this model has anything for. "
            "Add embedding_distance, which needs no task."
        )
    tasks = list(dict.fromkeys(view.task for view in views if view.task is not None))
    groups = [list(range(len(views))), *([n for n, view in enumerate(views) if view.task == t] for t in tasks)]
    first = min(permutations, FEW)
    needed = max(permutations, fewest_draws(level))
    random = np.random.default_rng(SEED)
    features = np.concatenate([view.features for view in views], axis=1)
    found = _draws(features, views, len(reference), len(window), first, random, with_truth=True)
    truth = found[0]
    highest = [truth[group].max() - TIE for group in groups]
    beaten = np.array([(found[1:, g].max(axis=1) >= high).sum() for g, high in zip(groups, highest, strict=True)])
    drawn = first
    while drawn < needed and beaten[0] < CLEARLY:
        more = _draws(features, views, len(reference), len(window), needed - drawn, random, with_truth=False)
        beaten += [(more[:, g].max(axis=1) >= high).sum() for g, high in zip(groups, highest, strict=True)]
        drawn = needed
    p_values = (beaten + 1) / (drawn + 1)
    return Shift(
        p_value=float(p_values[0]),
        level=level,
        effect=told.effect,
        effect_low=told.low,
        effect_high=told.high,
        tasks=dict(zip(tasks, holm(p_values[1:].tolist()), strict=True)),
        views={view.name: round(float(z), 3) for view, z in zip(views, truth, strict=True)},
    )


def fewest_draws(level: float) -> int:
    """The number of permutations B from which on the least p there is, 1 / (B + 1), does not exceed the level."""
    draws = math.ceil(1 / level) - 1
    # 1 / level may have been rounded down to a whole number.
    return draws + (1 / (draws + 1) > level)


def joined(reference: Seen, window: Seen) -> Seen:
    """The rows of both, the reference first, of tasks that both have."""
    tasks = {}
    for task in (task for task in reference.tasks if task in window.tasks):
        ours, theirs = reference.tasks[task], window.tasks[task]
        shares = None if ours.shares is None or theirs.shares is None else np.concatenate([ours.shares, theirs.shares])
        tasks[task] = OfTask(np.concatenate([ours.confidences, theirs.confidences]), shares)
    both = reference.distances, window.distances
    distances = None if both[0] is None or both[1] is None else np.concatenate([both[0], both[1]])
    return Seen(np.concatenate([reference.embeddings, window.embeddings]), tasks, distances)


def memberships(
    rows: int, smaller: int, draws: int, random: np.random.Generator, truth: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """(draws, rows): 1 for the `smaller` rows that count as the window's; the first draw is `truth` where it is given.

    An order of all rows, drawn at random, is cut into as many windows as it holds. The truth stands first in an order
    of its own, so that, where there is no shift, it is any of the draws with the same chance.
    """
    found = np.zeros((draws, rows), dtype=np.float32)
    cut, draw = rows // smaller, 0
    while draw < draws:
        order = random.permutation(rows)
        if truth is not None and draw == 0:
            order = np.concatenate([truth, random.permutation(np.setdiff1d(np.arange(rows), truth))])
        for block in order[: cut * smaller].reshape(cut, smaller)[: draws - draw]:
            found[draw, block] = 1
            draw += 1
    return found


def _draws(
    features: NDArray[np.float32],
    views: Sequence[View],
    reference: int,
    window: int,
    permutations: int,
    random: np.random.Generator,
    *,
    with_truth: bool,
) -> NDArray[np.float64]:
    """(permutations, views) z of each; with the truth one more, which comes first."""
    rows, smaller = reference + window, min(reference, window)
    truth = np.arange(reference, rows) if window <= reference else np.arange(reference)
    total, over = features.sum(axis=0), 1 / reference + 1 / window
    ends = np.cumsum([view.features.shape[1] for view in views])
    parts: list[NDArray[np.float64]] = []
    left = permutations + with_truth
    while left:
        draws = min(left, max(1, NUMBERS_AT_ONCE // rows))
        inside = memberships(rows, smaller, draws, random, truth if with_truth and not parts else None)
        sums = inside @ features
        means = sums / smaller - (total - sums) / (rows - smaller)
        pieces = np.split(means, ends[:-1], axis=1)
        parts.append(np.stack([view.z(piece, over) for view, piece in zip(views, pieces, strict=True)], axis=1))
        left -= draws
    return np.concatenate(parts)
