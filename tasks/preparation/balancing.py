"""Balancing: how often each training row is shown, so that no label is too rare.

Which rows of a label are repeated or dropped hangs on their ids and the seed, not on their order. A row without a label
stays as it is.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tasks.modeling.chance import number_of

Labels = Sequence[str | int | bool | None]


class Balancing(BaseModel):
    """What all ways of balancing share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(description="column of the contract whose labels are balanced")
    ratio: float = Field(1.0, gt=0, le=1, description="rows of the rarest label for one row of the most frequent")


class Oversample(Balancing):
    """Rows of rare labels are repeated, each as often as the next of its label, give or take one."""

    kind: Literal["oversample"] = "oversample"

    def times(self, ids: Sequence[str], labels: Labels, seed: int) -> NDArray[np.int64]:
        """How often each row is shown: once or more."""
        rows = _rows_of(ids, labels, seed)
        wanted = _up(self.ratio * max(map(len, rows), default=0))
        times = np.ones(len(ids), dtype=np.int64)
        for of_label in rows:
            whole, rest = divmod(max(wanted, len(of_label)), len(of_label))
            times[of_label] = whole
            times[of_label[:rest]] += 1
        return times


class Undersample(Balancing):
    """Rows of frequent labels are dropped."""

    kind: Literal["undersample"] = "undersample"

    def times(self, ids: Sequence[str], labels: Labels, seed: int) -> NDArray[np.int64]:
        """How often each row is shown: once or never."""
        rows = _rows_of(ids, labels, seed)
        allowed = _down(min(map(len, rows), default=0) / self.ratio)
        times = np.ones(len(ids), dtype=np.int64)
        for of_label in rows:
            times[of_label[allowed:]] = 0
        return times


Balance = Annotated[Oversample | Undersample, Field(discriminator="kind")]


def _rows_of(ids: Sequence[str], labels: Labels, seed: int) -> list[NDArray[np.int64]]:
    """The rows of each label, in the order of their lots."""
    order = np.argsort(np.array([number_of(seed, "balance", row_id) for row_id in ids], dtype=np.uint64), kind="stable")
    found = Counter(label for label in labels if label is not None)
    position = {label: at for at, label in enumerate(found)}
    of_row = np.array([-1 if label is None else position[label] for label in labels], dtype=np.int64)[order]
    return [order[of_row == at] for at in range(len(found))]


def _up(rows: float) -> int:
    # 0.28 * 25 is a little more than 7, and 7 / 0.14 a little less than 50.
    return math.ceil(round(rows, 6))


def _down(rows: float) -> int:
    return math.floor(round(rows, 6))
