"""Cases that a model is tried with, in the manner of CheckList (Ribeiro et al. 2020, arXiv:2005.04118).

A kind holds its settings, plans what a model is asked, and judges the replies. A new kind is a class like these, here
or in a file of its own, and its name in `AnyCase`.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.evaluation.asked import Plan, Replies, Rows
from tasks.evaluation.case_results import CaseResult, Example, Findings, Said, case_result, excerpts
from tasks.evaluation.edits import AnyEdit, Text
from tasks.evaluation.templates import check_places, fill, fillings, places_in
from tasks.modeling.heads import AnyHead

Lists = dict[str, Annotated[tuple[str, ...], Field(min_length=1)]]
Direction = Literal["rises", "falls", "does_not_rise", "does_not_fall"]


class Case(BaseModel):
    """What all kinds share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    max_failure_rate: float | None = Field(None, ge=0, le=1, description="the case has not passed above it")
    lists: Lists = Field(default_factory=dict, description="what takes the places `{...}` of hand-written texts")


class TextPair(BaseModel):
    """Two texts written by hand; both have the same words in the same places."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: str
    after: str


class PairedCase(Case):
    """Pairs of texts: rows and what an edit makes of them, or written by hand."""

    edit: AnyEdit | None = None
    pairs: tuple[TextPair, ...] = ()

    @model_validator(mode="after")
    def _has_pairs(self) -> "PairedCase":
        if (self.edit is None) == (not self.pairs):
            raise ValueError("give either `edit`, which makes texts of rows into others, or `pairs` of texts")
        check_places([text for pair in self.pairs for text in (pair.before, pair.after)], self.lists)
        return self

    def pairs_of(self, rows: Rows) -> list[tuple[Text, Text]]:
        """Texts before and after, each pair of two that do differ."""
        if self.edit is not None:
            return rows.edited(self.edit, self.name)
        written = [
            (Text(rows.cleaned(fill(pair.before, filling))), Text(rows.cleaned(fill(pair.after, filling))))
            for pair in self.pairs
            for filling in fillings([pair.before, pair.after], self.lists)
        ]
        rows.random(self.name).shuffle(written)
        return rows.some(written)


class Invariance(PairedCase):
    """Texts that differ in what must not matter, and have to get the same answer."""

    kind: Literal["invariance"] = "invariance"
    tasks: tuple[str, ...] = Field((), description="by default all")
    tolerance: float | None = Field(
        None, ge=0, description="of numbers; by default half a standard deviation of the training labels"
    )

    def misfits(self, heads: Mapping[str, AnyHead]) -> list[str]:
        """What of the case these heads have not."""
        return unknown_tasks(self.tasks, heads)

    def plan(self, rows: Rows) -> Plan:
        """Each text before and after."""
        pairs = self.pairs_of(rows)
        worth = rows.worth([before for before, _ in pairs])

        def judge(replies: Replies) -> Findings:
            of_tasks = chosen(self.tasks, rows.heads)
            return Findings([self._result(task, head, pairs, worth, replies) for task, head in of_tasks])

        return Plan([text for pair in pairs for text in pair], judge)

    def _result(
        self, task: str, head: AnyHead, pairs: Sequence[tuple[Text, Text]], worth: float | None, replies: Replies
    ) -> CaseResult:
        failed = [
            example(task, before, after, replies)
            for before, after in pairs
            if not head.agrees(replies.answer(task, before), replies.answer(task, after), self.tolerance)
        ]
        return case_result(self.name, self.kind, task, len(pairs), failed, self.max_failure_rate, worth)


class Directional(PairedCase):
    """Texts that differ in what has to move a number, or the probability of a label, or must not.

    Without a label it is that of the answer to the first text that is watched.
    """

    kind: Literal["directional"] = "directional"
    task: str
    label: str | None = None
    expect: Direction
    tolerance: float = Field(0.1, ge=0, description="movement that `does_not_...` takes for none")

    def misfits(self, heads: Mapping[str, AnyHead]) -> list[str]:
        """What of the case these heads have not."""
        if self.task not in heads:
            return unknown_tasks((self.task,), heads)
        head = heads[self.task]
        if not (head.one_label or head.is_number):
            return [f"head {self.task} answers neither with one label nor with a number, so nothing rises or falls"]
        return unknown_labels(self.task, [] if self.label is None else [self.label], head)

    def plan(self, rows: Rows) -> Plan:
        """Each text before and after."""
        pairs = self.pairs_of(rows)

        def judge(replies: Replies) -> Findings:
            # An older model may have other heads than the pipeline of today, which the case was checked against.
            if self.misfits(rows.heads):
                return Findings()
            label_of = {before: self._label(before, rows.heads[self.task], replies) for before, _ in pairs}
            moves = [
                replies.level(self.task, after, label_of[before]) - replies.level(self.task, before, label_of[before])
                for before, after in pairs
            ]
            wrong = sorted(
                (at for at, move in enumerate(moves) if not self._is_met(move)), key=lambda at: -abs(moves[at])
            )
            failed = [example(self.task, *pairs[at], replies, self._wanted(label_of[pairs[at][0]])) for at in wrong]
            worth, limit = rows.worth([before for before, _ in pairs]), self.max_failure_rate
            return Findings([case_result(self.name, self.kind, self.task, len(pairs), failed, limit, worth)])

        return Plan([text for pair in pairs for text in pair], judge)

    def _label(self, text: Text, head: AnyHead, replies: Replies) -> str | None:
        return str(replies.answer(self.task, text)) if head.one_label and self.label is None else self.label

    def _is_met(self, move: float) -> bool:
        # Written so that nothing that is no number meets it.
        return {
            "rises": move > 0,
            "falls": move < 0,
            "does_not_rise": move <= self.tolerance,
            "does_not_fall": move >= -self.tolerance,
        }[self.expect]

    def _wanted(self, label: str | None) -> str:
        return f"{label or self.task} {self.expect.replace('_', ' ')}"


class Expectation(Case):
    """Texts written by hand, and the answer that they have to get: a minimum functionality test.

    An answer is written as `Head.said` gives it, with the same places as the texts.
    """

    kind: Literal["expectation"] = "expectation"
    task: str
    texts: tuple[str, ...] = Field(min_length=1)
    answer: str | tuple[str, ...] | None = None
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _says_what_is_expected(self) -> "Expectation":
        if (self.answer is None) == (self.at_least is None and self.at_most is None):
            raise ValueError("give either `answer`, or, for a number, `at_least` or `at_most` or both")
        check_places(self.texts, self.lists)
        asked = places_in(self._answers)
        if lacking := [text for text in self.texts if not set(asked) <= set(places_in([text]))]:
            raise ValueError(f"the answer has places {asked}, which are not all in {lacking}")
        return self

    @property
    def _answers(self) -> list[str]:
        return [self.answer] if isinstance(self.answer, str) else list(self.answer or ())

    def misfits(self, heads: Mapping[str, AnyHead]) -> list[str]:
        """What of the case these heads have not."""
        if self.task not in heads:
            return unknown_tasks((self.task,), heads)
        head = heads[self.task]
        if head.is_number != (self.answer is None):
            wanted = "a number: give `at_least` or `at_most`" if head.is_number else "no number: give `answer`"
            return [f"head {self.task} answers with {wanted}"]
        if head.is_number or head.in_text:
            return []
        if (head.one_label) != isinstance(self.answer, str):
            return [f"head {self.task} answers with {'one label' if head.one_label else 'a list'}, not {self.answer!r}"]
        filled = [fill(of, filling) for of in self._answers for filling in fillings([of], self.lists)]
        kinds = [f"B-{of.split(' ')[0]}" for of in filled] if head.of_words else filled
        return unknown_labels(self.task, kinds, head)

    def plan(self, rows: Rows) -> Plan:
        """The texts with their places filled."""
        filled = {
            Text(rows.cleaned(fill(text, filling))): self._filled_answer(filling)
            for text in self.texts
            for filling in fillings([text], self.lists)
        }
        order = list(filled)
        rows.random(self.name).shuffle(order)
        asked = list(islice(order, rows.limit))

        def judge(replies: Replies) -> Findings:
            # An older model may have other heads than the pipeline of today, which the case was checked against.
            if self.misfits(rows.heads):
                return Findings()
            failed = [
                Example(excerpts(text.text)[0], said, wanted=self._wanted(filled[text]))
                for text in asked
                if not self._is_met(said := replies.said(self.task, text), filled[text])
            ]
            return Findings([case_result(self.name, self.kind, self.task, len(asked), failed, self.max_failure_rate)])

        return Plan(asked, judge)

    def _filled_answer(self, filling: Mapping[str, str]) -> Said | None:
        if self.answer is None:
            return None
        found = [fill(of, filling) for of in self._answers]
        return found[0] if isinstance(self.answer, str) else found

    def _is_met(self, said: Said, answer: Said | None) -> bool:
        if isinstance(said, float) and answer is None:
            above = self.at_least is None or said >= self.at_least
            return above and (self.at_most is None or said <= self.at_most)
        return sorted(said) == sorted(answer) if isinstance(said, list) and isinstance(answer, list) else said == answer

    def _wanted(self, answer: Said | None) -> str:
        if answer is not None:
            return (", ".join(answer) or "none") if isinstance(answer, list) else str(answer)
        limits = ((self.at_least, "at least"), (self.at_most, "at most"))
        return " and ".join(f"{words} {limit:g}" for limit, words in limits if limit is not None)


def chosen(tasks: Sequence[str], heads: Mapping[str, AnyHead]) -> list[tuple[str, AnyHead]]:
    """The heads of those tasks, or all."""
    return [(task, head) for task, head in heads.items() if not tasks or task in tasks]


def unknown_tasks(tasks: Sequence[str], heads: Mapping[str, AnyHead]) -> list[str]:
    """Tasks that no head is called by, in words."""
    return [f"no head is called {task}; heads are {', '.join(heads)}" for task in tasks if task not in heads]


def unknown_labels(task: str, labels: Sequence[str], head: AnyHead) -> list[str]:
    """Labels that the head has not, in words."""
    found = dict.fromkeys(label for label in labels if label not in head.labels)
    known = ", ".join(head.labels) or "none"
    return [f"{label} is no label of {task}; labels are {known}" for label in found]


def example(task: str, before: Text, after: Text, replies: Replies, wanted: str | None = None) -> Example:
    """Two texts and what was said of each."""
    first, second = excerpts(before.text, after.text)
    return Example(first, replies.said(task, before), second, replies.said(task, after), wanted)
