"""A file of probes: the cases that a model is tried with."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.evaluation.bias import Identity
from tasks.evaluation.cases import Directional, Expectation, Invariance
from tasks.modeling.heads import AnyHead

AnyCase = Annotated[Invariance | Directional | Expectation | Identity, Field(discriminator="kind")]


class Probes(BaseModel):
    """Cases, and the seed by which rows and slips of the fingers are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 13
    cases: tuple[AnyCase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Probes":
        names = [case.name for case in self.cases]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"cases are told apart by name, and {', '.join(twice)} is there twice")
        return self

    def misfits(self, heads: Mapping[str, AnyHead]) -> list[str]:
        """What the cases name and these heads have not."""
        return [f"case {case.name!r}: {problem}" for case in self.cases for problem in case.misfits(heads)]
