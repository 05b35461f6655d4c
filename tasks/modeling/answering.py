"""A file of texts in, the same rows with answers out."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import fsspec

from data_contracts.cleaning import Cleaning, clean_texts
from data_contracts.errors import InputError
from tasks.modeling.alignment import Spans
from tasks.modeling.heads import answer_columns
from tasks.modeling.inference import run_network
from tasks.modeling.network import load_network
from tasks.modeling.pairs import NoRoomError, inputs_of
from tasks.modeling.pieces import Pieces
from tasks.modeling.ragged import Ragged, ragged
from tasks.modeling.tokenized import TokenizedRows, Words
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import shapes_in, spans_of, words_of

WITHOUT_CLEANING = Cleaning()


def answer_rows(
    model: Path,
    input_path: str,
    output_path: str,
    text_column: str,
    cleaning: Cleaning = WITHOUT_CLEANING,
    pair_column: str | None = None,
) -> int:
    """Writes each row of `input_path` with `predictions` added to `output_path`; returns how many there are.

    A prediction is {label, confidence} for a classifier, {labels, confidence} for one of several labels a text, a
    number for a regression, a list of {kind, text, start, end} for a tagger, and {text, start, end, confidence} for an
    answer in the text (of a pair the second one), null where there is none; positions are in characters. A
    confidence is the probability that the whole answer is right. The model reads texts as `cleaning` leaves them; where
    that is another text, the row has it as `cleaned_<text_column>`, and positions are those in it. A row that has text
    in `pair_column`, too, is read as a pair. Raises InputError naming file and line.
    """
    _check_folder(output_path)
    rows = _read_rows(input_path, text_column, pair_column)
    texts = _clean(rows, input_path, text_column, cleaning)
    seconds = None if pair_column is None else _clean_seconds(rows, input_path, pair_column, cleaning)
    network, limit = load_network(model)
    encoder = TextEncoder(model / "encoder", limit)
    spans = [spans_of(words_of(text), text) for text in texts]
    columns = {head.column for head in network.heads.values() if head.of_words}
    try:
        tokens = tokenize_texts(texts, seconds, spans, columns, encoder, answers=bool(answer_columns(network.heads)))
    except NoRoomError as error:
        raise InputError(f"{input_path}, line {list(rows)[error.position]}: {error}.") from error
    found = run_network(network, tokens, pad_id=encoder.pad_id, description="predicting")
    for position, row in enumerate(rows.values()):
        row["predictions"] = {
            task: head.prediction(
                found.answers[task][position], found.confidences[task][position], texts[position], spans[position]
            )
            for task, head in network.heads.items()
        }
    _write_rows(list(rows.values()), output_path)
    return len(rows)


def _clean(rows: dict[int, dict[str, Any]], path: str, text_column: str, cleaning: Cleaning) -> list[str]:
    """The texts as the model is to read them, which the rows are given where they are others than their own."""
    texts = clean_texts([row[text_column] for row in rows.values()], cleaning)
    for (number, row), text in zip(rows.items(), texts, strict=True):
        if not text.strip():
            raise InputError(
                f"{path}, line {number}: nothing is left of {text_column!r} when it is cleaned as the model's texts "
                f"were, found {row[text_column][:80]!r}. Take the row out."
            )
        if text != row[text_column]:
            row[f"cleaned_{text_column}"] = text
    return texts


def _clean_seconds(
    rows: dict[int, dict[str, Any]], path: str, pair_column: str, cleaning: Cleaning
) -> list[str | None]:
    """The same of second texts, which only some rows may have."""
    given = {number: row for number, row in rows.items() if row.get(pair_column) is not None}
    cleaned = dict(zip(given, _clean(given, path, pair_column, cleaning), strict=True))
    return [cleaned.get(number) for number in rows]


def tokenize_texts(
    texts: list[str],
    seconds: list[str | None] | None,
    spans: Spans,
    columns: set[str],
    encoder: TextEncoder,
    *,
    answers: bool,
) -> TokenizedRows:
    """What a network reads of the texts: the words at `spans` for tag columns, tokens that `answers` are made of.

    Raises NoRoomError where a pair's first text leaves no room for the second.
    """
    inputs, words, pieces = inputs_of(texts, seconds), {}, None
    aligned = encoder.align(inputs) if columns or answers else None
    encoded = aligned.encoded if aligned else encoder.encode(inputs)
    if aligned and columns:
        starts = aligned.word_starts(spans)
        shapes = Ragged(ragged(shapes_in(texts, spans)).values, starts.lengths)
        words = dict.fromkeys(columns, Words(starts.lists(), shapes.lists()))
    if aligned and answers:
        starts, ends = aligned.places(sequence=0 if seconds is None else 1)
        answered = texts if seconds is None else [text or "" for text in seconds]
        pieces = Pieces(starts.lists(), ends.lists(), answered)
    segments = None if encoded.segments is None else encoded.segments.lists()
    return TokenizedRows(encoded.input_ids.lists(), encoded.rows.tolist(), words, segments, pieces)


def _read_rows(path: str, text_column: str, pair_column: str | None) -> dict[int, dict[str, Any]]:
    """The rows by line number."""
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig") as file:
            # Not splitlines(), which also splits at separators that JSON allows inside a text.
            lines = list(file)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}. Give a JSON Lines file in UTF-8.") from error
    numbered = enumerate(lines, start=1)
    rows = {number: _parse(path, number, line, text_column, pair_column) for number, line in numbered if line.strip()}
    if not rows:
        raise InputError(f"{path} holds no rows.")
    return rows


def _parse(path: str, number: int, line: str, text_column: str, pair_column: str | None) -> dict[str, Any]:
    try:
        row: Any = json.loads(line)
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}, line {number}: half of a character ({error.object[error.start]!r}) that no UTF-8 file can hold"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}, line {number}: not JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get(text_column), str) or not row[text_column].strip():
        raise InputError(f"{path}, line {number}: expected an object with text in {text_column!r}, found {line[:80]}")
    second = row.get(pair_column) if pair_column else None
    if second is not None and (not isinstance(second, str) or not second.strip()):
        raise InputError(
            f"{path}, line {number}: expected text in {pair_column!r}, or null, found {str(second)[:80]!r}"
        )
    return row


def _check_folder(output: str) -> None:
    folder = Path(output).parent
    if "://" not in output and not folder.is_dir():
        raise InputError(f"{folder} does not exist, so {Path(output).name} cannot be written there.")


def _write_rows(rows: list[dict[str, Any]], path: str) -> None:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        if "://" in path:
            with fsspec.open(path, "wt", encoding="utf-8") as file:
                file.write(content)
        else:
            _replace(Path(path), content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error}. Free space, grant access or choose another.") from error


def _replace(target: Path, content: str) -> None:
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        draft.write_text(content, encoding="utf-8")
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
