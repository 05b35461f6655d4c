"""Token ids of every row, stored ragged, with first piece and shape of every word that carries a tag."""

import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from data_contracts.errors import InputError
from tasks.modeling.limits import write_limit
from tasks.modeling.pairs import NoRoomError
from tasks.modeling.ragged import Ragged
from tasks.modeling.tokenized import ANSWERED, PIECES
from tasks.modeling.tokens import AlignedTexts, EncodedTexts, TextEncoder
from tasks.modeling.words import shape_of
from tasks.tokenization.reading import TextRows, place_of, read_texts
from tasks.tokenization.settings import Tokenization

if TYPE_CHECKING:
    from tokenizers import Encoding

logger = logging.getLogger(__name__)
FACTS = ("rows", "windows", "tokens", "truncated")
WORDS_REMEMBERED = 1 << 16
MOST_UNKNOWN = 0.1  # of the tokens
INTEGERS = pa.list_(pa.int32())
T = TypeVar("T")
R = TypeVar("R")


def encode_splits(
    snapshot: Path,
    encoder: Path,
    settings: Tokenization,
    tag_columns: tuple[str, ...],
    output: Path,
    answers: bool = False,
) -> dict[str, dict[str, int]]:
    """Writes `<split>.parquet`, a line a window, and the limit of tokens; returns {fact: {split: number}}.

    A line has `input_ids`, `row` (position of its row in the split) and, a tag column, `starts_` and `shapes_`: of the
    row's words that are the window's own, the position of the first piece, -1 for a word that was cut off or has none,
    and the position of the shape among SHAPES. The windows of a row follow each other, and so do its words. Where there
    is a column of second texts and the encoder tells them apart by it, a line has `segments`, too. Where there are
    `answers` in the second text (or the only one), a line has `piece_starts` and `piece_ends`, the characters that each
    token covers there, -1 for none; and the first line of a row has `answered_text`.
    """
    text_encoder = TextEncoder(encoder, settings.limit)
    segments = settings.pair_column is not None and text_encoder.reads_segments
    splits = {path.stem: path for path in sorted(snapshot.glob("*.parquet"))}
    total = sum(pq.read_metadata(path).num_rows for path in splits.values())
    facts: dict[str, dict[str, int]] = {fact: {} for fact in FACTS}
    with tqdm(total=total, desc="tokenizing", unit="row", disable=None, leave=False) as bar:
        for split, path in splits.items():
            counts: Counter[str] = Counter()
            with pq.ParquetWriter(output / path.name, _schema(tag_columns, segments, answers)) as writer:
                texts = read_texts(path, settings.text_column, tag_columns, settings.pair_column)
                for rows, encoded, columns in _encoded(texts, text_encoder, settings.pair_column, answers):
                    writer.write_table(_table(encoded, columns, rows.first, segments))
                    counts.update(_facts(rows, encoded))
                    counts["unknown"] += int(np.count_nonzero(encoded.input_ids.values == text_encoder.unknown_id))
                    bar.update(len(rows.texts))
            for fact in FACTS:
                facts[fact][split] = counts[fact]
            if counts["unknown"] > MOST_UNKNOWN * counts["tokens"]:
                logger.warning(
                    "%s: the encoder's vocabulary has nothing for %.0f%% of the pieces of text, which it cannot tell "
                    "apart; choose an encoder that knows their language",
                    split,
                    100 * counts["unknown"] / counts["tokens"],
                )
    write_limit(output, settings.limit)
    cut = {split: count for split, count in facts["truncated"].items() if count}
    if cut:
        remedy = "a larger `max_tokens`, or `beyond: windows`, reads what stands behind them"
        logger.warning("texts cut off at %d tokens: %s; %s", settings.max_tokens, cut, remedy)
    return facts


def _encoded(
    batches: Iterable[TextRows], text_encoder: TextEncoder, pair_column: str | None, answers: bool
) -> Iterator[tuple[TextRows, EncodedTexts, dict[str, pa.Array]]]:
    """Rows with their windows, and the columns that say which words are whose and where pieces stand."""

    def whole_texts(rows: TextRows) -> "list[Encoding]":
        return text_encoder.read_aligned(rows.inputs) if rows.tagged or answers else text_encoder.read(rows.inputs)

    for rows, whole in _one_ahead(whole_texts, batches):
        try:
            aligned = text_encoder.cut_aligned(whole) if rows.tagged or answers else text_encoder.cut(whole)
        except NoRoomError as error:
            raise InputError(f"{place_of(rows.split, rows.first + error.position)}: {error}.") from error
        if isinstance(aligned, AlignedTexts):
            columns = {name: _lists(of) for name, of in _words(rows, aligned).items()}
            yield rows, aligned.encoded, columns | (_pieces(rows, aligned, pair_column) if answers else {})
        else:
            yield rows, aligned, {}


def _words(rows: TextRows, aligned: AlignedTexts) -> dict[str, Ragged]:
    words = {}
    for column in rows.tagged:
        spans = rows.spans(column)
        starts = words[f"starts_{column}"] = aligned.word_starts(spans)
        words[f"shapes_{column}"] = Ragged(_shapes(rows.texts, spans), starts.lengths)
    return words


def _pieces(rows: TextRows, aligned: AlignedTexts, pair_column: str | None) -> dict[str, pa.Array]:
    starts, ends = aligned.places(sequence=0 if pair_column is None else 1)
    texts = rows.texts if pair_column is None else [text or "" for text in rows.seconds or [""] * len(rows.texts)]
    of_windows = aligned.encoded.rows
    first = np.concatenate([np.ones(min(1, len(of_windows)), dtype=bool), of_windows[1:] != of_windows[:-1]])
    shown = pa.array(np.where(first, of_windows, -1), mask=~first)
    kept_text = pa.array(texts, type=pa.string()).take(shown)
    return dict(zip(PIECES, map(_lists, (starts, ends)), strict=True)) | {ANSWERED: kept_text}


def _one_ahead(work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Items with what `work` makes of them; while the caller is busy with one, the next is worked on in a thread."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: list[tuple[T, Future[R]]] = []
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > 1:
                before, result = waiting.pop(0)
                yield before, result.result()
        for item, result in waiting:
            yield item, result.result()


def _shapes(texts: list[str], spans: list[list[tuple[int, int]]]) -> NDArray[np.int32]:
    words = (text[start:end] for text, of in zip(texts, spans, strict=True) for start, end in of)
    return np.fromiter(map(_shape, words), dtype=np.int32)


@functools.lru_cache(maxsize=WORDS_REMEMBERED)
def _shape(word: str) -> int:
    return shape_of(word)


def _facts(rows: TextRows, encoded: EncodedTexts) -> dict[str, int]:
    return {
        "rows": len(rows.texts),
        "windows": len(encoded.rows),
        "tokens": len(encoded.input_ids.values),
        "truncated": encoded.truncated,
    }


def _schema(tag_columns: tuple[str, ...], segments: bool, answers: bool) -> pa.Schema:
    lists = ["segments"] * segments
    lists += [f"{kind}_{column}" for column in tag_columns for kind in ("starts", "shapes")]
    lists += [*PIECES] * answers
    fields = [("input_ids", INTEGERS), ("row", pa.int32()), *((name, INTEGERS) for name in lists)]
    return pa.schema(fields + [(ANSWERED, pa.string())] * answers)


def _table(encoded: EncodedTexts, more: dict[str, pa.Array], first: int, segments: bool) -> pa.Table:
    columns = {"input_ids": _lists(encoded.input_ids), "row": pa.array(encoded.rows + first, type=pa.int32())}
    if segments:
        columns["segments"] = _lists(encoded.known_segments)
    return pa.table(columns | more)


def _lists(of: Ragged) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(of.offsets, type=pa.int32()), pa.array(of.values), type=INTEGERS)
