"""Any number of labels a text, none of them included."""

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

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
    Classifier,
    Head,
    MetricInputs,
    WordTensors,
    classifier_layers,
    labels_of,
)
from tasks.modeling.pooling import Pooling, add_pooling, pooled_states

if TYPE_CHECKING:
    from torch import Tensor, nn


class MultiLabelHead(Head):
    """Any number of labels a text, each decided for itself, from one state of all its tokens."""

    kind: Literal["multi_label"] = "multi_label"
    pooling: Pooling = "mean"
    classifier: Classifier = "cosine"
    threshold: float = Field(0.5, gt=0, lt=1, description="probability from which on a text is given a label")

    @property
    def loss_of_guessing(self) -> float:
        """Loss of one label of one text that is as likely given as not."""
        return math.log(2)

    def bind(self, column: Property) -> "MultiLabelHead":
        """The head with the contract's labels. Raises InputError for a column that holds no lists of labels."""
        return self.model_copy(update={"column": column.name, "labels": labels_of(column, self, "array")})

    def fit(self, values: Sequence[Any]) -> "MultiLabelHead":
        """The head as it is. Raises InputError where every label is on all texts of training or on none."""
        shares = self._given([value for value in values if value is not None]).mean(axis=0) if any(values) else []
        if not any(0 < share < 1 for share in shares):
            raise InputError(
                f"column {self.column!r} has the same labels on every row of training, or none; a classifier needs a "
                "label that some texts have and others have not."
            )
        return self

    def layers(self, width: int) -> "nn.Module":
        """(batch, width) to (batch, labels)."""
        return add_pooling(classifier_layers(self, width), self.pooling, width)

    def logits(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """(batch, labels), the log-odds of each."""
        result: Tensor = layers(self.inputs(layers, states, mask, words))
        return result

    def inputs(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """What the first layer is given, (batch, width)."""
        return pooled_states(states, mask, layers, self.pooling)

    def targets(self, values: Sequence[Any]) -> "Tensor":
        """(batch, labels): 1 for a label that the text has, 0 for one it has not, NaN where its list is missing."""
        import torch

        given = self._given([value or () for value in values]).astype(np.float32)
        given[[row for row, value in enumerate(values) if value is None]] = np.nan
        return torch.from_numpy(given)

    def present(self, targets: "Tensor") -> "Tensor":
        """Which targets are known and not missing; of the targets' shape, so that a loss is divided by the labels."""
        return ~targets.isnan()

    def loss(self, logits: "Tensor", targets: "Tensor") -> "Tensor":
        """Binary cross-entropy, summed over the labels of the texts whose list is present."""
        from torch.nn import functional

        errors = functional.binary_cross_entropy_with_logits(logits.float(), targets.nan_to_num(), reduction="none")
        return (errors * self.present(targets)).sum()

    def decode(self, logits: "Tensor", counts: Sequence[int]) -> tuple[list[Answer], list[float]]:
        """The labels from the threshold on, in the order of `labels`, and the probability that all of it is right.

        That is the product of what each decision has for it, as if labels did not depend on each other.
        """
        return self._decide(logits.detach().double().sigmoid().numpy())

    def prediction(self, answer: Any, confidence: float, text: str, spans: Sequence[tuple[int, int]]) -> Any:
        """{labels, confidence}."""
        return {"labels": answer, "confidence": round(confidence, 4)}

    def in_words(self, answer: Any) -> str:
        """The labels, in the order of `labels`."""
        return ", ".join(self._ordered(answer)) or "no label"

    def is_right(self, answer: Any, reference: Any) -> bool:
        """Whether the labels are those of the reference, in whatever order."""
        return set(answer) == set(reference)

    def agrees(self, answer: Any, other: Any, tolerance: float | None = None) -> bool:
        """Whether the labels are the same, in whatever order."""
        return set(answer) == set(other)

    def metric_inputs(
        self, answers: Sequence[Any], references: Sequence[Any], confidences: Sequence[float]
    ) -> MetricInputs:
        """label_set_f1 (micro_f1, macro_f1, exact_match), and expected_calibration_error of whole lists."""
        right = [int(self.is_right(*pair)) for pair in zip(answers, references, strict=True)]
        wanted = [self._ordered(reference) for reference in references]
        return {"label_set_f1": (list(answers), wanted), "expected_calibration_error": (list(confidences), right)}

    def statistics(self, answers: Sequence[Any], references: Sequence[Any]) -> "np.ndarray[Any, Any]":
        """(rows, 3): labels given and right, given but wrong, missed."""
        pairs = zip(answers, references, strict=True)
        return np.array([scores.label_counts(answer, reference) for answer, reference in pairs], dtype=float)

    def score_of_sums(self, sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Micro F1 of each of (draws, 3) sums."""
        return scores.f1_of_sums(sums)

    def majority(self, values: Sequence[Any], words: Sequence[Sequence[str]]) -> Answered:
        """The most frequent list of labels, and its share, for every text of `words`."""
        lists, shares = tfidf.most_frequent([tuple(self._ordered(value)) for value in values], len(words))
        return [list(labels) for labels in lists], shares

    def fit_tfidf(self, texts: Sequence[str], values: Sequence[Any]) -> Baseline:
        """Logistic regressions, each label against the rest, with the threshold of the head."""
        probabilities = tfidf.one_against_rest(texts, self._given(values))
        return lambda texts, _: self._decide(probabilities(texts))

    def _given(self, values: Sequence[Collection[str]]) -> NDArray[np.bool_]:
        """(texts, labels): which text has which label."""
        given = [[label in value for label in self.labels] for value in values]
        return np.array(given, dtype=bool).reshape(len(values), len(self.labels))

    def _ordered(self, value: Collection[str]) -> list[str]:
        return [label for label in self.labels if label in value]

    def _decide(self, probabilities: NDArray[np.float64]) -> tuple[list[Answer], list[float]]:
        given = probabilities >= self.threshold
        answers: list[Answer] = [[self.labels[position] for position in np.flatnonzero(row)] for row in given]
        return answers, np.where(given, probabilities, 1 - probabilities).prod(axis=1).tolist()
