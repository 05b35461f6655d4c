"""Windows of production as they may come: drawn from rows that the reference lacks, and changed in a known way.

A scenario is set up once, as by a cause that lasts (which labels rise), and then gives as many windows as are asked
for. All is a pure function of the rows and of numbers.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.drift_peers.rows import HWU64, NOISED, OUT_OF_SCOPE, POOL, Rows

Positions = NDArray[np.int64]
Random = np.random.Generator
REFERENCE_ROWS, WINDOW_ROWS = 5_000, 500
SEED = 26_011
RISING_LABELS, RISING_DOMAINS = 30, 3

# Set up with (rows, rows in domain that are not in the reference, size of windows, random); gives a maker of windows.
Scenario = Callable[[Rows, Positions, int, Random], Callable[[Random], Positions]]


def unchanged(_rows: Rows, rest: Positions, size: int, _random: Random) -> Callable[[Random], Positions]:
    """Rows like the reference's."""
    return lambda random: random.choice(rest, size, replace=False)


def foreign(
    rows: Rows, rest: Positions, size: int, _random: Random, *, share: float, sources: Sequence[str]
) -> Callable[[Random], Positions]:
    """That share of rows is of other sets, as many of each as can be."""
    counts = [len(part) for part in np.array_split(np.arange(round(share * size)), len(sources))]
    places = [rows.of(source) for source in sources]

    def window(random: Random) -> Positions:
        others = [random.choice(of, count, replace=False) for of, count in zip(places, counts, strict=True)]
        return np.concatenate([random.choice(rest, size - sum(counts), replace=False), *others])

    return window


def dropped_domain(rows: Rows, rest: Positions, size: int, random: Random) -> Callable[[Random], Positions]:
    """One of the domains comes no more; the others fill its place."""
    dropped = random.choice(np.unique(rows.domain[rest]))
    kept = rest[rows.domain[rest] != dropped]
    return lambda random: random.choice(kept, size, replace=False)


def rising(
    rows: Rows, rest: Positions, size: int, random: Random, *, by: str, groups: int, times: int
) -> Callable[[Random], Positions]:
    """So many labels (or domains) become so many times as frequent, in proportion to all others."""
    group = getattr(rows, by)[rest]
    risen = np.isin(group, random.choice(np.unique(group), groups, replace=False))
    share = times * risen.mean() / (times * risen.mean() + 1 - risen.mean())
    inside, outside, count = rest[risen], rest[~risen], round(share * size)
    return lambda random: np.concatenate(
        [random.choice(inside, count, replace=False), random.choice(outside, size - count, replace=False)]
    )


def typing_noise(
    rows: Rows, rest: Positions, size: int, _random: Random, *, share: float
) -> Callable[[Random], Positions]:
    """That share of rows has slips of the fingers in it."""
    noised, count = rows.of(NOISED), round(share * size)

    def window(random: Random) -> Positions:
        chosen = random.choice(rest, size, replace=False)
        return np.concatenate([noised[chosen[:count]], chosen[count:]])

    return window


UNCHANGED, BENIGN_MIX = "unchanged", "benign mix"
MIXED = (HWU64, OUT_OF_SCOPE)
SHARES = (0.05, 0.10, 0.20)
SHIFTS: dict[str, Scenario] = {
    **{f"foreign {share:.0%}": partial(foreign, share=share, sources=MIXED) for share in SHARES},
    **{
        f"{source} {share:.0%}": partial(foreign, share=share, sources=[source]) for source in MIXED for share in SHARES
    },
    "dropped domain": dropped_domain,
    "label mix": partial(rising, by="label", groups=RISING_LABELS, times=2),
    **{f"typos {share:.0%}": partial(typing_noise, share=share) for share in (0.2, 0.5)},
}
SCENARIOS: dict[str, Scenario] = {UNCHANGED: unchanged, **SHIFTS}
LIVES: dict[str, Scenario] = {
    UNCHANGED: unchanged,
    BENIGN_MIX: partial(rising, by="domain", groups=RISING_DOMAINS, times=3),
    **{name: scenario for name, scenario in SHIFTS.items() if name.startswith("foreign")},
}


def reference_of(rows: Rows, number: int, size: int = REFERENCE_ROWS) -> tuple[Positions, Positions]:
    """Draw `number`: the reference's rows, and the other rows of the pool, which windows are drawn from."""
    order = np.random.default_rng([SEED, number]).permutation(rows.of(POOL))
    return order[:size], order[size:]


def window_of(rows: Rows, rest: Positions, name: str, number: int, size: int = WINDOW_ROWS) -> Positions:
    """Draw `number` of a scenario, set up for it alone."""
    random = np.random.default_rng([SEED, number, zlib.crc32(name.encode())])
    return SCENARIOS[name](rows, rest, size, random)(random)


def life_of(
    rows: Rows, rest: Positions, name: str, number: int, looks: int, size: int = WINDOW_ROWS
) -> Iterator[Positions]:
    """Life `number`: so many windows, one after another, of a scenario that was set up once."""
    random = np.random.default_rng([SEED, number, zlib.crc32(name.encode()), looks])
    window = LIVES[name](rows, rest, size, random)
    for _ in range(looks):
        yield window(random)
