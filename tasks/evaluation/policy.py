"""What a candidate has to show, as a pipeline's YAML says under `gate`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

SKILL = "skill"
LENGTH, SOURCE_FILE = "text_length", "source_file"
MEASURED_SLICES = (LENGTH, SOURCE_FILE)
Margin = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class GatePolicy(BaseModel):
    """What a candidate has to show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: Margin = Field(0.02, description="how much worse still counts as not worse")
    margins: dict[str, Margin] = Field(
        {}, description="task: its own margin, which has to be shown in domain however few rows there are"
    )
    confidence: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="of the two-sided bootstrap intervals; at 0.9 each end is passed once in 20 by chance",
    )
    draws: int = Field(2000, ge=200)
    floors: dict[str, float] = Field({}, description="task: least primary metric in domain")
    protected_slices: tuple[str, ...] = Field(
        (), description="slices of the in-domain rows, no group of which may be worse than the champion by the margin"
    )
    slice_min_rows: int = Field(30, ge=2, description="a group of fewer rows is named and not judged")
    max_calibration_error: Share | dict[str, Share] | None = Field(
        None, description="largest expected calibration error in domain, of every task or by task"
    )
    max_megabytes: float | None = Field(None, gt=0, description="of the model's folder, 10^6 bytes each")
    max_latency_ms: float | None = Field(
        None, gt=0, description="milliseconds that 99 of 100 single texts are answered within, tokenization included"
    )

    @field_validator("protected_slices")
    @classmethod
    def _each_slice_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names))

    @property
    def alpha(self) -> float:
        """How often chance alone may pass one end of an interval."""
        return (1 - self.confidence) / 2

    @property
    def named_tasks(self) -> dict[str, list[str]]:
        """Tasks that the policy names, by the key that names them."""
        errors = self.max_calibration_error
        return {
            "margins": sorted(self.margins),
            "floors": sorted(self.floors),
            "max_calibration_error": sorted(errors) if isinstance(errors, dict) else [],
        }

    def margin_of(self, task: str) -> float:
        """The task's own margin, or that of all."""
        return self.margins.get(task, self.margin)
