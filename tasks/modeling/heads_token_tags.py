"""BIO tags, one a word."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, FiniteFloat

from data_contracts.dataset import Property
from data_contracts.errors import InputError
from tasks.modeling import scores, tfidf
from tasks.modeling.entities import entities_of
from tasks.modeling.head import (
    MISSING,
    Answer,
    Answered,
    Baseline,
    Classifier,
    Head,
    MetricInputs,
    WordTensors,
    classifier_layers,
    cross_entropy,
    labels_in_order,
)
from tasks.modeling.ragged import padded
from tasks.modeling.sequences import best_sequences, legal_transitions, tag_associations
from tasks.modeling.words import SHAPES, spans_of, words_of

if TYPE_CHECKING:
    from torch import Tensor, nn

CERTAIN = 1e4


class TokenTagHead(Head):
    """BIO tags, one a word, from the state of its first piece and the shape of its letters.

    The shape (capital, digits, ...) is what an uncased encoder does not see (Collobert et al. 2011, JMLR 12, 4.3). The
    answer is the sequence with the largest sum of log p(tag | text) + weight * log(p(tag | tag before) / p(tag)), the
    second from the training tags. Without the division, by which hybrid models of speech join networks and sequences
    (Bourlard and Morgan 1994, Connectionist Speech Recognition), `O` would be counted as the usual tag twice, and rare
    entities be passed over: of WNUT17's half.
    """

    kind: Literal["token_tags"] = "token_tags"
    of_words: ClassVar[bool] = True
    set_by_training: ClassVar[frozenset[str]] = frozenset({"transitions"})
    # Beside four other tasks, slots of SNIPS were 0.4 to 1.1 lower with 1 for five epochs, 0.2 after the sixth (F1 on
    # validation, two seeds).
    loss_weight: FiniteFloat = Field(3.0, gt=0, description="with 1, tags learn more slowly beside labels of texts")
    classifier: Classifier = "cosine"
    transition_weight: FiniteFloat = Field(0.5, ge=0, description="of the tag before; 0 leaves only that tags be legal")
    transitions: tuple[tuple[float, ...], ...] = Field((), description="set from the training tags")

    def bind(self, column: Property) -> "TokenTagHead":
        """The head with the contract's tags. Raises InputError for a column without tag kinds."""
        if not column.tag_kinds:
            raise InputError(
                f"head token_tags on column {column.name!r}: the contract gives it no `tagKinds`. Add them."
            )
        tags = ("O", *(f"{prefix}-{kind}" for kind in column.tag_kinds for prefix in "BI"))
        return self.model_copy(update={"column": column.name, "labels": labels_in_order(self.labels, tags, column)})

    def fit(self, values: Sequence[Any]) -> "TokenTagHead":
        """The head with the associations of its tags. Raises InputError where training holds no entity at all."""
        sequences = [value["tags"] for value in values if value]
        if not any(tag != "O" for tags in sequences for tag in tags):
            raise InputError(f"column {self.column!r} holds no entity in training; a tagger needs some.")
        associations = tag_associations(self.labels, sequences).round(4)
        return self.model_copy(update={"transitions": tuple(map(tuple, associations.tolist()))})

    def layers(self, width: int) -> "nn.Module":
        """(batch, words, width + shapes) to (batch, words, tags)."""
        return classifier_layers(self, width + len(SHAPES))

    def logits(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """(batch, words, tags); a word without a piece is `O` for certain."""
        if words is None:
            raise ValueError("a tagging head needs the starts and shapes of words")
        import torch

        result: Tensor = layers(self.inputs(layers, states, mask, words))
        outside = result.new_zeros(len(self.labels))
        # By an index, a GPU would be waited for.
        outside.narrow(0, self.labels.index("O"), 1).fill_(CERTAIN)
        return torch.where(words.starts.unsqueeze(-1) < 0, outside, result)

    def inputs(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors") -> "Tensor":
        """What the first layer is given, (batch, words, width + shapes)."""
        import torch
        from torch.nn import functional

        positions = words.starts.clamp(min=0).unsqueeze(-1).expand(-1, -1, states.shape[-1])
        shapes = functional.one_hot(words.shapes.clamp(min=0), len(SHAPES)).to(states.dtype)
        return torch.cat([states.gather(1, positions), shapes], dim=-1)

    def targets(self, values: Sequence[Any]) -> "Tensor":
        """(batch, words) positions of the tags."""
        import torch

        known = {tag: position for position, tag in enumerate(self.labels)}
        rows = [[known[tag] for tag in value["tags"]] if value else [] for value in values]
        return torch.from_numpy(padded(rows, MISSING))

    def loss(self, logits: "Tensor", targets: "Tensor") -> "Tensor":
        """Cross-entropy, summed over the words whose tag is present."""
        return cross_entropy(logits.flatten(0, 1), targets.flatten(), 0.0)

    def decode(self, logits: "Tensor", counts: Sequence[int]) -> tuple[list[Answer], list[float]]:
        """The best legal tags of each text's `counts` words, and the probability that all of them are right."""
        log_shares = logits.detach().double().log_softmax(dim=-1).numpy()
        transitions = legal_transitions(self.labels)
        if self.transitions:
            transitions += self.transition_weight * np.array(self.transitions)
        found = best_sequences(log_shares, transitions, counts)
        return [[self.labels[position] for position in path] for path, _ in found], [share for _, share in found]

    def prediction(self, answer: Any, confidence: float, text: str, spans: Sequence[tuple[int, int]]) -> Any:
        """[{kind, text, start, end}], with positions in characters."""
        return entities_of(answer, spans, text)

    def is_right(self, answer: Any, reference: Any) -> bool:
        """Whether all tags are those of the reference."""
        return bool(answer == reference["tags"])

    def said(self, answer: Any, text: str) -> str | float | list[str]:
        """Kind and text of each entity."""
        return [f"{of['kind']} {of['text']}" for of in entities_of(answer, spans_of(words_of(text), text), text)]

    def agrees(self, answer: Any, other: Any, tolerance: float | None = None) -> bool:
        """Whether there are as many entities of each kind, wherever in the text."""
        return _kinds(answer) == _kinds(other)

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
        return scores.f1_of_sums(sums)

    def majority(self, values: Sequence[Any], words: Sequence[Sequence[str]]) -> Answered:
        """No entity at all."""
        return [["O"] * len(of_text) for of_text in words], [1.0] * len(words)

    def fit_tfidf(self, texts: Sequence[str], values: Sequence[Any]) -> Baseline:
        """Logistic regression on each word and its neighbours, then the best legal tags."""
        log_shares = tfidf.tagger(values, self.labels)
        # Legal tags alone: with a weight for the tag before, which its features hold already, the tagger gets worse
        # (entity F1 0.817, and 0.753 with 0.5, on the validation rows of support).
        legal = self.model_copy(update={"transition_weight": 0.0})
        return lambda _, words: legal.decode(log_shares(words), [len(of_text) for of_text in words])


def _kinds(tags: Sequence[str]) -> list[str]:
    """The kind of each entity."""
    return sorted(tag[2:] for tag in tags if tag.startswith("B-"))
