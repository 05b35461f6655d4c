"""A contract drafted from data: YAML with comments that say what was seen and what its owner has to settle."""

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from data_contracts.errors import InputError, complain
from tasks.ingestion.column_facts import MOST_LABELS, ColumnFacts, Facts, gather_facts
from tasks.ingestion.draft_lines import DraftColumn, draft_lines
from tasks.ingestion.rows import RawRows, UnreadableRow
from tasks.ingestion.sources import Source

LONGEST_LABEL = 100
FEW_LABELS = 20
SHOWN = 80


def draft_contract(
    name: str,
    batches: Iterable[RawRows],
    labels: Sequence[str] = (),
    text: str | None = None,
    typed: bool = True,
) -> str:
    """The YAML of a contract that the rows satisfy.

    A column of text is a label where it has at most 500 different values, each in ten rows on average (in three where
    there are at most 20), or where `labels` names it. `text` names the text that is learned from, otherwise the
    longest one is. `typed` is False for a format in which every value is text. Raises InputError where there are no
    rows, or a column that no contract can hold.
    """
    facts = gather_facts(batches)
    if not facts.rows:
        raise _without_rows(facts.first_unreadable)
    types = {column: of.logical_type(typed) for column, of in facts.columns.items()}
    types |= {column: "string" for column in labels if column != text and types.get(column) == "boolean"}
    if problems := _problems_of(facts, types, labels, text):
        raise complain(
            "no contract can be drafted from this data",
            problems,
            "Leave a column out with `drop`, or make it of others with `columns`, among the settings of the source.",
        )
    answers = {c for c, of in facts.columns.items() if c in labels or (c != text and is_label(of, types[c]))}
    text = text or _longest_text(facts, types, answers)
    in_text = [column for column, of in facts.columns.items() if of.holds_answers]
    if in_text and text is None:
        raise InputError(
            f"column {in_text[0]!r} holds answers that are parts of a text, but no column holds texts of several "
            "words. Name the one that they stand in with --text."
        )
    roles: dict[str, Literal["text", "label"]] = {**dict.fromkeys(answers, "label"), **({text: "text"} if text else {})}
    columns = [
        DraftColumn(column, of, types[column], roles.get(column), text if of.holds_answers else None)
        for column, of in facts.columns.items()
    ]
    return "\n".join(draft_lines(name, facts, columns)) + "\n"


def draft_of_source(name: str, source: Source, labels: Sequence[str] = (), text: str | None = None) -> str:
    """`draft_contract` of all files of a source. Raises InputError where they cannot be read, too."""
    return draft_contract(name, _batches_of(source), labels, text, typed=source.typed)


def is_label(facts: ColumnFacts, logical_type: str) -> bool:
    """Whether the column has few different values that repeat, and so is a class rather than a text or an id."""
    if logical_type not in ("string", "array") or not facts.counts or facts.are_bio_tags or facts.comma_number:
        return False
    different = len(facts.counts)
    if different < 2 or max(map(len, facts.counts)) > LONGEST_LABEL:
        return False
    return different * (3 if different <= FEW_LABELS else 10) <= facts.present


def _batches_of(source: Source) -> Iterator[RawRows]:
    with tempfile.TemporaryDirectory() as folder:
        for shard in map(source.at, source.shards()):
            with shard.local_copy(Path(folder)) as local:
                yield from shard.batches(local)


def _longest_text(facts: Facts, types: Mapping[str, str], labels: Collection[str]) -> str | None:
    """The column of the longest texts, most of which have several words."""
    texts = [
        (of.characters / of.present, column)
        for column, of in facts.columns.items()
        if types[column] == "string" and column not in labels and of.spaced * 2 > of.present
    ]
    return max(texts)[1] if texts else None


def _without_rows(unreadable: UnreadableRow | None) -> InputError:
    if unreadable is None:
        return InputError("no contract can be drafted from this data: it holds no row. Name a file that holds some.")
    return InputError(
        f"no contract can be drafted from this data: no row can be read; the first, row {unreadable.number}, is "
        f"{unreadable.problem}, in {unreadable.value[:SHOWN]!r}. Name the kind of file with --kind, or mend it: in "
        "UTF-8, JSON with an object a line."
    )


def _problems_of(facts: Facts, types: Mapping[str, str], labels: Sequence[str], text: str | None) -> list[str]:
    known = ", ".join(map(repr, facts.columns))
    named = [*labels, *([text] if text else [])]
    problems = [f"there is no column {column!r}; columns are {known}" for column in named if column not in types]
    for column, of in facts.columns.items():
        if column.startswith("_"):
            problems.append(f"column {column!r}: names with a leading underscore are those of graft's own columns")
        if types[column] == "other":
            problems.append(
                f"column {column!r} holds values that no contract has a type for, as {str(of.odd)[:SHOWN]}; of lists "
                "and objects there are lists of text, tagged tokens {tokens, tags}, and one answer {text, start} a text"
            )
        if column in labels and of.counts is None:
            problems.append(f"column {column!r} has more than {MOST_LABELS} different values, too many for a label")
        if column in labels and types[column] == "timestamp":
            problems.append(f"column {column!r} holds moments, which no head learns")
        if column == text and types[column] != "string":
            problems.append(f"column {column!r} holds values of type {types[column]}, so it is no text")
    return problems
