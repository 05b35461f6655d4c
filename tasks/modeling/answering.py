"""A file of texts in, the same rows with answers out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_contracts.cleaning import Cleaning, clean_texts
from data_contracts.errors import InputError
from tasks.modeling.alignment import Spans
from tasks.modeling.answers import Answers
from tasks.modeling.heads import AnyHead, answer_columns, tag_columns
from tasks.modeling.inference import run_network
from tasks.modeling.network import load_network
from tasks.modeling.pairs import NoRoomError, inputs_of
from tasks.modeling.pieces import Pieces
from tasks.modeling.ragged import Ragged, ragged
from tasks.modeling.row_files import ReadRows, check_folder, read_rows, write_rows
from tasks.modeling.tokenized import TokenizedRows, Words
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import shapes_in, spans_of, words_of

WITHOUT_CLEANING = Cleaning()


class Answered(NamedTuple):
    """What a model says of some rows: answers and confidences, and what each row is given for people to see."""

    answers: Answers
    seen: list[dict[str, Any]]


def answer_rows(
    model: Path,
    input_path: str,
    output_path: str,
    text_column: str,
    cleaning: Cleaning = WITHOUT_CLEANING,
    pair_column: str | None = None,
    read: ReadRows | None = None,
) -> int:
    """Writes each row of `input_path` with `predictions` added to `output_path`; returns how many there are.

    A prediction is {label, confidence} for a classifier, {labels, confidence} for one of several labels a text, a
    number for a regression, a list of {kind, text, start, end} for a tagger, and {text, start, end, confidence} for an
    answer in the text (of a pair the second one), null where there is none; positions are in characters. A
    confidence is the probability that the whole answer is right. The model reads texts as `cleaning` leaves them; where
    that is another text, the row has it as `cleaned_<text_column>`, and positions are those in it. A row that has text
    in `pair_column`, too, is read as a pair. What is no JSON Lines is read by `read`. Raises InputError naming file and
    line.
    """
    check_folder(output_path)
    rows = read_rows(input_path, text_column, pair_column, read)
    answered = answer(model, rows, input_path, text_column, cleaning, pair_column)
    write_rows([row | seen for row, seen in zip(rows.values(), answered.seen, strict=True)], output_path)
    return len(rows)


def answer(
    model: Path,
    rows: Mapping[int, dict[str, Any]],
    path: str,
    text_column: str,
    cleaning: Cleaning = WITHOUT_CLEANING,
    pair_column: str | None = None,
) -> Answered:
    """The same for rows by their line number in the file at `path`."""
    texts = _clean(rows, path, text_column, cleaning)
    seconds = None if pair_column is None else _clean_seconds(rows, path, pair_column, cleaning)
    network, limit = load_network(model)
    encoder = TextEncoder(model / "encoder", limit)
    spans = [spans_of(words_of(text), text) for text in texts]
    try:
        tokens = tokens_of(texts, seconds, network.heads, encoder)
    except NoRoomError as error:
        raise InputError(f"{path}, line {list(rows)[error.position]}: {error}.") from error
    found = run_network(network, tokens, pad_id=encoder.pad_id, description="predicting")
    read: dict[str, Sequence[str | None]] = {
        text_column: texts,
        **({pair_column: seconds} if pair_column and seconds else {}),
    }
    seen = [
        {f"cleaned_{column}": of[at] for column, of in read.items() if of[at] != row.get(column)}
        | {
            "predictions": {
                task: head.prediction(found.answers[task][at], found.confidences[task][at], texts[at], spans[at])
                for task, head in network.heads.items()
            }
        }
        for at, row in enumerate(rows.values())
    ]
    return Answered(Answers(found.answers, found.confidences), seen)


def _clean(rows: Mapping[int, dict[str, Any]], path: str, text_column: str, cleaning: Cleaning) -> list[str]:
    """The texts as the model is to read them."""
    texts = clean_texts([row[text_column] for row in rows.values()], cleaning)
    for (number, row), text in zip(rows.items(), texts, strict=True):
        if not text.strip():
            raise InputError(
                f"{path}, line {number}: nothing is left of {text_column!r} when it is cleaned as the model's texts "
                f"were, found {row[text_column][:80]!r}. Take the row out."
            )
    return texts


def _clean_seconds(
    rows: Mapping[int, dict[str, Any]], path: str, pair_column: str, cleaning: Cleaning
) -> list[str | None]:
    """The same of second texts, which only some rows may have."""
    given = {number: row for number, row in rows.items() if row.get(pair_column) is not None}
    cleaned = dict(zip(given, _clean(given, path, pair_column, cleaning), strict=True))
    return [cleaned.get(number) for number in rows]


def tokens_of(
    texts: list[str], seconds: list[str | None] | None, heads: Mapping[str, AnyHead], encoder: TextEncoder
) -> TokenizedRows:
    """What a network with those heads reads of the texts, or of the pairs with `seconds`.

    Raises NoRoomError where a pair's first text leaves no room for the second.
    """
    spans = [spans_of(words_of(text), text) for text in texts]
    return _tokenize(texts, seconds, spans, set(tag_columns(heads)), encoder, answers=bool(answer_columns(heads)))


def _tokenize(
    texts: list[str],
    seconds: list[str | None] | None,
    spans: Spans,
    columns: set[str],
    encoder: TextEncoder,
    *,
    answers: bool,
) -> TokenizedRows:
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
