"""Rows as a champion sees them: what every contestant reads, in whatever environment it runs."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

UNKNOWN = -1
POOL, NOISED, HWU64, OUT_OF_SCOPE = "pool", "noised", "hwu64", "oos"


@dataclass(frozen=True)
class Rows:
    """The pool of held-out rows in domain, then the same rows with slips of the fingers, then foreign ones.

    shares: (rows, labels) calibrated probabilities. label: position of the true one, UNKNOWN for foreign rows, whose
    answers are wrong whatever they are.
    """

    source: NDArray[np.str_]
    text: NDArray[np.str_]
    domain: NDArray[np.str_]
    embeddings: NDArray[np.float32]
    shares: NDArray[np.float32]
    label: NDArray[np.int64]

    def of(self, source: str) -> NDArray[np.int64]:
        """Positions of a source's rows; row n of `noised` is row n of the pool with slips."""
        return np.flatnonzero(self.source == source)

    def take(self, positions: NDArray[np.int64]) -> "Rows":
        """Those rows alone."""
        return Rows(**{name: values[positions] for name, values in vars(self).items()})

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Probability of the answered label."""
        return np.asarray(self.shares.max(axis=1), dtype=float)

    @property
    def entropy(self) -> NDArray[np.float64]:
        """Of the probabilities, in natural units."""
        shares = np.maximum(self.shares.astype(float), 1e-12)
        return np.asarray(-(shares * np.log(shares)).sum(axis=1))

    @property
    def answer(self) -> NDArray[np.int64]:
        """Positions of the answered labels."""
        return np.asarray(self.shares.argmax(axis=1))

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which answers are right."""
        return np.asarray(self.answer == self.label)


def write_rows(rows: Rows, file: Path) -> None:
    """One .npz."""
    # Written beside its place first: a run that is killed leaves no half of a file to be taken up.
    draft = file.with_suffix(".draft.npz")
    np.savez(draft, **vars(rows))
    draft.rename(file)


def read_rows(file: Path) -> Rows:
    """What `write_rows` wrote."""
    with np.load(file, allow_pickle=False) as arrays:
        return Rows(**{field.name: arrays[field.name] for field in fields(Rows)})
