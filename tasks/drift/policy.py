"""When a window counts as bad, as shifted, or as harmful, and when that is worth a retraining."""

from pydantic import BaseModel, ConfigDict, Field

from tasks.drift.governor import Governor
from tasks.drift.quality import QualityLimits
from tasks.drift.statistics import (
    ConfidenceShift,
    DriftStatistic,
    EmbeddingDistance,
    EntropyShift,
    LabelMix,
    NoveltyShift,
    OutputDistance,
)


class DriftPolicy(BaseModel):
    """The `drift` of a pipeline. The defaults were measured by benchmarks.drift."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    quality: QualityLimits = QualityLimits()

    statistics: tuple[DriftStatistic, ...] = Field(
        (EmbeddingDistance(), NoveltyShift(), OutputDistance(), ConfidenceShift(), EntropyShift(), LabelMix()),
        min_length=1,
    )
    permutations: int = Field(999, ge=99, description="at least; more where the level asks for them")
    alpha: float = Field(0.05, gt=0, lt=1, description="chance that a shift is ever reported in a life without any")
    looks: int = Field(
        25, gt=0, description="windows that share the first half of alpha; twice as many the next quarter"
    )
    minimum_rows: int = Field(
        50, gt=0, description="a smaller window is not tested for shift; it counts for the monitors"
    )
    smallest_effect: float = Field(
        0.04, ge=0, lt=1, description="a shift below is no concern: 2 AUC - 1 of telling window and reference apart"
    )

    run_length: float = Field(2000, ge=100, description="windows until a false alarm of harm, on average, at least")
    tolerated_drop: float = Field(0.02, ge=0, lt=1, description="loss of accuracy that is nobody's concern")
    tolerated_out_of_scope: float = Field(
        0.03, ge=0, lt=1, description="more texts unlike any of the reference that are nobody's concern"
    )

    rollback_alpha: float = Field(
        0.05, gt=0, lt=1, description="chance of rolling back a champion that is no worse than the one before it"
    )

    most_rows: int = Field(20_000, ge=1000, description="rows of a larger window are drawn at random, for the model")
    label_rows: int = Field(100, gt=0, description="rows that are asked to be labelled")
    governor: Governor = Governor()
