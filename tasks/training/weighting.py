"""Weighting: how the losses of several tasks become one step."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.modeling.heads import AnyHead

if TYPE_CHECKING:
    from tasks.modeling.network import MultiTaskNetwork
    from tasks.training.gradients import StepGradients


class LossWeights(BaseModel):
    """What all kinds share: the `loss_weight` of each head."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    normalise: bool = Field(
        False,
        description="divides a loss by that of guessing (of one of n labels: their logarithm), so that tasks of 2 "
        "and of 200 labels begin alike; by default the loss is what the head says",
    )

    def weights(self, heads: Mapping[str, AnyHead]) -> dict[str, float]:
        """{task: weight}."""
        return {
            task: head.loss_weight / (head.loss_of_guessing if self.normalise else 1.0) for task, head in heads.items()
        }


class FixedWeighting(LossWeights):
    """The sum of the losses by their weights."""

    kind: Literal["fixed"] = "fixed"

    def gradients(self, network: "MultiTaskNetwork", seed: int) -> "StepGradients":
        """What adds up the gradients of a training's steps."""
        from tasks.training.gradients import StepGradients

        return StepGradients(self.weights(network.heads))


class UncertaintyWeighting(LossWeights):
    """The weights are learnt: less where what is left of the loss is noise (Kendall et al. 2018, arXiv:1705.07115)."""

    kind: Literal["uncertainty"] = "uncertainty"

    def gradients(self, network: "MultiTaskNetwork", seed: int) -> "StepGradients":
        """What adds up the gradients of a training's steps, and of the log variances that it holds."""
        from tasks.training.gradients import UncertaintyGradients

        return UncertaintyGradients(self.weights(network.heads))


class GradientSurgery(LossWeights):
    """What a task would undo of another is taken from its gradient (PCGrad: Yu et al. 2020, arXiv:2001.06782).

    That is done to the encoder, which tasks share; heads learn as ever. A step costs a way back through the encoder,
    and memory as much as what learns in it, for every task.
    """

    kind: Literal["pcgrad"] = "pcgrad"

    def gradients(self, network: "MultiTaskNetwork", seed: int) -> "StepGradients":
        """What adds up the gradients of a training's steps, task by task in the encoder."""
        from tasks.training.gradients import ProjectedGradients

        return ProjectedGradients(self.weights(network.heads), network, seed)


LossWeighting = Annotated[FixedWeighting | UncertaintyWeighting | GradientSurgery, Field(discriminator="kind")]
