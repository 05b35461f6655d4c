"""Settings of preparation."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.preparation.augmentation import Augmentation
from tasks.preparation.balancing import Balance
from tasks.preparation.translation import Translator


class Folding(BaseModel):
    """How rows in domain are cut into folds.

    Rows of one group stay together, those without a group where the words of their `texts` are the same; each fold has
    about the same share of every value of the column `strata`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: int
    texts: tuple[str, ...]
    group_column: str | None
    strata: str | None
    seed: int


class Preparation(BaseModel):
    """What is done to training rows alone, once they are known to be good; by default nothing.

    Rows are balanced first, then augmented. Weights instead of repeated rows are a setting of the head
    (`class_weights`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    balance: Balance | None = None
    augment: tuple[Augmentation, ...] = ()
    seed: int = Field(13, description="of what is repeated, dropped and varied")

    @model_validator(mode="after")
    def _each_kind_is_there_once(self) -> "Preparation":
        kinds = [variation.kind for variation in self.augment]
        if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
            # Variants are named by their kind.
            raise ValueError(
                f"augment holds {', '.join(twice)} twice; give it once, with a larger share or more copies"
            )
        return self

    @property
    def changes_nothing(self) -> bool:
        """Whether the rows stay as they are."""
        return self.balance is None and not self.augment

    @property
    def translators(self) -> tuple[Translator, ...]:
        """Models that variants come from."""
        return tuple(model for variation in self.augment for model in variation.translators)
