"""What cases are made from, and what a model replied to them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_contracts.cleaning import Cleaning, clean_texts
from tasks.evaluation.case_results import Findings, Said
from tasks.evaluation.clusters import Clusters, rows_worth
from tasks.evaluation.edits import AnyEdit, Original, Text
from tasks.modeling.chance import random_of
from tasks.modeling.heads import AnyHead

if TYPE_CHECKING:
    from tasks.modeling.inference import Outputs

WITHOUT_CLEANING = Cleaning()


class Replies:
    """A model's answers to some texts."""

    def __init__(self, heads: Mapping[str, AnyHead], texts: Sequence[Text], outputs: "Outputs") -> None:
        self.heads = heads
        self._at = {text: at for at, text in enumerate(texts)}
        self._outputs = outputs
        self._levels: dict[tuple[str, str | None], NDArray[np.float64]] = {}

    def answer(self, task: str, text: Text) -> Any:
        """The answer as the head gave it."""
        return self._outputs.answers[task][self._at[text]]

    def said(self, task: str, text: Text) -> Said:
        """The answer as people write it; an answer in a pair's second text is a part of that."""
        found: Said = self.heads[task].said(self.answer(task, text), text.text)
        return found

    def level(self, task: str, text: Text, label: str | None) -> float:
        """The probability of the label, or the number that was answered."""
        if (task, label) not in self._levels:
            answers, scores = self._outputs.answers[task], self._outputs.label_scores.get(task)
            self._levels[task, label] = self.heads[task].levels(answers, scores, label)
        return float(self._levels[task, label][self._at[text]])


@dataclass(frozen=True)
class Plan:
    """Texts that a case asks a model about, and what becomes of its replies."""

    texts: list[Text]
    judge: Callable[[Replies], Findings]


@dataclass(frozen=True)
class Rows:
    """Evaluation rows in an order of chance, and what a model made of them.

    `labels` and `answers` are one a row for each task; `limit` is of the texts that a case asks about at most. Rows of
    one of the `clusters` hang together; without them each stands alone. The model has room for a text or, after an
    edit, may have none.
    """

    originals: list[Original]
    heads: Mapping[str, AnyHead]
    labels: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    answers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    cleaning: Cleaning = WITHOUT_CLEANING
    limit: int = 200
    seed: int = 13
    clusters: Clusters | None = None
    has_room: Callable[[Text], bool] = lambda _: True

    def cleaned(self, text: str) -> str:
        """The text as the model reads it."""
        return clean_texts([text], self.cleaning)[0]

    def random(self, *occasion: object) -> Random:
        """Chance that hangs on the occasion alone."""
        return random_of(self.seed, *occasion)

    def worth(self, texts: Sequence[Text]) -> float | None:
        """As how many that stand alone texts count that are of rows, or written by hand; None where all stand alone."""
        if self.clusters is None:
            return None
        of_rows = dict(zip((of.text for of in self.originals), self.clusters.tolist(), strict=True))
        return rows_worth(np.array([of_rows.get(text, -1 - at) for at, text in enumerate(texts)], dtype=np.int64))

    def some(self, pairs: Iterable[tuple[Text, Text]]) -> list[tuple[Text, Text]]:
        """The first of the pairs that do differ, as many as the limit says."""
        return list(islice((pair for pair in pairs if self.can_ask(*pair)), self.limit))

    def can_ask(self, before: Text, after: Text) -> bool:
        """Whether the second text is another one, and one that the model can read."""
        return before != after and bool(after.text.strip()) and self.has_room(after)

    def edited(self, edit: AnyEdit, case: str) -> list[tuple[Text, Text]]:
        """Texts of rows, and what the edit makes of each, as far as it makes a difference."""
        return self.some(
            (of.text, Text(self.cleaned(edit.apply(of, self.random(case, *of.text))), of.text.second))
            for of in self.originals
        )
