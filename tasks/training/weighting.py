"""Weighting: how the losses of several tasks become one step."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.modeling.heads import AnyHead

if TYPE_CHECKING:
    from tasks.modeling.network import MultiTaskNetwork
    from tasks.training.gradients import StepGradients


class LossWeights(BaseModel):
    """What all kinds share: the `loss_weight` of each head, and how much the number of a task's labels says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalise: bool = Field(
        False,
        description="divides a loss by that of guessing (of one of n labels: their logarithm), so that tasks of 2 "
        "and of 200 labels begin alike; by default the loss is what the head says",
    )

    rows_exponent: float = Field(
        0.0,
        ge=0,
        le=1,
        description="a weight is multiplied by the task's rows / those of the largest, to this power: 0 for tasks that "
        "count alike, however small, 1 for labels that do, and 0.5 for what is in between",
    )

    def weights(self, heads: Mapping[str, AnyHead], rows: Mapping[str, int] | None = None) -> dict[str, float]:
        """{task: weight}, by how many rows have a label of each task where that is known and asked for."""
        most = max(rows.values()) if rows else 1
        return {
            task: head.loss_weight
            / (head.loss_of_guessing if self.normalise else 1.0)
            * ((rows[task] / most) ** self.rows_exponent if rows else 1.0)
            for task, head in heads.items()
        }


class FixedWeighting(LossWeights):
    """The sum of the losses by their weights."""

    kind: Literal["fixed"] = "fixed"

    def gradients(
        self, network: "MultiTaskNetwork", seed: int, rows: Mapping[str, int] | None = None
    ) -> "StepGradients":
        """What adds up the gradients of a training's steps."""
        from tasks.training.gradients import StepGradients

        return StepGradients(self.weights(network.heads, rows))


class UncertaintyWeighting(LossWeights):
    """The weights are learnt: less where what is left of the loss is noise (Kendall et al. 2018, arXiv:1705.07115)."""

    kind: Literal["uncertainty"] = "uncertainty"

    def gradients(
        self, network: "MultiTaskNetwork", seed: int, rows: Mapping[str, int] | None = None
    ) -> "StepGradients":
        """What adds up the gradients of a training's steps, and of the log variances that it holds."""
        from tasks.training.gradients import UncertaintyGradients

        return UncertaintyGradients(self.weights(network.heads, rows))


class GradientSurgery(LossWeights):
    """What a task would undo of another is taken from its gradient (PCGrad: Yu et al. 2020, arXiv:2001.06782).

    That is done to the encoder, which tasks share; heads learn as ever. A step costs a way back through the encoder,
    and memory as much as what learns in it, for every task.
    """

    kind: Literal["pcgrad"] = "pcgrad"

    def gradients(
        self, network: "MultiTaskNetwork", seed: int, rows: Mapping[str, int] | None = None
    ) -> "StepGradients":
        """What adds up the gradients of a training's steps, task by task in the encoder."""
        from tasks.training.gradients import ProjectedGradients

        return ProjectedGradients(self.weights(network.heads, rows), network, seed)


LossWeighting = Annotated[FixedWeighting | UncertaintyWeighting | GradientSurgery, Field(discriminator="kind")]
