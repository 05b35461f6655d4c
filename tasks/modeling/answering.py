"""A file of texts in, the same rows with answers out."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import fsspec

from data_contracts.errors import InputError
from tasks.modeling.heads import AnyHead
from tasks.modeling.inference import Words, run_network
from tasks.modeling.network import load_network
from tasks.modeling.tokens import TextEncoder
from tasks.modeling.words import shapes_in, spans_of, words_of


def answer_rows(model: Path, input_path: str, output_path: str, text_column: str) -> int:
    """Writes each row of `input_path` with `predictions` added to `output_path`; returns how many there are.

    A prediction is {label, confidence} for a classifier, a number for a regression, and a list of
    {kind, text, start, end} for a tagger, with positions in characters. Raises InputError naming file and line.
    """
    _check_folder(output_path)
    rows = _read_rows(input_path, text_column)
    network, max_tokens = load_network(model)
    encoder = TextEncoder(model / "encoder", max_tokens)
    texts = [row[text_column] for row in rows]
    encoded = encoder.encode(texts)
    spans = [spans_of(words_of(text), text) for text in texts]
    columns = {head.column for head in network.heads.values() if head.kind == "token_tags"}
    words = Words(encoded.word_starts(spans), shapes_in(texts, spans))
    found = run_network(
        network, encoded.input_ids, dict.fromkeys(columns, words), pad_id=encoder.pad_id, description="predicting"
    )
    for position, row in enumerate(rows):
        row["predictions"] = {
            task: _readable(
                head, found.answers[task][position], found.confidences[task][position], texts[position], spans[position]
            )
            for task, head in network.heads.items()
        }
    _write_rows(rows, output_path)
    return len(rows)


def entities_of(tags: list[str], spans: list[tuple[int, int]], text: str) -> list[dict[str, Any]]:
    """Entities that BIO tags stand for: kind, text, and start and end in characters."""
    found: list[dict[str, Any]] = []
    for tag, (start, end) in zip(tags, spans, strict=True):
        if tag.startswith("B-"):
            found.append({"kind": tag[2:], "text": text[start:end], "start": start, "end": end})
        elif tag.startswith("I-"):
            found[-1] |= {"text": text[found[-1]["start"] : end], "end": end}
    return found


def _readable(head: AnyHead, answer: Any, confidence: float, text: str, spans: list[tuple[int, int]]) -> Any:
    if head.kind == "token_tags":
        return entities_of(answer, spans, text)
    if head.kind == "regression":
        return round(answer, 4)
    return {"label": answer, "confidence": round(confidence, 4)}


def _read_rows(path: str, text_column: str) -> list[dict[str, Any]]:
    try:
        with fsspec.open(path, "rt", encoding="utf-8-sig") as file:
            # Not splitlines(), which also splits at separators that JSON allows inside a text.
            lines = list(file)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}. Give a JSON Lines file in UTF-8.") from error
    rows = [_parse(path, number, line, text_column) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise InputError(f"{path} holds no rows.")
    return rows


def _parse(path: str, number: int, line: str, text_column: str) -> dict[str, Any]:
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
