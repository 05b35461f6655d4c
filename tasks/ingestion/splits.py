"""Rules that divide rows among train, validation and test. A row's place follows from the row, not from its company."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from data_contracts.dataset import DatasetContract
from data_contracts.splits import TEST, TRAIN, VALIDATION
from data_contracts.texts import words_alone
from tasks.ingestion.identity import row_places

# Texts of a label that a line can be drawn between: one for each split.
FEWEST = 3
Names = NDArray[np.object_]
Lines = Mapping[str, tuple[float, float]]


class SplitRule(BaseModel, ABC):
    """What all rules share, and what others ask of a rule in place of its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def strata(self) -> str | None:
        """Column within which the shares have to hold, or None."""
        return None

    @property
    def group_column(self) -> str | None:
        """Column whose values name the rows that hang together, all of which go to one split, or None."""
        return None

    @property
    def moment_column(self) -> str | None:
        """Column that has to hold moments, or None."""
        return None

    @abstractmethod
    def columns_of(self, contract: DatasetContract) -> tuple[str, ...]:
        """Columns whose values decide where a row goes."""

    @abstractmethod
    def assign(self, table: pa.Table, contract: DatasetContract, lines: Lines) -> Names:
        """The split of each row; `lines` are those of the strata, by value."""


class ByShare(SplitRule):
    """What the rules by share have in common. Every row has a position between 0 and 1, from a hash of its text.

    Rows of the same text have the same position, so no text stands on both sides of one line.
    """

    validation: float = Field(0.1, ge=0, lt=1, description="share of the rows")
    test: float = Field(0.1, ge=0, lt=1, description="share of the rows")
    seed: int = 0

    @model_validator(mode="after")
    def _leaves_rows_to_learn_from(self) -> "ByShare":
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation} and test {self.test} leave no rows for training")
        return self

    def columns_of(self, contract: DatasetContract) -> tuple[str, ...]:
        """Columns whose values decide where a row goes."""
        texts = tuple(column.name for column in contract.text_columns)
        return texts or tuple(column.name for column in contract.columns)

    def assign(self, table: pa.Table, contract: DatasetContract, lines: Lines) -> Names:
        """The split of each row; `lines` are those of the strata, by value."""
        places = self.positions(table, contract)
        usual = (self.test, self.test + self.validation)
        if self.strata is None:
            first, second = np.full(len(places), usual[0]), np.full(len(places), usual[1])
        else:
            of_row = [lines.get(str(value), usual) for value in table.column(self.strata).to_pylist()]
            first, second = np.array(of_row, dtype=float).reshape(-1, 2).T
        return np.where(places < first, TEST, np.where(places < second, VALIDATION, TRAIN)).astype(object)

    def positions(self, table: pa.Table, contract: DatasetContract) -> NDArray[np.float64]:
        """Position of each row between 0 and 1, from the columns that decide."""
        return positions(table.select(self.columns_of(contract)), self.seed)


class RandomSplit(ByShare):
    """Each row by a hash of its text."""

    kind: Literal["random"] = "random"


class GroupedSplit(ByShare):
    """All rows of one group (a customer, a document) on the same side, and one without a group by its text."""

    kind: Literal["grouped"] = "grouped"
    column: str

    @property
    def group_column(self) -> str | None:
        """The group's column."""
        return self.column

    def columns_of(self, contract: DatasetContract) -> tuple[str, ...]:
        """The group's column alone."""
        return (self.column,)

    def positions(self, table: pa.Table, contract: DatasetContract) -> NDArray[np.float64]:
        """Position of each row between 0 and 1, from its group."""
        stands_alone = np.asarray(table.column(self.column).is_null())
        alone = RandomSplit(seed=self.seed).positions(table, contract)
        return np.where(stands_alone, alone, super().positions(table, contract))


class StratifiedSplit(ByShare):
    """The shares hold within each label, nearly where it has few texts.

    Where a label's lines lie is kept once it has three texts, and no row moves from then on. A text with two labels may
    stand on both sides, where the gate finds it.
    """

    kind: Literal["stratified"] = "stratified"
    column: str

    @property
    def strata(self) -> str | None:
        """The label's column."""
        return self.column

    def lines(self, values: list[str], places: NDArray[np.float64], kept: Lines) -> dict[str, tuple[float, float]]:
        """Upper ends of test and of validation, by label: those that are kept, and new ones for new labels.

        The lines of a label are drawn half-way between two of its texts, so that the shares hold to the row. They leave
        each split at least half of its share and at most twice as much of all texts that a label may have: drawn from
        a few, they would give most of those that come later to the test, or none. A label of one text or two has no
        lines yet, and is learnt from.
        """
        found = {label: ends for label, ends in kept.items() if ends[1] > 0}
        most = (1 + self.test + self.validation) / 2
        labels = np.array(values, dtype=object)
        for label in sorted(set(values) - set(found)):
            own = np.unique(places[labels == label])
            if len(own) < FEWEST:
                found[label] = (0.0, 0.0)
                continue
            ends = np.cumsum([_at_least_one(self.test, len(own)), _at_least_one(self.validation, len(own))])
            first = _near(self.test, _between(own, int(ends[0])))
            found[label] = (first, min(first + _near(self.validation, _between(own, int(ends[1])) - first), most))
        return found


class Folds(SplitRule):
    """One of k parts is the test, the next one the validation; `fold` says which, so k runs cross-validate."""

    kind: Literal["folds"] = "folds"
    folds: int = Field(5, ge=3, le=100)
    fold: int = Field(0, ge=0)
    seed: int = 0

    @model_validator(mode="after")
    def _is_one_of_them(self) -> "Folds":
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}: folds are counted from 0 to {self.folds - 1}")
        return self

    def columns_of(self, contract: DatasetContract) -> tuple[str, ...]:
        """Columns whose values decide where a row goes."""
        return RandomSplit(seed=self.seed).columns_of(contract)

    def assign(self, table: pa.Table, contract: DatasetContract, lines: Lines) -> Names:
        """The split of each row."""
        parts = (positions(table.select(self.columns_of(contract)), self.seed) * self.folds).astype(int)
        next_one = (self.fold + 1) % self.folds
        return np.where(parts == self.fold, TEST, np.where(parts == next_one, VALIDATION, TRAIN)).astype(object)


class TimeSplit(SplitRule):
    """Rows from two moments on are validation and test, as in use: learned from the past, judged by what came after."""

    kind: Literal["time"] = "time"
    column: str
    validation_from: AwareDatetime
    test_from: AwareDatetime

    @model_validator(mode="after")
    def _moments_are_in_order(self) -> "TimeSplit":
        if self.validation_from >= self.test_from:
            raise ValueError("validation_from has to lie before test_from")
        return self

    @property
    def moment_column(self) -> str | None:
        """The column of the moment."""
        return self.column

    def columns_of(self, contract: DatasetContract) -> tuple[str, ...]:
        """The column of the moment."""
        return (self.column,)

    def assign(self, table: pa.Table, contract: DatasetContract, lines: Lines) -> Names:
        """The split of each row; one without a moment goes to train, where the contract has its say."""
        moments = table.column(self.column)
        in_test, in_validation = (_reached(moments, line) for line in (self.test_from, self.validation_from))
        return np.where(in_test, TEST, np.where(in_validation, VALIDATION, TRAIN)).astype(object)


Splits = Annotated[RandomSplit | StratifiedSplit | GroupedSplit | TimeSplit | Folds, Field(discriminator="kind")]


def positions(table: pa.Table, seed: int) -> NDArray[np.float64]:
    """(rows,) in [0, 1), the same for the same values and seed; texts are the same where their words are."""
    columns = {
        name: words_alone(column.combine_chunks()) if pa.types.is_string(column.type) else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return row_places(pa.table(columns), seed)


def _reached(moments: pa.ChunkedArray, line: datetime) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.greater_equal(moments, pa.scalar(line, moments.type)), False))


def _near(share: float, drawn: float) -> float:
    return min(max(drawn, share / 2), 2 * share)


def _at_least_one(share: float, rows: int) -> int:
    """Rows of a label to draw a line behind; the line may lie where it leaves fewer, if the label has few."""
    return max(round(share * rows), 1) if share > 0 else 0


def _between(places: NDArray[np.float64], count: int) -> float:
    """A line with `count` of the sorted places below it."""
    if count <= 0:
        return 0.0
    return float(places[count - 1] + places[count]) / 2 if count < len(places) else 1.0
