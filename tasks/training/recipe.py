"""Settings of fine-tuning."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Recipe(BaseModel):
    """How a model is fine-tuned. The defaults suit a small encoder and a thousand to some ten thousand rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(10, gt=0, le=1000)
    rows_per_step: int = Field(32, gt=0)
    tokens_per_batch: int = Field(
        2048, gt=0, description="padded tokens of a micro-batch; memory, not results, depend on it"
    )
    encoder_learning_rate: float = Field(2e-4, gt=0, le=1)
    head_learning_rate: float = Field(1e-3, gt=0, le=1, description="fresh layers learn faster than pre-trained ones")
    encoder_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="inside the encoder; on a CPU it halves the speed, and heads have a dropout of their own",
    )
    frozen_layers: int | None = Field(
        None, ge=0, description="0 keeps the embeddings as they are, n also the first n layers; empty trains everything"
    )
    weight_decay: float = Field(0.01, ge=0)
    warmup_share: float = Field(0.1, ge=0, lt=1)
    gradient_clip: float = Field(1.0, gt=0)
    patience_epochs: int = Field(3, gt=0, description="epochs without a better validation score before training stops")
    checkpoint_steps: int = Field(100, gt=0)
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 where the device has it")
    seed: int = 13
