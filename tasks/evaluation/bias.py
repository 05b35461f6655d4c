"""Bias: whether an answer hangs on whom a text speaks of."""

from collections.abc import Iterator, Mapping
from itertools import combinations, islice
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from tasks.evaluation.asked import Plan, Replies, Rows
from tasks.evaluation.case_results import (
    Bias,
    CaseResult,
    Findings,
    PairShift,
    TermShift,
    case_result,
)
from tasks.evaluation.cases import Case, chosen, example, unknown_tasks
from tasks.evaluation.edits import Text
from tasks.evaluation.group_gaps import GroupGap, group_gaps
from tasks.evaluation.intervals import wilson_interval
from tasks.evaluation.templates import check_places, fill, fillings
from tasks.evaluation.word_exchange import Phrase, exchanged, found_in
from tasks.modeling.heads import AnyHead

TERM = "term"
Terms = Annotated[tuple[Phrase, ...], Field(min_length=1)]


class Exchange(NamedTuple):
    """A text with terms of one group, and the same with those of another; terms are as the groups have them.

    `one_way` is False where the first text speaks of both groups, so that neither text is the other group's.
    """

    before: Text
    after: Text
    groups: tuple[str, str]
    terms: tuple[tuple[str, ...], tuple[str, ...]]
    one_way: bool = True


class Identity(Case):
    """The same text with the terms of one group in the place of another's: counterfactual fairness.

    After Garg et al. 2019 (arXiv:1809.10610). The terms of groups stand side by side, the first of one is exchanged
    with the first of another, and both ways at once. Beside it, how rows fare that mention a group, as in Dixon et al.
    2018 (https://doi.org/10.1145/3278721.3278729), for heads whose answers are right or wrong.
    """

    kind: Literal["identity"] = "identity"
    groups: dict[str, Terms] = Field(min_length=2)
    tasks: tuple[str, ...] = Field((), description="by default all")
    label: str | None = Field(None, description="whose probability is watched, and who is wrongly given it")
    texts: tuple[str, ...] = Field((), description="hand-written texts with a place `{term}`")
    minimum_rows: int = Field(30, ge=1, description="below it, nothing is said of a group or a pair of groups")

    @model_validator(mode="after")
    def _terms_stand_side_by_side(self) -> "Identity":
        sizes = {group: len(terms) for group, terms in self.groups.items()}
        problems = []
        if len(set(sizes.values())) > 1:
            counts = ", ".join(f"{group} {size}" for group, size in sizes.items())
            problems.append(f"groups need as many terms each, to exchange the first with the first; found {counts}")
        groups_of: dict[str, set[str]] = {}
        for group, terms in self.groups.items():
            for term in terms:
                groups_of.setdefault(term.casefold(), set()).add(group)
        problems += [f"{term!r} is of {' and of '.join(sorted(of))}" for term, of in groups_of.items() if len(of) > 1]
        problems += [f"{text!r} has no place {{{TERM}}}" for text in self.texts if f"{{{TERM}}}" not in text]
        if TERM in self.lists:
            problems.append(f"lists.{TERM}: the terms of the groups are called so; take another name")
        if problems:
            raise ValueError("; ".join(problems))
        check_places(self.texts, {**self.lists, **({TERM: ()} if self.texts else {})})
        return self

    def misfits(self, heads: Mapping[str, AnyHead]) -> list[str]:
        """What of the case these heads have not."""
        problems = unknown_tasks(self.tasks, heads)
        labels = [head.labels for _, head in chosen(self.tasks, heads) if head.one_label]
        if not problems and self.label is not None and not any(self.label in of for of in labels):
            problems.append(f"no task answers with the one label {self.label}; name its task in `tasks`")
        return problems

    def plan(self, rows: Rows) -> Plan:
        """Each text with the terms of one group and of another."""
        exchanges = self._exchanges(rows)

        def judge(replies: Replies) -> Findings:
            of_tasks = chosen(self.tasks, rows.heads)
            return Findings(
                [self._result(task, exchanges, replies, rows) for task, _ in of_tasks],
                [self._bias(task, head, exchanges, replies, rows) for task, head in of_tasks],
            )

        return Plan([text for exchange in exchanges for text in (exchange.before, exchange.after)], judge)

    def _exchanges(self, rows: Rows) -> list[Exchange]:
        written = list(self._written(rows))
        rows.random(self.name).shuffle(written)
        return [*written[: rows.limit], *islice(self._of_rows(rows), rows.limit)]

    def _written(self, rows: Rows) -> Iterator[Exchange]:
        terms = {TERM: [""]}
        for text in self.texts:
            for filling in fillings([text], {**self.lists, **terms}):
                for first, second in combinations(self.groups, 2):
                    for pair in zip(self.groups[first], self.groups[second], strict=True):
                        before, after = (Text(rows.cleaned(fill(text, {**filling, TERM: term}))) for term in pair)
                        yield Exchange(before, after, (first, second), ((pair[0],), (pair[1],)))

    def _of_rows(self, rows: Rows) -> Iterator[Exchange]:
        for original in rows.originals:
            text, second_text = original.text
            for first, second in combinations(self.groups, 2):
                found = [found_in(text, self.groups[group]) for group in (first, second)]
                others = self._others(first, second)
                after = Text(rows.cleaned(exchanged(text, others)), second_text)
                if not any(found) or not rows.can_ask(original.text, after):
                    continue
                # From the group that the text speaks of, to the other.
                groups = (first, second) if found[0] else (second, first)
                there = tuple(found[0] or found[1])
                came = tuple(others[term] for term in there)
                yield Exchange(original.text, after, groups, (there, came), one_way=not all(found))

    def _others(self, first: str, second: str) -> dict[str, str]:
        """What stands for each term; for one that a group has twice, the first that stands beside it."""
        others: dict[str, str] = {}
        for one, other in zip(self.groups[first], self.groups[second], strict=True):
            others.setdefault(one, other)
            others.setdefault(other, one)
        return others

    def _result(self, task: str, exchanges: list[Exchange], replies: Replies, rows: Rows) -> CaseResult:
        failed = [example(task, of.before, of.after, replies) for of in exchanges if _changed(task, of, replies)]
        worth = rows.worth([of.before for of in exchanges])
        return case_result(self.name, self.kind, task, len(exchanges), failed, self.max_failure_rate, worth)

    def _bias(self, task: str, head: AnyHead, exchanges: list[Exchange], replies: Replies, rows: Rows) -> Bias:
        label = self.label if head.one_label and self.label in head.labels else None
        shifts: list[float | None] = [None] * len(exchanges)
        if label is not None or head.is_number:
            shifts = [replies.level(task, of.after, label) - replies.level(task, of.before, label) for of in exchanges]
        changed = [_changed(task, of, replies) for of in exchanges]
        pairs = [self._pair(groups, exchanges, changed, shifts, rows) for groups in combinations(self.groups, 2)]
        pairs = [pair for pair in pairs if pair.texts]
        sure = [pair for pair in pairs if pair.texts >= self.minimum_rows and (pair.changed or pair.mean_shift)]
        worst = max(sure, key=lambda of: (of.changed_share, abs(of.mean_shift or 0.0)), default=None)
        terms = self._term_shifts(exchanges, shifts)
        return Bias(self.name, task, label, terms, pairs, worst, self._gaps(task, head, label, rows))

    def _pair(
        self,
        groups: tuple[str, str],
        exchanges: list[Exchange],
        changed: list[bool],
        shifts: list[float | None],
        rows: Rows,
    ) -> PairShift:
        chosen_ones = [at for at, of in enumerate(exchanges) if set(of.groups) == set(groups)]
        failures = sum(changed[at] for at in chosen_ones)
        moved = [
            shift if exchanges[at].groups == groups else -shift
            for at in chosen_ones
            if exchanges[at].one_way and (shift := shifts[at]) is not None
        ]
        texts = len(chosen_ones)
        low, high = wilson_interval(failures, texts, rows.worth([exchanges[at].before for at in chosen_ones]))
        mean = float(np.mean(moved)) if moved else None
        return PairShift(*groups, texts, failures, failures / texts if texts else 0.0, low, high, mean)

    def _term_shifts(self, exchanges: list[Exchange], shifts: list[float | None]) -> list[TermShift]:
        """Every term's, against those that it was exchanged with; both texts of an exchange tell of their terms."""
        moved: dict[tuple[str, str], list[float]] = {}
        for of, shift in zip(exchanges, shifts, strict=True):
            if shift is not None and of.one_way:
                for group, terms, sign in zip(of.groups, of.terms, (-1, 1), strict=True):
                    for term in dict.fromkeys(terms):
                        moved.setdefault((group, term), []).append(sign * shift)
        found = [TermShift(group, term, len(of), float(np.mean(of))) for (group, term), of in moved.items()]
        return sorted(found, key=lambda of: -abs(of.mean_shift))

    def _gaps(self, task: str, head: AnyHead, label: str | None, rows: Rows) -> list[GroupGap]:
        """Of rows that have a label, by what the model answered them."""
        if not head.has_confidence or task not in rows.answers:
            return []
        known = [at for at, wanted in enumerate(rows.labels[task]) if wanted is not None]
        wrong = {at: not head.is_right(rows.answers[task][at], rows.labels[task][at]) for at in known}
        gaps = self._gaps_of("error rate", rows, known, list(wrong.values()))
        if label is not None:
            without = [at for at in known if rows.labels[task][at] != label]
            given = [rows.answers[task][at] == label for at in without]
            gaps += self._gaps_of(f"false positive rate of {label}", rows, without, given)
        return gaps

    def _gaps_of(self, measure: str, rows: Rows, chosen_rows: list[int], wrong: list[bool]) -> list[GroupGap]:
        texts = [rows.originals[at].text.text for at in chosen_rows]
        mentions = {group: [bool(found_in(text, terms)) for text in texts] for group, terms in self.groups.items()}
        clusters = None if rows.clusters is None else rows.clusters[chosen_rows]
        return group_gaps(measure, mentions, wrong, self.minimum_rows, clusters)


def _changed(task: str, exchange: Exchange, replies: Replies) -> bool:
    answers = replies.answer(task, exchange.before), replies.answer(task, exchange.after)
    return not replies.heads[task].agrees(*answers)
