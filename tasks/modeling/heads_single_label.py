"""One of several labels a text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data_contracts.dataset import Property
from tasks.modeling import tfidf
from tasks.modeling.calibration import label_shares, shares_of
from tasks.modeling.head import (
    MISSING,
    Answer,
    Answered,
    Baseline,
    Classifier,
    Head,
    MetricInputs,
    WordTensors,
    check_several_labels,
    classifier_layers,
    cross_entropy,
    labels_of,
)
from tasks.modeling.pooling import Pooling, add_pooling, pooled_states

if TYPE_CHECKING:
    from torch import Tensor, nn


class SingleLabelHead(Head):
    """One of several labels a text, from one state of all its tokens."""

    kind: Literal["single_label"] = "single_label"
    one_label: ClassVar[bool] = True
    set_by_training: ClassVar[frozenset[str]] = frozenset({"label_weights", "temperature"})
    pooling: Pooling = "mean"
    classifier: Classifier = "cosine"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: all labels have the same share of the loss, however rare they are"
    )
    label_weights: tuple[float, ...] = Field((), description="set from the training labels")
    temperature: float = Field(
        1.0, gt=0, description="set from validation, so that confidences are shares of right answers"
    )

    def bind(self, column: Property) -> "SingleLabelHead":
        """The head with the contract's labels. Raises InputError for a column that does not hold one label a text."""
        return self.model_copy(update={"column": column.name, "labels": labels_of(column, self, "string")})

    def fit(self, values: Sequence[Any]) -> "SingleLabelHead":
        """The head with its label weights, where it has any. Raises InputError where fewer than two labels occur."""
        check_several_labels(self.column, values)
        if self.class_weights == "none":
            return self
        counts = Counter(value for value in values if value is not None)
        return self.model_copy(update={"label_weights": _balanced_weights(self.labels, counts)})

    def layers(self, width: int) -> "nn.Module":
        """(batch, width) to (batch, labels)."""
        return add_pooling(classifier_layers(self, width), self.pooling, width)

    def logits(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """(batch, labels)."""
        result: Tensor = layers(self.inputs(layers, states, mask, words))
        return result

    def inputs(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """What the first layer is given, (batch, width)."""
        return pooled_states(states, mask, layers, self.pooling)

    def targets(self, values: Sequence[Any]) -> "Tensor":
        """(batch,) positions of the labels."""
        import torch

        known = {label: position for position, label in enumerate(self.labels)}
        return torch.tensor([MISSING if value is None else known[value] for value in values])

    def loss(self, logits: "Tensor", targets: "Tensor") -> "Tensor":
        """Cross-entropy, each label's by its weight, summed over the labels that are present."""
        return cross_entropy(logits, targets, self.label_smoothing, self.label_weights)

    def decode(self, logits: "Tensor", counts: Sequence[int]) -> tuple[list[Answer], list[float]]:
        """Label of the largest logit, and its probability."""
        shares = shares_of(self.label_scores(logits), self.temperature)
        return [self.labels[rank] for rank in shares.argmax(axis=1)], shares.max(axis=1).tolist()

    def label_scores(self, logits: "Tensor") -> NDArray[np.float32]:
        """(batch, labels), the logits."""
        return np.asarray(logits.detach().float().numpy())

    def levels(
        self, answers: Sequence[Any], scores: NDArray[np.float32] | None, label: str | None
    ) -> NDArray[np.float64]:
        """(rows,) probabilities of the label."""
        return label_shares(scores, self.temperature, self.labels, label)

    def prediction(self, answer: Any, confidence: float, text: str, spans: Sequence[tuple[int, int]]) -> Any:
        """{label, confidence}."""
        return {"label": answer, "confidence": round(confidence, 4)}

    def metric_inputs(
        self, answers: Sequence[Any], references: Sequence[Any], confidences: Sequence[float]
    ) -> MetricInputs:
        """accuracy, macro_f1 and expected_calibration_error."""
        right = [int(answer == reference) for answer, reference in zip(answers, references, strict=True)]
        pairs = (list(answers), list(references))
        return {"accuracy": pairs, "macro_f1": pairs, "expected_calibration_error": (list(confidences), right)}

    def statistics(self, answers: Sequence[Any], references: Sequence[Any]) -> "np.ndarray[Any, Any]":
        """(rows, 2): right answers and rows, from whose sums `score_of_sums` gives the primary score."""
        right = [float(answer == reference) for answer, reference in zip(answers, references, strict=True)]
        return np.stack([np.array(right), np.ones(len(right))], axis=1)

    def score_of_sums(self, sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Accuracy of each of (draws, 2) sums."""
        return np.asarray(sums[:, 0] / sums[:, 1])

    def majority(self, values: Sequence[Any], words: Sequence[Sequence[str]]) -> Answered:
        """The most frequent of the labels, and its share, for every text of `words`."""
        return tfidf.most_frequent(values, len(words))

    def fit_tfidf(self, texts: Sequence[str], values: Sequence[Any]) -> Baseline:
        """Logistic regression."""
        return tfidf.classifier(texts, values)


def _balanced_weights(labels: Sequence[str], counts: Mapping[str, int]) -> tuple[float, ...]:
    """Rows / (labels that occur * rows of the label); 1 for a label that does not occur.

    As scikit-learn's `compute_class_weight` does, after King and Zeng 2001 (Political Analysis 9, 137-163). The mean
    over the training rows is 1, so a loss that is divided by the number of labels keeps its size.
    """
    rows = sum(counts.values())
    return tuple(rows / (len(counts) * counts[label]) if counts.get(label) else 1.0 for label in labels)
