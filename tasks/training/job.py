"""Job: one training, as a process hands it to others; and what comes back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from tasks.modeling.heads import AnyHead
from tasks.training.recipe import Recipe

# Who takes up the job may work in another folder.
AbsolutePath = Annotated[Path, AfterValidator(Path.absolute)]


class Job(BaseModel):
    """What is learnt from what, where it goes, and the file of what fits into the memory of this machine's devices."""

    # A number without end is not JSON by the standard, and would be null.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    snapshot: AbsolutePath
    tokens: AbsolutePath
    encoder: AbsolutePath
    encoder_digest: str
    heads: dict[str, AnyHead]
    recipe: Recipe
    checkpoints: AbsolutePath
    curves: AbsolutePath
    output: AbsolutePath
    ceilings: AbsolutePath

    @property
    def arguments(self) -> dict[str, Any]:
        """Those of `fine_tune`."""
        return {name: value for name, value in self if name not in ("encoder_digest", "ceilings")}


# Called with the share of all steps that is done, and with what the last epoch scored.
Report = Callable[[float, str], None]


def say_nothing(share: float, scores: str) -> None:
    """The report that nobody reads."""


@dataclass(frozen=True)
class TrainingFacts:
    """What came of a training; `pretrained_share` is that of the pre-trained weights in the encoder."""

    best_epoch: int
    epochs: int
    steps: int
    validation_skill: float
    pretrained_share: float = 0.0
