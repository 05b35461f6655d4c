"""An answer that is a part of the text."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from data_contracts.dataset import Property
from data_contracts.errors import InputError
from tasks.modeling import tfidf
from tasks.modeling.answer_scores import answer_f1, answer_is_right, normalised
from tasks.modeling.head import (
    MISSING,
    Answer,
    Answered,
    Baseline,
    Head,
    MetricInputs,
    WordTensors,
    check_no_labels,
    cross_entropy,
    dense_layers,
)
from tasks.modeling.pieces import TextPieces, candidates, joined

if TYPE_CHECKING:
    from torch import Tensor, nn

NEVER = -1e4
TOKENS_TO_GUESS_AMONG = 128


class SpanHead(Head):
    """An answer that is a part of the text (of a pair the second one), from the states of its tokens, or none.

    Each token has a score of being the first of the answer, and one of being the last; the answer is the part of the
    text with the largest sum in any window, unless the first token of every window, which stands for no answer, has
    more (Devlin et al. 2019, arXiv:1810.04805, sections 4.2 and 4.3).
    """

    kind: Literal["span"] = "span"
    in_text: ClassVar[bool] = True
    set_by_training: ClassVar[frozenset[str]] = frozenset({"may_have_none"})
    max_answer_tokens: int = Field(30, gt=0)
    no_answer_margin: float = Field(
        0.0, description="by how much the score of no answer has to exceed the best one's; lower answers less often"
    )
    may_have_none: bool = Field(True, description="set from the training labels: whether a text may hold no answer")

    @property
    def loss_of_guessing(self) -> float:
        """Loss where all tokens of a window of usual size are as likely."""
        return math.log(TOKENS_TO_GUESS_AMONG)

    def bind(self, column: Property) -> "SpanHead":
        """The head for that column. Raises InputError for a column that holds no answers in a text, and for labels."""
        if column.rules.answers_in is None:
            raise InputError(
                f"head span on column {column.name!r}: the contract does not say which text its answers stand in. Add "
                "`answersIn`."
            )
        check_no_labels(column, self)
        return self.model_copy(update={"column": column.name})

    def fit(self, values: Sequence[Any]) -> "SpanHead":
        """The head with whether there are texts without an answer. Raises InputError where none has one."""
        known = [value["text"] for value in values if value is not None]
        if not any(known):
            raise InputError(f"column {self.column!r} holds no answer in training; there is nothing to learn.")
        return self.model_copy(update={"may_have_none": not all(known)})

    def layers(self, width: int) -> "nn.Module":
        """(batch, tokens, width) to (batch, tokens, 2)."""
        return dense_layers(self, width, 2)

    def logits(self, layers: "nn.Module", states: "Tensor", mask: "Tensor", words: "WordTensors | None") -> "Tensor":
        """(batch, tokens, 2): that a token is the first of the answer, and the last. `words` are the text's tokens."""
        if words is None:
            raise ValueError("a span head needs to know which tokens are the text's")
        import torch

        result: Tensor = layers(states)
        answerable = words.starts >= 0
        # The first token stands for no answer. By an index, a GPU would be waited for; no `True`, which is not traced.
        first = torch.zeros_like(answerable)
        first[:, 0].fill_(1)
        return result.masked_fill(~(answerable | first).unsqueeze(-1), NEVER)

    def targets(self, values: Sequence[Any]) -> "Tensor":
        """(batch, 2): the first and the last token of each window's answer."""
        import torch

        return torch.tensor([(MISSING, MISSING) if value is None else value for value in values])

    def present(self, targets: "Tensor") -> "Tensor":
        """Which windows have a target; (batch,)."""
        return targets[:, 0] != MISSING

    def loss(self, logits: "Tensor", targets: "Tensor") -> "Tensor":
        """Mean of the cross-entropies of first and last token, summed over the windows that have a target."""
        first, last = (cross_entropy(logits[..., side], targets[:, side], 0.0) for side in (0, 1))
        return (first + last) / 2

    def decode(self, logits: "Tensor", texts: Sequence[TextPieces]) -> tuple[list[Answer], list[float]]:
        """Each text's answer, {text, start, end}, and its share of the scores of all answers that there could be.

        `logits` are those of all windows of each text, end to end. Without an answer `text` is empty, and `start` and
        `end` are -1.
        """
        scores = logits.detach().double().numpy()
        found = [self._best(of_text, pieces) for of_text, pieces in zip(scores, texts, strict=True)]
        return [answer for answer, _ in found], [share for _, share in found]

    def prediction(self, answer: Any, confidence: float, text: str, spans: Sequence[tuple[int, int]]) -> Any:
        """{text, start, end, confidence}, with positions in characters; null, where there is no answer."""
        said = answer if answer["text"] else {"text": None, "start": None, "end": None}
        return {**said, "confidence": round(confidence, 4)}

    def in_words(self, answer: Any) -> str:
        """The answer, or those that are right, between quotes."""
        said = [answer["text"]] if isinstance(answer["text"], str) else answer["text"]
        return " or ".join(f'"{text}"' for text in dict.fromkeys(said) if text) or "no answer"

    def is_right(self, answer: Any, reference: Any) -> bool:
        """Whether the answer is one of those of the reference, but for case, punctuation and articles."""
        return answer_is_right(answer["text"], reference["text"])

    def said(self, answer: Any, text: str) -> str | float | list[str]:
        """The part of the text; empty where there is none."""
        found: str = answer["text"]
        return found

    def agrees(self, answer: Any, other: Any, tolerance: float | None = None) -> bool:
        """Whether the parts are the same, but for case, punctuation and articles."""
        return normalised(answer["text"]) == normalised(other["text"])

    def metric_inputs(
        self, answers: Sequence[Any], references: Sequence[Any], confidences: Sequence[float]
    ) -> MetricInputs:
        """answer_match (token_f1, exact_match), and expected_calibration_error of whole answers."""
        right = [int(self.is_right(*pair)) for pair in zip(answers, references, strict=True)]
        said, wanted = [answer["text"] for answer in answers], [list(reference["text"]) for reference in references]
        return {"answer_match": (said, wanted), "expected_calibration_error": (list(confidences), right)}

    def statistics(self, answers: Sequence[Any], references: Sequence[Any]) -> "np.ndarray[Any, Any]":
        """(rows, 2): 1, token F1."""
        pairs = zip(answers, references, strict=True)
        return np.array([(1.0, answer_f1(answer["text"], reference["text"])) for answer, reference in pairs])

    def score_of_sums(self, sums: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Mean token F1 of each of (draws, 2) sums."""
        return np.asarray(sums[:, 1] / np.maximum(sums[:, 0], 1e-12))

    def majority(self, values: Sequence[Any], words: Sequence[Sequence[str]]) -> Answered:
        """No answer, where half of the texts hold none, else the whole text; `words` are the texts of each row."""
        none = sum(not value["text"] for value in values) / len(values)
        said = [_said("", -1) if none >= 0.5 else _said(texts[-1], 0) for texts in words]
        return said, [max(none, 1 - none)] * len(words)

    def fit_tfidf(self, texts: Sequence[str], values: Sequence[Any]) -> Baseline:
        """The sentence that is most like the question or, without one, like the answers of training."""
        best_sentence = tfidf.sentence_finder(texts, [text for value in values for text in value["text"]])

        def answer(_: Sequence[str], words: Sequence[Sequence[str]]) -> Answered:
            found = [best_sentence(of_row[-1], of_row[0] if len(of_row) > 1 else None) for of_row in words]
            return [_said(text, start) for text, start, _ in found], [fit for _, _, fit in found]

        return answer

    def _best(self, scores: "np.ndarray[Any, Any]", pieces: TextPieces) -> tuple[Answer, float]:
        ends = np.cumsum([len(places) for places in pieces.windows])
        windows = [scores[end - len(places) : end] for end, places in zip(ends, pieces.windows, strict=True)]
        of_windows = zip(pieces.windows, windows, strict=True)
        found = joined([candidates(places, own, self.max_answer_tokens) for places, own in of_windows])
        # One window that holds an answer is enough, so none is as likely as in the window where it is least.
        none = min(float(own[0].sum()) for own in windows) if self.may_have_none else -math.inf
        if not len(found.scores):
            return _said("", -1), 1.0
        best = int(found.scores.argmax())
        highest = max(float(found.scores[best]), none)
        total = np.exp(found.scores - highest).sum() + math.exp(none - highest)
        if none - found.scores[best] > self.no_answer_margin:
            return _said("", -1), float(math.exp(none - highest) / total)
        start, end = found.spans[best].tolist()
        # The first piece of a word holds the space before it in some tokenizers (SentencePiece).
        start += len(pieces.text[start:end]) - len(pieces.text[start:end].lstrip())
        return _said(pieces.text[start:end], start), float(math.exp(found.scores[best] - highest) / total)


def _said(text: str, start: int) -> dict[str, Any]:
    return {"text": text, "start": start, "end": start + len(text) if text else start}
