"""Heads: what a task's answers are. Each kind holds its settings and owns layers, targets, loss, decoding and scores.

Metrics are named by module of `tasks/evaluation/metrics`; the first value of the first one is a task's primary metric.
Shapes: `states` is (batch, tokens, width), `mask` (batch, tokens) with 1 for real tokens, `words` has the first piece
of each word (-1 for padding) and its shape, both (batch, words). A label that is missing takes no part in the loss.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from data_contracts.dataset import Property
from data_contracts.errors import InputError
from tasks.modeling import scores
from tasks.modeling.sequences import best_sequences, legal_transitions, tag_bigrams
from tasks.modeling.words import SHAPES

if TYPE_CHECKING:
    from torch import Tensor, nn

MISSING = -100
CERTAIN = 1e4
Answer = str | float | list[str]
MetricInputs = dict[str, tuple[list[Any], list[Any]]]


class WordTensors(NamedTuple):
    """Of the words of a batch, (batch, words) each: the token each starts at, -1 for none, and its shape."""

    starts: "Tensor"
    shapes: "Tensor"


class Head(BaseModel):
    """What all heads share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field("", description="column of the contract; by default the name of the task")
    labels: tuple[str, ...] = Field((), description="those of the contract, and in its order by default")
    loss_weight: float = Field(1.0, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)


class SingleLabelHead(Head):
    """One of several labels a text, from the mean of its token states."""

    kind: Literal["single_label"] = "single_label"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: all labels have the same share of the loss, however rare they are"
    )
    label_weights: tuple[float, ...] = Field((), description="set from the training labels")

    def bind(self, column: Property) -> "SingleLabelHead":
        """The head with the contract's labels. Raises InputError for a column without labels."""
        if not column.labels:
            raise InputError(
                f"head single_label on column {column.name!r}: the contract gives it no `labels`. Add them."
            )
        return self.model_copy(update={"column": column.name, "labels": _in_order(self.labels, column.labels, column)})

    def fit(self, values: Sequence[Any]) -> "SingleLabelHead":
        """The head with its label weights, where it has any. Raises InputError where fewer than two labels occur."""
        counts = Counter(value for value in values if value is not None)
        found = sorted(counts)
        if len(found) < 2:
            raise InputError(
                f"column {self.column!r} holds only {found} in training; a classifier needs two labels or more."
            )
        if self.class_weights == "none":
            return self
        return self.model_copy(update={"label_weights": _balanced_weights(self.labels, counts)})

    def layers(self, width: int) -> "nn.Module":
        """Dropout and one linear layer: (batch, width) to (batch, labels)."""
        return _linear(self.dropout, width, len(self.labels))

    def logits(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """(batch, labels)."""
        result: Tensor = layers(mean_states(states, mask))
        return result

    def targets(self, values: Sequence[Any]) -> "Tensor":
        """(batch,) positions of the labels."""
        import torch

        known = {label: position for position, label in enumerate(self.labels)}
        return torch.tensor([MISSING if value is None else known[value] for value in values])

    def present(self, targets: "Tensor") -> "Tensor":
        """Which targets are labels and not missing; of the targets' shape."""
        return targets != MISSING

    def loss(self, logits: "Tensor", targets: "Tensor") -> "Tensor":
        """Cross-entropy, each label's by its weight, summed over the labels that are present."""
        return _cross_entropy(logits, targets, self.label_smoothing, self.label_weights)

    def decode(self, logits: "Tensor", counts: Sequence[int]) -> tuple[list[Answer], list[float]]:
        """Label of the largest logit, and its probability."""
        best, positions = logits.float().softmax(dim=-1).max(dim=-1)
        return [self.labels[int(position)] for position in positions], [float(value) for value in best]

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


class TokenTagHead(Head):
    """BIO tags, one a word, from the state of its first piece and the shape of its letters.

    The shape (capital, digits, ...) is what an uncased encoder does not see (Collobert et al. 2011, JMLR 12, 4.3). The
    answer is the sequence with the largest sum of log p(tag | text) + weight * log p(tag | tag before), the second from
    the training tags: shallow fusion, as speech recognition does with a language model (Gulcehre et al. 2015,
    arXiv:1503.03535).
    """

    kind: Literal["token_tags"] = "token_tags"
    transition_weight: float = Field(0.5, ge=0, description="of the tag before; 0 leaves only that tags be legal")
    transitions: tuple[tuple[float, ...], ...] = Field((), description="set from the training tags")

    def bind(self, column: Property) -> "TokenTagHead":
        """The head with the contract's tags. Raises InputError for a column without tag kinds."""
        if not column.tag_kinds:
            raise InputError(
                f"head token_tags on column {column.name!r}: the contract gives it no `tagKinds`. Add them."
            )
        tags = ("O", *(f"{prefix}-{kind}" for kind in column.tag_kinds for prefix in "BI"))
        return self.model_copy(update={"column": column.name, "labels": _in_order(self.labels, tags, column)})

    def fit(self, values: Sequence[Any]) -> "TokenTagHead":
        """The head with the training's tag bigrams. Raises InputError where training holds no entity at all."""
        sequences = [value["tags"] for value in values if value]
        if not any(tag != "O" for tags in sequences for tag in tags):
            raise InputError(f"column {self.column!r} holds no entity in training; a tagger needs some.")
        bigrams = tag_bigrams(self.labels, sequences).round(4)
        return self.model_copy(update={"transitions": tuple(map(tuple, bigrams.tolist()))})

    def layers(self, width: int) -> "nn.Module":
        """Dropout and one linear layer: (batch, words, width + shapes) to (batch, words, tags)."""
        return _linear(self.dropout, width + len(SHAPES), len(self.labels))

    def logits(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """(batch, words, tags); a word without a piece is `O` for certain."""
        if words is None:
            raise ValueError("a tagging head needs the starts and shapes of words")
        import torch
        from torch.nn import functional

        positions = words.starts.clamp(min=0).unsqueeze(-1).expand(-1, -1, states.shape[-1])
        shapes = functional.one_hot(words.shapes.clamp(min=0), len(SHAPES)).to(states.dtype)
        result: Tensor = layers(torch.cat([states.gather(1, positions), shapes], dim=-1))
        outside = CERTAIN * functional.one_hot(torch.tensor(self.labels.index("O")), len(self.labels)).to(result)
        return torch.where(words.starts.unsqueeze(-1) < 0, outside, result)

    def targets(self, values: Sequence[Any]) -> "Tensor":
        """(batch, words) positions of the tags."""
        import torch

        known = {tag: position for position, tag in enumerate(self.labels)}
        rows = [[known[tag] for tag in value["tags"]] if value else [] for value in values]
        longest = max(1, *(len(row) for row in rows))
        return torch.tensor([row + [MISSING] * (longest - len(row)) for row in rows])

    def present(self, targets: "Tensor") -> "Tensor":
        """Which targets are tags and neither padding nor missing; of the targets' shape."""
        return targets != MISSING

    def loss(self, logits: "Tensor", targets: "Tensor") -> "Tensor":
        """Cross-entropy, summed over the words whose tag is present."""
        return _cross_entropy(logits.flatten(0, 1), targets.flatten(), 0.0)

    def decode(self, logits: "Tensor", counts: Sequence[int]) -> tuple[list[Answer], list[float]]:
        """The best legal tags of each text's `counts` words, and the probability that all of them are right."""
        log_shares = logits.detach().double().log_softmax(dim=-1).numpy()
        transitions = legal_transitions(self.labels)
        if self.transitions:
            transitions += self.transition_weight * np.array(self.transitions)
        found = best_sequences(log_shares, transitions, counts)
        return [[self.labels[position] for position in path] for path, _ in found], [share for _, share in found]

    def metric_inputs(
        self, answers: Sequence[Any], references: Sequence[Any], confidences: Sequence[float]
    ) -> MetricInputs:
        """entity_f1 over whole entities, and accuracy over words."""
        wanted = [list(reference["tags"]) for reference in references]
        flat = ([tag for tags in answers for tag in tags], [tag for tags in wanted for tag in tags])
        return {"entity_f1": (list(answers), wanted), "accuracy": flat}

    def statistics(self, answers: Sequence[Any], references: Sequence[Any]) -> "np.ndarray[Any, Any]":
        """(rows, 3): entities found and right, found but wrong, missed."""
        pairs = zip(answers, references, strict=True)
        return np.array([scores.entity_counts(answer, reference["tags"]) for answer, reference in pairs], dtype=float)

    def score_of_sums(self, sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Entity F1 of each of (draws, 3) sums."""
        return np.asarray(2 * sums[:, 0] / np.maximum(2 * sums[:, 0] + sums[:, 1] + sums[:, 2], 1e-12))


class RegressionHead(Head):
    """One real number a text, from the mean of its token states."""

    kind: Literal["regression"] = "regression"
    mean: float = Field(0.0, description="set from the training labels")
    deviation: float = Field(1.0, gt=0, description="set from the training labels")

    def bind(self, column: Property) -> "RegressionHead":
        """The head for that column. Raises InputError for a column that holds no numbers."""
        if column.logical_type not in ("number", "integer"):
            raise InputError(
                f"head regression on column {column.name!r}: its logicalType is {column.logical_type}, not number."
            )
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
        """Dropout and one linear layer: (batch, width) to (batch, 1)."""
        return _linear(self.dropout, width, 1)

    def logits(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """(batch,) in standard deviations of the training labels."""
        result: Tensor = layers(mean_states(states, mask)).squeeze(-1)
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

    def metric_inputs(
        self, answers: Sequence[Any], references: Sequence[Any], confidences: Sequence[float]
    ) -> MetricInputs:
        """correlation: pearson, spearman and mean_absolute_error."""
        return {"correlation": (list(answers), list(references))}

    def statistics(self, answers: Sequence[Any], references: Sequence[Any]) -> "np.ndarray[Any, Any]":
        """(rows, 6): 1, x, y, xx, yy, xy."""
        x, y = np.asarray(answers, dtype=float), np.asarray(references, dtype=float)
        return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)

    def score_of_sums(self, sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Pearson correlation of each of (draws, 6) sums; 0 where either side is constant."""
        n, x, y, xx, yy, xy = sums.T
        spread = np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
        return np.where(spread > 1e-12, (n * xy - x * y) / np.maximum(spread, 1e-12), 0.0)


AnyHead = Annotated[SingleLabelHead | TokenTagHead | RegressionHead, Field(discriminator="kind")]
Heads = dict[str, AnyHead]
HeadsAdapter: TypeAdapter[Heads] = TypeAdapter(Heads)


def heads_of(folder: Path) -> Heads:
    """The heads of the network saved in that folder, without loading its weights."""
    return HeadsAdapter.validate_python(json.loads((folder / "model.json").read_text(encoding="utf-8"))["heads"])


def tag_columns(heads: Mapping[str, AnyHead]) -> tuple[str, ...]:
    """Columns whose words carry tags, each once."""
    return tuple(dict.fromkeys(head.column for head in heads.values() if head.kind == "token_tags"))


def mean_states(states: "Tensor", mask: "Tensor") -> "Tensor":
    """Mean of the real tokens' states: (batch, width)."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    # Padding must not dilute the mean: divide by real tokens, not by sequence length.
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def _in_order(given: tuple[str, ...], labels: tuple[str, ...], column: Property) -> tuple[str, ...]:
    """The contract's labels, in the order that a pipeline gives them where it does."""
    if given and sorted(given) != sorted(labels):
        raise InputError(
            f"head on column {column.name!r}: its labels {list(given)} are not those of the contract, {list(labels)}. "
            "Leave `labels` out, or give the same in another order."
        )
    return given or labels


def _linear(dropout: float, width: int, outputs: int) -> "nn.Module":
    from torch import nn

    return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, outputs))


def _balanced_weights(labels: Sequence[str], counts: Mapping[str, int]) -> tuple[float, ...]:
    """Rows / (labels that occur * rows of the label); 1 for a label that does not occur.

    As scikit-learn's `compute_class_weight` does, after King and Zeng 2001 (Political Analysis 9, 137-163). The mean
    over the training rows is 1, so a loss that is divided by the number of labels keeps its size.
    """
    rows = sum(counts.values())
    return tuple(rows / (len(counts) * counts[label]) if counts.get(label) else 1.0 for label in labels)


def _cross_entropy(
    logits: "Tensor", targets: "Tensor", smoothing: float, label_weights: Sequence[float] = ()
) -> "Tensor":
    import torch
    from torch.nn import functional

    weights = torch.tensor(label_weights, device=logits.device) if label_weights else None
    return functional.cross_entropy(
        logits.float(), targets, weight=weights, ignore_index=MISSING, reduction="sum", label_smoothing=smoothing
    )
