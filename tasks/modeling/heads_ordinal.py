"""One of several labels a text that have an order: low, middle, high."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from data_contracts.dataset import Property
from tasks.modeling import scores, tfidf
from tasks.modeling.calibration import label_shares, shares_of
from tasks.modeling.head import (
    MISSING,
    Answer,
    Answered,
    Baseline,
    Head,
    MetricInputs,
    WordTensors,
    check_several_labels,
    dense_layers,
    labels_of,
)
from tasks.modeling.pooling import Pooling, add_pooling, pooled_states

if TYPE_CHECKING:
    from torch import Tensor, nn

THRESHOLDS = "thresholds"
# An optimiser that moves every weight by about its learning rate takes hundreds of steps to move a threshold by one,
# and labels that are told apart for sure lie several apart. Kept in units of ten, thresholds get there.
UNIT = 10.0
# A label between two thresholds that are one and the same has no share, which has no logarithm.
LEAST_SHARE = 1e-12


class OrdinalHead(Head):
    """One of several labels in order, the lowest first, from one state of all its tokens.

    One number a text, and a threshold between every two neighbouring labels, each a binary classifier of `higher than
    that`: CORAL (Cao, Mirjalili and Raschka 2020, arXiv:1901.07884). A mistake costs by how far off it is.
    """

    kind: Literal["ordinal"] = "ordinal"
    one_label: ClassVar[bool] = True
    set_by_training: ClassVar[frozenset[str]] = frozenset({"temperature"})
    pooling: Pooling = "mean"
    temperature: float = Field(
        1.0, gt=0, description="set from validation, so that confidences are shares of right answers"
    )

    @property
    def loss_of_guessing(self) -> float:
        """Loss of a text where all labels are as likely: the entropies of being higher than each but the last."""
        lower = np.arange(1, max(2, len(self.labels))) / max(2, len(self.labels))
        return float(-(lower * np.log(lower) + (1 - lower) * np.log(1 - lower)).sum())

    def bind(self, column: Property) -> "OrdinalHead":
        """The head with the contract's labels. Raises InputError for a column that does not hold one label a text."""
        return self.model_copy(update={"column": column.name, "labels": labels_of(column, self, "string")})

    def fit(self, values: Sequence[Any]) -> "OrdinalHead":
        """The head as it is. Raises InputError where fewer than two labels occur."""
        check_several_labels(self.column, values)
        return self

    def layers(self, width: int) -> "nn.Module":
        """(batch, width) to (batch, 1), and the thresholds, by which 0 makes all labels as likely to begin with."""
        import torch
        from torch import nn

        layers = add_pooling(dense_layers(self, width, 1, partial(nn.Linear, bias=False)), self.pooling, width)
        higher = torch.arange(len(self.labels) - 1, 0, -1) / len(self.labels)
        layers.register_parameter(THRESHOLDS, nn.Parameter(higher.logit() / UNIT))
        return layers

    def logits(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """(batch, labels - 1), the log-odds that the label is higher than each but the last."""
        number: Tensor = layers(pooled_states(states, mask, layers, self.pooling))
        return number + UNIT * layers.get_parameter(THRESHOLDS)

    def targets(self, values: Sequence[Any]) -> "Tensor":
        """(batch,) positions of the labels."""
        import torch

        return torch.tensor([MISSING if value is None else self.labels.index(value) for value in values])

    def present(self, targets: "Tensor") -> "Tensor":
        """Which targets are labels and not missing; of the targets' shape."""
        return targets != MISSING

    def loss(self, logits: "Tensor", targets: "Tensor") -> "Tensor":
        """Binary cross-entropy, summed over the thresholds and over the labels that are present."""
        import torch
        from torch.nn import functional

        higher = (targets.unsqueeze(-1) > torch.arange(logits.shape[-1], device=logits.device)).float()
        errors = functional.binary_cross_entropy_with_logits(logits.float(), higher, reduction="none")
        return (errors * self.present(targets).unsqueeze(-1)).sum()

    def shares(self, logits: "Tensor") -> NDArray[np.float64]:
        """(batch, labels) probabilities, from those of being higher than each label."""
        higher = _higher(logits)
        edges = np.pad(higher, ((0, 0), (1, 0)), constant_values=1.0), np.pad(higher, ((0, 0), (0, 1)))
        return np.asarray(edges[0] - edges[1])

    def label_scores(self, logits: "Tensor") -> NDArray[np.float32]:
        """(batch, labels) log-probabilities."""
        return np.log(np.maximum(self.shares(logits), LEAST_SHARE)).astype(np.float32)

    def decode(self, logits: "Tensor", counts: Sequence[int]) -> tuple[list[Answer], list[float]]:
        """The middle label (as likely that it is higher as that it is lower), and its probability.

        Of all answers this one is least far off on average. It need not be the likeliest.
        """
        shares = shares_of(self.label_scores(logits), self.temperature)
        ranks = (_higher(logits) > 0.5).sum(axis=1)
        return [self.labels[rank] for rank in ranks], shares[np.arange(len(shares)), ranks].tolist()

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
        """rank_agreement (quadratic_weighted_kappa, mean_absolute_error), accuracy and expected_calibration_error.

        Kappa is the primary one: bigger is better, it is 0 for an answer that does not look at the text, like the other
        heads' scores, and it weighs a mistake by how far off it is, which accuracy does not.
        """
        right = [int(answer == reference) for answer, reference in zip(answers, references, strict=True)]
        return {
            "rank_agreement": (self._ranks(answers), self._ranks(references)),
            "accuracy": (list(answers), list(references)),
            "expected_calibration_error": (list(confidences), right),
        }

    def statistics(self, answers: Sequence[Any], references: Sequence[Any]) -> "np.ndarray[Any, Any]":
        """(rows, 6): 1, x, y, xx, yy, xy of the ranks."""
        return scores.moments(self._ranks(answers), self._ranks(references))

    def score_of_sums(self, sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Quadratic weighted kappa of each of (draws, 6) sums."""
        return scores.kappa_of_sums(sums)

    def majority(self, values: Sequence[Any], words: Sequence[Sequence[str]]) -> Answered:
        """The most frequent of the labels, and its share, for every text of `words`."""
        return tfidf.most_frequent(values, len(words))

    def fit_tfidf(self, texts: Sequence[str], values: Sequence[Any]) -> Baseline:
        """Logistic regression."""
        return tfidf.classifier(texts, values)

    def _ranks(self, labels: Sequence[str]) -> list[int]:
        known = {label: rank for rank, label in enumerate(self.labels)}
        return [known[label] for label in labels]


def _higher(logits: "Tensor") -> NDArray[np.float64]:
    """(batch, labels - 1) probabilities that the label is higher than each but the last."""
    # Thresholds that have been learnt are in order; before that they may cross.
    return np.asarray(np.minimum.accumulate(logits.detach().double().sigmoid().numpy(), axis=1))
