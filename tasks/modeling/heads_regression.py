"""One real number a text."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data_contracts.dataset import Property
from data_contracts.errors import InputError
from tasks.modeling import scores, tfidf
from tasks.modeling.head import (
    Answer,
    Answered,
    Baseline,
    Head,
    MetricInputs,
    WordTensors,
    check_no_labels,
    dense_layers,
)
from tasks.modeling.pooling import Pooling, add_pooling, pooled_states

if TYPE_CHECKING:
    from torch import Tensor, nn

# Of a sum of a million numbers, at most.
ROUNDING = 1e-10


class RegressionHead(Head):
    """One real number a text, from one state of all its tokens."""

    kind: Literal["regression"] = "regression"
    has_confidence: ClassVar[bool] = False
    is_number: ClassVar[bool] = True
    set_by_training: ClassVar[frozenset[str]] = frozenset({"mean", "deviation"})
    pooling: Pooling = "mean"
    mean: float = Field(0.0, description="set from the training labels")
    deviation: float = Field(1.0, gt=0, description="set from the training labels")

    @property
    def loss_of_guessing(self) -> float:
        """Loss of the mean: one squared deviation."""
        return 1.0

    def bind(self, column: Property) -> "RegressionHead":
        """The head for that column. Raises InputError for a column that holds no numbers, and for labels."""
        if column.logical_type not in ("number", "integer"):
            raise InputError(
                f"head regression on column {column.name!r}: its logicalType is {column.logical_type}, not number."
            )
        check_no_labels(column, self)
        return self.model_copy(update={"column": column.name})

    def fit(self, values: Sequence[Any]) -> "RegressionHead":
        """The head with mean and deviation of the training labels. Raises InputError where they are constant."""
        known = np.array([value for value in values if value is not None], dtype=float)
        # Not by the deviation: that of 0.1, 0.1, 0.1 is 1e-17.
        if len(known) < 2 or np.ptp(known) == 0:
            raise InputError(
                f"column {self.column!r} is constant or empty in training; there is nothing to regress on."
            )
        return self.model_copy(update={"mean": float(known.mean()), "deviation": float(known.std())})

    def layers(self, width: int) -> "nn.Module":
        """(batch, width) to (batch, 1)."""
        return add_pooling(dense_layers(self, width, 1), self.pooling, width)

    def logits(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """(batch,) in standard deviations of the training labels."""
        result: Tensor = layers(pooled_states(states, mask, layers, self.pooling)).squeeze(-1)
        return result

    def targets(self, values: Sequence[Any]) -> "Tensor":
        """(batch,) in standard deviations of the training labels; missing ones are NaN."""
        import torch

        return torch.tensor([float("nan") if v is None else (v - self.mean) / self.deviation for v in values])

    def present(self, targets: "Tensor") -> "Tensor":
        """Which targets are numbers and not missing; of the targets' shape."""
        return ~targets.isnan()

    def loss(self, logits: "Tensor", targets: "Tensor") -> "Tensor":
        """Squared error, summed over the labels that are present."""
        errors = (logits.float() - targets.nan_to_num()) * self.present(targets)
        return errors.square().sum()

    def decode(self, logits: "Tensor", counts: Sequence[int]) -> tuple[list[Answer], list[float]]:
        """Numbers in the label's own units; a regression has no confidence, so it is 1."""
        return [float(value) * self.deviation + self.mean for value in logits.float()], [1.0] * len(logits)

    def prediction(self, answer: Any, confidence: float, text: str, spans: Sequence[tuple[int, int]]) -> Any:
        """The number."""
        return self._rounded(answer)

    def said(self, answer: Any, text: str) -> str | float | list[str]:
        """The number."""
        return self._rounded(answer)

    def agrees(self, answer: Any, other: Any, tolerance: float | None = None) -> bool:
        """Whether the numbers are as good as one."""
        return bool(abs(answer - other) <= (self.deviation / 2 if tolerance is None else tolerance))

    def levels(
        self, answers: Sequence[Any], scores: NDArray[np.float32] | None, label: str | None
    ) -> NDArray[np.float64]:
        """(rows,) the numbers."""
        return np.asarray(answers, dtype=float)

    def metric_inputs(
        self, answers: Sequence[Any], references: Sequence[Any], confidences: Sequence[float]
    ) -> MetricInputs:
        """correlation: pearson, spearman and mean_absolute_error."""
        return {"correlation": (list(answers), list(references))}

    def statistics(self, answers: Sequence[Any], references: Sequence[Any]) -> "np.ndarray[Any, Any]":
        """(rows, 6): 1, x, y, xx, yy, xy, in standard deviations from the mean of the training labels.

        Squares of numbers that are far from 0 beside their spread, such as dates, would leave nothing of it.
        """
        x, y = ((np.asarray(side, dtype=float) - self.mean) / self.deviation for side in (answers, references))
        return scores.moments(x, y)

    def score_of_sums(self, sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Pearson correlation of each of (draws, 6) sums; 0 where either side is constant."""
        n, x, y, xx, yy, xy = sums.T
        spread = np.sqrt(_above_rounding(n * xx, x * x)) * np.sqrt(_above_rounding(n * yy, y * y))
        return np.where(spread > 0, (n * xy - x * y) / np.where(spread > 0, spread, 1), 0.0)

    def majority(self, values: Sequence[Any], words: Sequence[Sequence[str]]) -> Answered:
        """The mean of the labels, for every text of `words`."""
        return [float(np.mean(values))] * len(words), [1.0] * len(words)

    def fit_tfidf(self, texts: Sequence[str], values: Sequence[Any]) -> Baseline:
        """Ridge regression."""
        return tfidf.regressor(texts, values)

    def _rounded(self, answer: Any) -> float:
        """To four decimals, or to as many more as a thousandth of the labels' deviation takes."""
        return round(float(answer), max(4, 3 - math.floor(math.log10(self.deviation))))


def _above_rounding(larger: "np.ndarray[Any, Any]", smaller: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Their difference, and 0 where it is nothing but what a sum of many numbers is rounded by."""
    return np.where(larger - smaller > ROUNDING * larger, larger - smaller, 0.0)
