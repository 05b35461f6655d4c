"""Schedules: what share of the learning rate a step learns with.

It is a function of the step and of the validation skills so far, so a training that is resumed learns as it would have.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class LearningRateSchedule(BaseModel):
    """What all kinds share: a warm-up in a line, for the first steps of AdamW are taken on next to no statistics."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def factor(self, step: int, warmup: int, total: int, skills: Sequence[float]) -> float:
        """The share at `step`, from 0 on, of `total` steps, with the skills of all epochs that are over."""
        if step < warmup:
            return (step + 1) / warmup
        return self.after_warmup(step - warmup, max(1, total - warmup), skills)

    def after_warmup(self, step: int, steps: int, skills: Sequence[float]) -> float:
        """The share at `step`, from 0 on, of the `steps` behind the warm-up."""
        raise NotImplementedError

    def misfit(self, patience_epochs: int) -> str:
        """What speaks against the schedule in a training that ends after so many epochs without a better skill."""
        return ""


class LinearSchedule(LearningRateSchedule):
    """Down in a line that reaches 0 after the last step."""

    kind: Literal["linear"] = "linear"

    def after_warmup(self, step: int, steps: int, skills: Sequence[float]) -> float:
        """1 - step / steps."""
        return max(0.0, (steps - step) / steps)


class CosineSchedule(LearningRateSchedule):
    """Half a cosine, down to 0 after the last step (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts)."""

    kind: Literal["cosine"] = "cosine"

    def after_warmup(self, step: int, steps: int, skills: Sequence[float]) -> float:
        """(1 + cos(pi * step / steps)) / 2."""
        return (1 + math.cos(math.pi * min(1.0, step / steps))) / 2


class ConstantSchedule(LearningRateSchedule):
    """The whole learning rate to the end."""

    kind: Literal["constant"] = "constant"

    def after_warmup(self, step: int, steps: int, skills: Sequence[float]) -> float:
        """1."""
        return 1.0


class ExponentialSchedule(LearningRateSchedule):
    """Less by the same part in every step."""

    kind: Literal["exponential"] = "exponential"
    last_factor: float = Field(
        0.01, gt=0, lt=1, description="share after the last step; at a hundredth next to nothing is learnt any more"
    )

    def after_warmup(self, step: int, steps: int, skills: Sequence[float]) -> float:
        """last_factor ^ (step / steps)."""
        return float(self.last_factor ** (step / steps))


class ReduceOnPlateauSchedule(LearningRateSchedule):
    """Less whenever the validation skill has not improved for some epochs."""

    kind: Literal["reduce_on_plateau"] = "reduce_on_plateau"
    reduction: float = Field(0.5, gt=0, lt=1, description="what is left of the learning rate each time")
    plateau_epochs: int = Field(
        1, gt=0, description="epochs without a better skill before that; fewer than `patience_epochs`, or it never is"
    )
    least_factor: float = Field(0.01, gt=0, lt=1, description="share that the learning rate is not reduced below")

    def after_warmup(self, step: int, steps: int, skills: Sequence[float]) -> float:
        """reduction ^ plateaus so far."""
        best, stale, plateaus = -math.inf, 0, 0
        for skill in skills:
            stale = 0 if skill > best else stale + 1
            best = max(best, skill)
            if stale == self.plateau_epochs:
                stale, plateaus = 0, plateaus + 1
        return float(max(self.least_factor, self.reduction**plateaus))

    def misfit(self, patience_epochs: int) -> str:
        """That the training would end before the first plateau does."""
        if self.plateau_epochs < patience_epochs:
            return ""
        return (
            f"schedule.plateau_epochs is {self.plateau_epochs}, but training ends after patience_epochs, "
            f"{patience_epochs}, so the learning rate is never reduced; make it fewer"
        )


Schedule = Annotated[
    LinearSchedule | CosineSchedule | ConstantSchedule | ExponentialSchedule | ReduceOnPlateauSchedule,
    Field(discriminator="kind"),
]
