"""Settings of evaluation."""

from pydantic import BaseModel, ConfigDict, Field


class Evaluation(BaseModel):
    """What a model is tried with, and held against, beside its rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probes: str = Field("any_text", description="name of a file in data_contracts/probes, or the path of a YAML file")
    probe_rows: int = Field(200, ge=1, description="texts that one case asks a model about at most")
    single_task_baselines: bool = Field(
        False, description="a model of each task alone, trained by the same recipe; it costs a training a task"
    )
