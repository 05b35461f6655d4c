"""What all heads share: their settings and layers, and what others ask of a head in place of its kind."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from data_contracts.dataset import Property
from data_contracts.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

MISSING = -100
Answer = str | float | list[str] | dict[str, Any]
Answered = tuple[list[Any], list[float]]
MetricInputs = dict[str, tuple[list[Any], list[Any]]]
# Answers and confidences for some texts and the words of each; for a head whose answers are in a text, the one text or
# the two of each row in the place of words.
Baseline = Callable[[Sequence[str], Sequence[Sequence[str]]], Answered]
Rate = Annotated[float, Field(ge=0, lt=1)]
Units = Annotated[int, Field(gt=0)]
Classifier = Annotated[
    Literal["cosine", "linear"],
    Field(
        description="the last layer. cosine goes by the angle between a text, or a word, and each label, which begins "
        "as the mean of its own: it learns sooner, and more from few"
    ),
]


class WordTensors(NamedTuple):
    """Of the words of a batch, (batch, words) each: the token each starts at, -1 for none, and its shape."""

    starts: "Tensor"
    shapes: "Tensor"


class Head(BaseModel):
    """What all heads share.

    of_words: an answer is one a word of a tag column, and not one a text.
    in_text: an answer is a part of the text, and found by the tokens that it begins and ends at.
    one_label: an answer is one of `labels`, and its confidence tells texts that none of them fits.
    has_confidence: an answer is right or wrong as a whole, and comes with the probability that it is right.
    is_number: an answer is a number, in the label's own units.
    set_by_training: settings that a training finds out and a saved model holds, which no pipeline gives.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    of_words: ClassVar[bool] = False
    in_text: ClassVar[bool] = False
    one_label: ClassVar[bool] = False
    has_confidence: ClassVar[bool] = True
    is_number: ClassVar[bool] = False
    set_by_training: ClassVar[frozenset[str]] = frozenset()

    column: str = Field("", description="column of the contract; by default the name of the task")
    labels: tuple[str, ...] = Field((), description="those of the contract, and in its order by default")
    loss_weight: FiniteFloat = Field(1.0, gt=0)
    hidden: tuple[Units, ...] = Field((), description="units of each layer below the last one, followed by ReLU")
    dropout: Rate | tuple[Rate, ...] = Field(
        0.1, description="ahead of every layer; or a list, with a share for what each hidden layer gives"
    )

    @model_validator(mode="after")
    def _every_hidden_layer_has_a_dropout(self) -> "Head":
        if isinstance(self.dropout, tuple) and len(self.dropout) != len(self.hidden):
            raise ValueError(
                f"dropout lists {len(self.dropout)} shares for {len(self.hidden)} hidden layers; give one for each, or "
                "a number for all"
            )
        return self

    @property
    def loss_of_guessing(self) -> float:
        """Loss of one target where all labels are as likely, by which tasks of 2 and of 200 labels compare."""
        return math.log(max(2, len(self.labels)))

    def in_words(self, answer: Any) -> str:
        """An answer or a reference, for people."""
        return str(answer)

    def said(self, answer: Any, text: str) -> str | float | list[str]:
        """The answer to a text as a file of probes writes it: a label, labels, a number, a part of the text, entities.

        An entity is its kind and its text, as in `PRODUCT Juno S7`.
        """
        found: str | float | list[str] = answer
        return found

    def agrees(self, answer: Any, other: Any, tolerance: float | None = None) -> bool:
        """Whether it is one answer, given to two texts that may differ in letters, marks and names.

        Numbers agree within the tolerance, half a standard deviation of the training labels where none is given.
        """
        return bool(answer == other)

    def levels(
        self, answers: Sequence[Any], scores: "NDArray[np.float32] | None", label: str | None
    ) -> "NDArray[np.float64]":
        """(rows,) probabilities of the label, or the numbers that were answered: where `one_label` or `is_number`."""
        raise TypeError(f"a head of kind {type(self).__name__} says neither how likely a label is nor a number")

    def label_scores(self, logits: "Tensor") -> "NDArray[np.float32]":
        """(batch, labels) log-probabilities, before a temperature and but for a constant a row, where `one_label`."""
        raise TypeError(f"a head of kind {type(self).__name__} does not answer with one label")

    def present(self, targets: "Tensor") -> "Tensor":
        """Which targets are labels and not missing; of the targets' shape."""
        return targets != MISSING

    def is_right(self, answer: Any, reference: Any) -> bool:
        """Whether the answer as a whole is what the label says."""
        return bool(answer == reference)


def dense_layers(
    head: Head, width: int, outputs: int, last: "Callable[[int, int], nn.Module] | None" = None
) -> "nn.Sequential":
    """Dropout, hidden layers and a last one, which is linear by default: (..., width) to (..., outputs)."""
    from torch import nn

    sizes = (width, *head.hidden)
    rates = head.dropout if isinstance(head.dropout, tuple) else (head.dropout,) * len(sizes)
    layers: list[nn.Module] = []
    # A list says nothing of the first layer's input, which is then taken as it is.
    ahead = [None] * (len(sizes) - len(rates)) + list(rates)
    for size, rate, units in zip(sizes, ahead, (*head.hidden, None), strict=True):
        layers += [] if rate is None else [nn.Dropout(rate)]
        layers += [(last or nn.Linear)(size, outputs)] if units is None else [nn.Linear(size, units), nn.ReLU()]
    return nn.Sequential(*layers)


def classifier_layers(head: Any, width: int) -> "nn.Sequential":
    """Dropout, hidden layers and the last one that the head's `classifier` names: (..., width) to (..., labels)."""
    from tasks.modeling.cosine import CosineLayer

    return dense_layers(head, width, len(head.labels), CosineLayer if head.classifier == "cosine" else None)


def labels_of(column: Property, head: Any, logical_type: str) -> tuple[str, ...]:
    """Labels of a column of that type, in the order that the head gives them where it does.

    Raises InputError for a column without labels or of another type, and for labels that are not the column's.
    """
    if not column.labels:
        raise InputError(f"head {head.kind} on column {column.name!r}: the contract gives it no `labels`. Add them.")
    if column.logical_type != logical_type:
        raise InputError(
            f"head {head.kind} on column {column.name!r}: its logicalType is {column.logical_type}, not "
            f"{logical_type}. Texts with one label each (string) are for single_label or ordinal, those with a list of "
            "labels (array) for multi_label. Choose the kind that fits the contract."
        )
    return labels_in_order(head.labels, column.labels, column)


def check_no_labels(column: Property, head: Any) -> None:
    """Raises InputError where a head whose answers are no labels is given some."""
    if head.labels:
        raise InputError(
            f"head {head.kind} on column {column.name!r}: its answers are no labels, but `labels` are given, "
            f"{list(head.labels)}. Take them out, or choose another kind of head."
        )


def labels_in_order(given: tuple[str, ...], labels: tuple[str, ...], column: Property) -> tuple[str, ...]:
    """The contract's labels, in the order that a pipeline gives them where it does."""
    if given and sorted(given) != sorted(labels):
        raise InputError(
            f"head on column {column.name!r}: its labels {list(given)} are not those of the contract, {list(labels)}. "
            "Leave `labels` out, or give the same in another order."
        )
    return given or labels


def check_several_labels(column: str, values: Sequence[Any]) -> None:
    """Raises InputError where fewer than two labels occur."""
    found = sorted({value for value in values if value is not None})
    if len(found) < 2:
        raise InputError(f"column {column!r} holds only {found} in training; a classifier needs two labels or more.")


def cross_entropy(
    logits: "Tensor", targets: "Tensor", smoothing: float, label_weights: Sequence[float] = ()
) -> "Tensor":
    """Summed over the targets that are not missing."""
    from torch.nn import functional

    weights = _on_device(tuple(label_weights), logits.device) if label_weights else None
    return functional.cross_entropy(
        logits.float(), targets, weight=weights, ignore_index=MISSING, reduction="sum", label_smoothing=smoothing
    )


@lru_cache(maxsize=64)
def _on_device(values: tuple[float, ...], device: "torch.device") -> "Tensor":
    """Kept, for a GPU would be waited for each time."""
    import torch

    return torch.tensor(values, device=device)
