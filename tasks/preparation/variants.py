"""Variants of the rows of a batch, as rows of the same columns."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import InputError
from data_contracts.splits import TRAIN
from data_contracts.texts import words_alone
from tasks.modeling.chance import number_of, random_of, share_of
from tasks.modeling.row_ids import id_of_made
from tasks.preparation.augmentation import Augmentation
from tasks.preparation.passages import Passage, passage_of


@dataclass(frozen=True)
class Columns:
    """Which columns of a snapshot hold a text, its tagged tokens, a pair's second text and answers in the text."""

    text: str
    tags: tuple[str, ...]
    pair: str | None = None
    answers: tuple[str, ...] = ()


class KnownTexts:
    """Texts and pairs that are there already; what is kept of each is a number of 64 bits.

    Those of training are told by their letters, for a variant may have the same words; those to be judged on by their
    words, as the gate tells leakage.
    """

    def __init__(self) -> None:
        self._letters: set[int] = set()
        self._words: set[int] = set()

    def read(self, split: Path, columns: Columns) -> None:
        """Adds the texts of one split's file."""
        names = [name for name in (columns.text, columns.pair) if name]
        with pq.ParquetFile(split) as file:
            for batch in file.iter_batches(columns=names):
                texts, seconds = batch.column(columns.text).to_pylist(), seconds_of(batch, columns)
                if split.stem == TRAIN:
                    self._letters.update(_numbers(texts, seconds))
                else:
                    self._words.update(_numbers(words_of(texts), words_of(seconds)))

    def are_new(self, texts: Sequence[str], seconds: Sequence[str | None]) -> list[bool]:
        """Whether each text is not there yet, with its second text; now it is."""
        told = zip(_numbers(texts, seconds), _numbers(words_of(texts), words_of(seconds)), strict=True)
        return [words not in self._words and self._add(letters) for letters, words in told]

    def _add(self, number: int) -> bool:
        known = len(self._letters)
        self._letters.add(number)
        return len(self._letters) > known


def variants_of(
    batch: pa.RecordBatch, variation: Augmentation, seed: int, columns: Columns, known: KnownTexts, facts: Counter[str]
) -> pa.RecordBatch:
    """The variants of the batch's rows, in their order; `facts` counts what came of the rows that were drawn.

    Raises InputError where a row's tokens do not stand in its text.
    """
    rows = _drawn(batch, variation, seed, columns, facts)
    ids = rows.column("_id").to_pylist()
    passages, seconds = _passages(rows, columns), seconds_of(rows, columns)
    origins, names, variants = [], [], []
    for copy in range(1, variation.copies + 1) if passages else ():
        randoms = [random_of(seed, row_id, variation.kind, copy) for row_id in ids]
        made = [
            (row, variant)
            for row, variant in enumerate(variation.vary(passages, randoms))
            if variant.text.strip() and variant.is_findable
        ]
        new = known.are_new([variant.text for _, variant in made], [seconds[row] for row, _ in made])
        for row, variant in itertools.compress(made, new):
            origins.append(row)
            names.append(id_of_made(ids[row], f"{variation.kind}{copy}"))
            variants.append(variant)
    facts["variants"] += len(variants)
    found = with_values(rows.take(pa.array(origins, type=pa.int64())), "_id", names)
    found = with_values(found, columns.text, [variant.text for variant in variants])
    for column in columns.tags:
        found = with_values(found, column, [variant.value_of(column) for variant in variants])
    return found


def seconds_of(rows: pa.RecordBatch, columns: Columns) -> list[str | None]:
    """The second text of each row that is a pair."""
    found: list[str | None] = rows.column(columns.pair).to_pylist() if columns.pair else [None] * rows.num_rows
    return found


def words_of(texts: Sequence[str | None]) -> list[str | None]:
    """What each text says, in words alone."""
    found: list[str | None] = words_alone(pa.array(texts, pa.string())).to_pylist()
    return found


def _numbers(texts: Sequence[str | None], seconds: Sequence[str | None]) -> list[int]:
    """One for each row; 0 for one without a text."""
    rows = zip(texts, seconds, strict=True)
    return [0 if text is None else number_of(*occasion(text, second)) for text, second in rows]


def occasion(text: str, second: str | None) -> tuple[str, ...]:
    """What tells the row from others."""
    return (text,) if second is None else (text, second)


def with_values(rows: pa.RecordBatch, column: str, values: Sequence[Any]) -> pa.RecordBatch:
    """The rows with other values in one column."""
    at = rows.schema.get_field_index(column)
    return rows.set_column(at, rows.schema.field(at), pa.array(values, type=rows.schema.field(at).type))


def _drawn(
    batch: pa.RecordBatch, variation: Augmentation, seed: int, columns: Columns, facts: Counter[str]
) -> pa.RecordBatch:
    """The rows that get a variant, drawn by their ids; those with tags are left out where the kind cannot keep them.

    So are those with an answer in the text, whatever the kind: where it stands would be another place in each variant.
    """
    ids, texts = batch.column("_id").to_pylist(), batch.column(columns.text).to_pylist()
    tagged = [batch.column(column).is_valid().to_pylist() for column in columns.tags]
    drawn = [
        row
        for row, text in enumerate(texts)
        if text is not None and share_of(seed, ids[row], variation.kind) < variation.share
    ]
    answered = [batch.column(column).is_valid().to_pylist() for column in columns.answers]
    fixed = answered if variation.keeps_tags else [*answered, *tagged]
    kept = [row for row in drawn if not any(of_column[row] for of_column in fixed)]
    facts["rows"] += len(kept)
    facts["tagged"] += len(drawn) - len(kept)
    return batch.take(pa.array(kept, type=pa.int64()))


def _passages(rows: pa.RecordBatch, columns: Columns) -> list[Passage]:
    found = []
    for row in rows.select(["_id", columns.text, *columns.tags]).to_pylist():
        try:
            found.append(passage_of(row[columns.text], {column: row[column] for column in columns.tags}))
        except ValueError as error:
            raise InputError(
                f"row {row['_id']} of train: {error}. Tokens are parts of {columns.text!r}, in its order."
            ) from error
    return found
