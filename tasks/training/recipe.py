"""Settings of fine-tuning."""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt, model_validator

from tasks.training.sampling import AllRows, Sampling
from tasks.training.schedules import LinearSchedule, Schedule
from tasks.training.weighting import FixedWeighting, LossWeighting

# Memory and speed hang on these, and of the result only how it was rounded.
WITHOUT_CONSEQUENCE = {"tokens_per_batch", "rows_per_batch", "processes", "sharding", "kernels"}


class Recipe(BaseModel):
    """How a model is fine-tuned. The defaults suit a small encoder and a thousand to some ten thousand rows."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    epochs: int = Field(10, gt=0, le=1000)
    rows_per_step: PositiveInt | None = Field(
        None,
        description="empty: so many that a task has 32 labels in each on average, which are 32 rows where every row "
        "has all labels, and 160 for five tasks with rows of their own, if there are a hundred steps of those an epoch",
    )
    tokens_per_batch: PositiveInt | None = Field(
        None,
        description="padded tokens of a micro-batch; memory, not results, depend on it. Empty: 2,048 on a CPU, whose "
        "cache they fit, and 16,384 on a GPU",
    )
    rows_per_batch: int | None = Field(
        None, gt=0, description="rows of a micro-batch at most; empty leaves it to the tokens, which memory goes by"
    )
    sampling: Sampling = Field(
        AllRows(), description="which tasks a row teaches; by default all it has a label for, which wastes no label"
    )
    encoder_learning_rate: float = Field(2e-4, gt=0, le=1)
    head_learning_rate: float = Field(1e-3, gt=0, le=1, description="fresh layers learn faster than pre-trained ones")
    encoder_dropout: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="of the states that layers give each other, as encoders are pre-trained with; heads have their own",
    )
    frozen_layers: int | None = Field(
        None,
        ge=0,
        description="0 keeps the embeddings as they are, n also the first n layers, without dropout; empty trains "
        "everything",
    )
    pretrained_share: Literal["auto"] | Annotated[float, Field(ge=0, lt=1)] = Field(
        "auto",
        description="of the pre-trained weights in the encoder that is kept, mixed in after training; auto: the least "
        "of 0, 0.1, 0.2 and 0.3 that is within 0.001 of the best skill on validation",
    )
    weight_decay: FiniteFloat = Field(0.01, ge=0)
    warmup_share: float = Field(0.1, ge=0, lt=1, description="of all steps; the learning rate rises in a line")
    schedule: Schedule = Field(
        LinearSchedule(), description="of the learning rate; a line down to 0 asks for nothing to be tuned but epochs"
    )
    loss_weighting: LossWeighting = Field(
        FixedWeighting(), description="how the tasks' losses become one; by default their sum by each head's weight"
    )
    gradient_clip: float = Field(1.0, gt=0)
    patience_epochs: int = Field(3, gt=0, description="epochs without a better validation score before training stops")
    task_patience_epochs: int | None = Field(
        None,
        gt=0,
        description="epochs without a better score before one task stops: no row teaches it any more, and its head "
        "goes back to its best weights. Empty lets all learn to the end, for a task may yet gain from the others",
    )
    reference_scores: dict[str, Annotated[FiniteFloat, Field(gt=0)]] = Field(
        {},
        description="task: score that counts as 1, such as that of a model of this task alone. By default that is a "
        "perfect score, and the skill is the mean score, as it is for the gate",
    )
    skill_floors: dict[str, FiniteFloat] = Field(
        {}, description="task: least score; an epoch below is chosen only where no epoch reaches all of them"
    )
    checkpoint_steps: PositiveInt | None = Field(
        None, description="steps that are lost at most when it is interrupted; empty: those of a minute"
    )
    projector_rows: int = Field(
        0, ge=0, description="rows of validation, with text and labels, in TensorBoard's projector; 0 for none"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the device is faster in it"
    )
    kernels: Literal["recorded", "one_by_one"] = Field(
        "recorded",
        description="of a GPU: what it does for small micro-batches is recorded, and started as a whole; one_by_one "
        "takes longer and is otherwise the same",
    )
    processes: PositiveInt | Literal["auto"] = Field(
        "auto", description="that train one network together; auto: one for each GPU that is visible, one on a CPU"
    )
    sharding: Literal["none", "full"] = Field(
        "none",
        description="full: each process holds a part of the encoder and of what the optimiser knows of it, for "
        "encoders that do not fit into one GPU; slower for those that do",
    )
    seed: int = Field(13, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _the_schedule_fits_the_patience(self) -> "Recipe":
        if misfit := self.schedule.misfit(self.patience_epochs):
            raise ValueError(misfit)
        return self

    @model_validator(mode="after")
    def _what_is_sharded_can_be_trained(self) -> "Recipe":
        if self.sharding == "full" and self.loss_weighting.kind == "pcgrad":
            raise ValueError(
                "sharding: full does not go with loss_weighting pcgrad, which compares whole gradients of the encoder "
                "task by task; take another kind of loss_weighting, or sharding: none"
            )
        return self

    def misfits(self, tasks: Collection[str]) -> list[str]:
        """What in the recipe does not fit the tasks that are trained."""
        problems = self.sampling.misfits(list(tasks))
        for key in ("skill_floors", "reference_scores"):
            problems += [f"{key}: no head is called {task}" for task in getattr(self, key) if task not in tasks]
        if self.reference_scores:
            lacking = [task for task in tasks if task not in self.reference_scores]
            problems += [f"reference_scores gives {task} none, though it does others" for task in lacking]
        return problems

    def alone(self, task: str) -> "Recipe":
        """The recipe for a training of that task alone: what it says of other tasks is left out."""
        of_tasks = {key: getattr(self, key) for key in ("skill_floors", "reference_scores")}
        kept = {key: {name: score for name, score in of.items() if name == task} for key, of in of_tasks.items()}
        return self.model_copy(update={"sampling": self.sampling.alone(task), **kept})
