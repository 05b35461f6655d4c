"""Token ids of every row, stored ragged, with first piece and shape of every word that carries a tag."""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from data_contracts.errors import InputError
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import shapes_in, spans_of, words_of

logger = logging.getLogger(__name__)
ROWS_PER_CALL = 512


def encode_splits(
    snapshot: Path, encoder: Path, *, text_column: str, tag_columns: tuple[str, ...], max_tokens: int, output: Path
) -> dict[str, dict[str, int]]:
    """Writes `<split>.parquet` with `input_ids` and, a tag column, `starts_` and `shapes_`; returns {fact: {split: n}}.

    `starts` holds the position of each word's first piece, -1 for a word that was cut off at `max_tokens`; `shapes` the
    position of its shape among SHAPES.
    """
    text_encoder = TextEncoder(encoder, max_tokens)
    facts: dict[str, dict[str, int]] = {"rows": {}, "tokens": {}, "truncated": {}}
    tables = {path.stem: pq.read_table(path) for path in sorted(snapshot.glob("*.parquet"))}
    total = sum(table.num_rows for table in tables.values())
    with tqdm(total=total, desc="tokenizing", unit="row", disable=None, leave=False) as bar:
        for split, table in tables.items():
            columns: dict[str, list[list[int]]] = {"input_ids": []}
            columns |= {f"{kind}_{name}": [] for name in tag_columns for kind in ("starts", "shapes")}
            truncated = 0
            for start in range(0, table.num_rows, ROWS_PER_CALL):
                rows = table.slice(start, ROWS_PER_CALL).to_pylist()
                encoded = text_encoder.encode([row[text_column] for row in rows])
                columns["input_ids"] += encoded.input_ids
                truncated += encoded.truncated
                for name in tag_columns:
                    spans = [_spans(row, text_column, name) for row in rows]
                    columns[f"starts_{name}"] += encoded.word_starts(spans)
                    columns[f"shapes_{name}"] += shapes_in([row[text_column] for row in rows], spans)
                bar.update(len(rows))
            _write(columns, output / f"{split}.parquet")
            facts["rows"][split] = table.num_rows
            facts["tokens"][split] = sum(len(ids) for ids in columns["input_ids"])
            facts["truncated"][split] = truncated
    cut = {split: count for split, count in facts["truncated"].items() if count}
    if cut:
        logger.warning("texts cut off at %d tokens: %s", max_tokens, cut)
    return facts


def _spans(row: dict[str, object], text_column: str, tag_column: str) -> list[tuple[int, int]]:
    text, tagged = str(row[text_column]), row.get(tag_column)
    words = tagged["tokens"] if isinstance(tagged, dict) and tagged["tokens"] else words_of(text)
    try:
        return spans_of(words, text)
    except ValueError as error:
        raise InputError(
            f"{row['_address']}, row {row['_row']}, {tag_column}: {error}. Tokens are parts of {text_column!r}."
        ) from error


def _write(columns: dict[str, list[list[int]]], path: Path) -> None:
    integers = pa.list_(pa.int32())
    pq.write_table(pa.table({name: pa.array(values, type=integers) for name, values in columns.items()}), path)
