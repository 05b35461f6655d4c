"""Sampling: which tasks the rows of a step teach.

Every row teaches all tasks that it has a label for, or it is drawn for one task and teaches that one alone. Shares are
what is drawn for each task of all that is drawn; a task that no longer learns is not among them.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


class RowSampling(BaseModel):
    """What all kinds share."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def shares(self, rows: Mapping[str, int], epoch: int, epochs: int) -> dict[str, float] | None:
        """{task: share}, which sum to 1, from the tasks' labelled rows; None where every row teaches all its tasks."""
        raise NotImplementedError

    def misfits(self, tasks: list[str]) -> list[str]:
        """What in these settings does not fit the tasks that are trained."""
        return []

    def alone(self, task: str) -> Self:
        """The same for a training of that task alone."""
        return self


class AllRows(RowSampling):
    """Every row once an epoch, for all tasks that it has a label for: nothing that is known is left out."""

    kind: Literal["all"] = "all"

    def shares(self, rows: Mapping[str, int], epoch: int, epochs: int) -> dict[str, float] | None:
        """None: rows are not drawn for a task."""
        return None


class ProportionalSampling(RowSampling):
    """Shares as the tasks' rows: what is common is learnt most."""

    kind: Literal["proportional"] = "proportional"

    def shares(self, rows: Mapping[str, int], epoch: int, epochs: int) -> dict[str, float] | None:
        """Rows of the task / rows of all."""
        return _normalised(dict(rows))


class UniformSampling(RowSampling):
    """The same share for every task, so the rows of a small one come again and again."""

    kind: Literal["uniform"] = "uniform"

    def shares(self, rows: Mapping[str, int], epoch: int, epochs: int) -> dict[str, float] | None:
        """1 / tasks."""
        return _normalised(dict.fromkeys(rows, 1.0))


class TemperatureSampling(RowSampling):
    """Between proportional (1) and uniform (infinity), after Raffel et al. 2020 (JMLR 21, 140, section 3.5.2)."""

    kind: Literal["temperature"] = "temperature"
    temperature: float = Field(
        2.0,
        ge=1,
        description="2 takes the square roots of the rows, so small tasks are neither lost nor worn out",
    )
    cap: int | None = Field(
        None, gt=0, description="a task counts as having so many rows at most; empty counts them all, which suits most"
    )

    def shares(self, rows: Mapping[str, int], epoch: int, epochs: int) -> dict[str, float] | None:
        """min(rows, cap) ^ (1 / temperature), over the sum of that."""
        counted = {task: min(count, self.cap or count) for task, count in rows.items()}
        return _normalised({task: count ** (1 / self.temperature) for task, count in counted.items()})


class AnnealedSampling(RowSampling):
    """From proportional in the first epoch to uniform in the last (Stickland and Murray 2019, arXiv:1902.02671)."""

    kind: Literal["annealed"] = "annealed"
    last_exponent: float = Field(
        0.0, ge=0, lt=1, description="of the rows in the last epoch; 0 is uniform, the paper ends at 0.2"
    )

    def shares(self, rows: Mapping[str, int], epoch: int, epochs: int) -> dict[str, float] | None:
        """rows ^ exponent, over the sum of that; the exponent falls in a line from 1."""
        exponent = 1 - (1 - self.last_exponent) * epoch / max(1, epochs - 1)
        return _normalised({task: count**exponent for task, count in rows.items()})


class FixedSampling(RowSampling):
    """Shares that are given."""

    kind: Literal["fixed"] = "fixed"
    tasks: dict[str, Annotated[FiniteFloat, Field(gt=0)]] = Field(
        min_length=1, description="task: its part, of whatever sum; every head has one"
    )

    def shares(self, rows: Mapping[str, int], epoch: int, epochs: int) -> dict[str, float] | None:
        """The task's part / the parts of all that still learn."""
        return _normalised({task: self.tasks[task] for task in rows})

    def misfits(self, tasks: list[str]) -> list[str]:
        """Tasks without a part, and parts of no task."""
        lacking = [f"sampling.tasks gives {task} no part" for task in tasks if task not in self.tasks]
        return lacking + [f"sampling.tasks: no head is called {task}" for task in self.tasks if task not in tasks]

    def alone(self, task: str) -> Self:
        """All of it for that task."""
        return self.model_copy(update={"tasks": {task: 1.0}})


Sampling = Annotated[
    AllRows | ProportionalSampling | UniformSampling | TemperatureSampling | AnnealedSampling | FixedSampling,
    Field(discriminator="kind"),
]


def _normalised(parts: Mapping[str, float]) -> dict[str, float]:
    total = sum(parts.values())
    return {task: part / total for task, part in parts.items()}
