"""Heads: what a task's answers are. Each kind holds its settings and owns layers, targets, loss, decoding and scores.

Metrics are named by module of `tasks/evaluation/metrics`; the first value of the first one is a task's primary metric.
Shapes: `states` is (batch, tokens, width), `mask` (batch, tokens) with 1 for real tokens, `words` has the first piece
of each word (-1 for padding) and its shape, both (batch, words); for answers in a text, its tokens take the place of
words. A label that is missing takes no part in the loss.
A new kind is a file of its own and its name in `AnyHead`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from tasks.modeling.head import MISSING, Answer, Head, MetricInputs, WordTensors
from tasks.modeling.heads_multi_label import MultiLabelHead
from tasks.modeling.heads_ordinal import OrdinalHead
from tasks.modeling.heads_regression import RegressionHead
from tasks.modeling.heads_single_label import SingleLabelHead
from tasks.modeling.heads_span import SpanHead
from tasks.modeling.heads_token_tags import TokenTagHead
from tasks.modeling.pooling import mean_states

__all__ = [
    "MISSING",
    "Answer",
    "AnyHead",
    "Head",
    "Heads",
    "HeadsAdapter",
    "MetricInputs",
    "MultiLabelHead",
    "OrdinalHead",
    "RegressionHead",
    "SingleLabelHead",
    "SpanHead",
    "TokenTagHead",
    "WordTensors",
    "answer_columns",
    "heads_of",
    "mean_states",
    "tag_columns",
]
AnyHead = Annotated[
    SingleLabelHead | MultiLabelHead | OrdinalHead | TokenTagHead | RegressionHead | SpanHead,
    Field(discriminator="kind"),
]
Heads = dict[str, AnyHead]
HeadsAdapter: TypeAdapter[Heads] = TypeAdapter(Heads)


def heads_of(folder: Path) -> Heads:
    """The heads of the network saved in that folder, without loading its weights."""
    found = json.loads((folder / "model.json").read_text(encoding="utf-8"))["heads"]
    for head in found.values():
        if head["kind"] in ("single_label", "multi_label", "token_tags"):
            # Models from before there was a choice.
            head.setdefault("classifier", "linear")
    return HeadsAdapter.validate_python(found)


def tag_columns(heads: Mapping[str, AnyHead]) -> tuple[str, ...]:
    """Columns whose words carry tags, each once."""
    return tuple(dict.fromkeys(head.column for head in heads.values() if head.of_words))


def answer_columns(heads: Mapping[str, AnyHead]) -> tuple[str, ...]:
    """Columns whose answers are parts of a text, each once."""
    return tuple(dict.fromkeys(head.column for head in heads.values() if head.in_text))
