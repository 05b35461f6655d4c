"""A network's answers for many rows, of one window or several: length-sorted, padded to a token budget."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from tasks.modeling.heads import Answer, AnyHead, WordTensors, answer_columns, mean_states
from tasks.modeling.joining import Reading, WindowReading, join_windows, split_windows
from tasks.modeling.network import MultiTaskNetwork
from tasks.modeling.ragged import padded, real_places
from tasks.modeling.tokenized import TokenizedRows, Words

TOKENS_PER_BATCH = 4096
LONG_ROWS_AT_ONCE = 64


@dataclass
class Outputs:
    """Answers and confidences by task, in the order of the rows; embeddings (rows, width) are mean token states.

    `label_scores` (rows, labels) are those of the tasks that answer with one label: see `read_label_scores`.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    confidences: dict[str, list[float]] = field(default_factory=dict)
    embeddings: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    label_scores: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def run_network(
    network: MultiTaskNetwork,
    tokens: TokenizedRows,
    *,
    pad_id: int,
    description: str | None = None,
    wanted: Mapping[str, Collection[int]] | None = None,
) -> Outputs:
    """Every head's answers, one a row; where `wanted` names the rows of each task, of others there is none.

    A word without a piece, cut off at the token limit or dropped by the tokenizer, has the tag `O`. Of a row of several
    windows, classes, numbers and embeddings come from means over its windows by their tokens; the tags from the windows
    that its words belong to, as one sequence.
    """
    network = network.to(device_of_choice()).eval()
    rows = len(tokens.windows_of_rows)
    found: dict[str, list[tuple[Answer, float]]] = {task: [("", 0.0)] * rows for task in network.heads}
    embeddings = np.zeros((rows, int(network.encoder.config.hidden_size)), dtype=np.float32)  # type: ignore[union-attr, arg-type]
    scores = {
        task: np.zeros((rows, len(head.labels)), dtype=np.float32)
        for task, head in network.heads.items()
        if head.one_label
    }
    ends = np.cumsum(tokens.windows_of_rows)
    bar = tqdm(total=rows, desc=description, unit="row", disable=None if description else True, leave=False)
    with torch.inference_mode(), bar:
        # Apart, so that what a short row gets does not depend on whether there are long ones.
        for part, reading in chain(_short_rows(network, tokens, pad_id), _long_rows(network, tokens, pad_id)):
            embeddings[part] = reading.embeddings.numpy()
            for task, head in network.heads.items():
                chosen = [at for at, row in enumerate(part) if wanted is None or row in wanted[task]]
                if not chosen:
                    continue
                own, logits = [part[at] for at in chosen], reading.logits[task][chosen]
                counts = reading.words_for(head)
                read: Any = [counts[at] for at in chosen]
                if head.in_text:
                    pieces = tokens.pieces_for(head.column)
                    read = [pieces.of(row, range(ends[row - 1] if row else 0, ends[row])) for row in own]
                if head.one_label:
                    scores[task][own] = head.label_scores(logits)
                answers, confidences = head.decode(logits, read)
                for row, answer, confidence in zip(own, answers, confidences, strict=True):
                    found[task][row] = (answer, confidence)
            bar.update(len(part))
    return Outputs(
        answers={task: [answer for answer, _ in pairs] for task, pairs in found.items()},
        confidences={task: [confidence for _, confidence in pairs] for task, pairs in found.items()},
        embeddings=embeddings,
        label_scores=scores,
    )


def _short_rows(network: MultiTaskNetwork, tokens: TokenizedRows, pad_id: int) -> Iterator[tuple[list[int], Reading]]:
    """Rows of one window, and what was read from them."""
    counts = tokens.windows_of_rows
    windows = (np.cumsum(counts) - counts)[counts == 1].tolist()
    for batch in batches_by_length([len(tokens.input_ids[window]) for window in windows], TOKENS_PER_BATCH):
        chosen = [windows[at] for at in batch]
        yield [tokens.rows[window] for window in chosen], _read(network, tokens, chosen, pad_id)


def _long_rows(network: MultiTaskNetwork, tokens: TokenizedRows, pad_id: int) -> Iterator[tuple[list[int], Reading]]:
    """Rows of several windows: some at once, since what the windows give is kept until all of a row's are read."""
    counts = tokens.windows_of_rows
    rows, ends = np.flatnonzero(counts > 1).tolist(), np.cumsum(counts)
    for start in range(0, len(rows), LONG_ROWS_AT_ONCE):
        part = rows[start : start + LONG_ROWS_AT_ONCE]
        windows = [list(range(ends[row] - counts[row], ends[row])) for row in part]
        flat = list(chain.from_iterable(windows))
        read: dict[int, WindowReading] = {}
        for batch in batches_by_length([len(tokens.input_ids[window]) for window in flat], TOKENS_PER_BATCH):
            chosen = [flat[at] for at in batch]
            sizes = [len(tokens.input_ids[window]) for window in chosen]
            reading = _read(network, tokens, chosen, pad_id)
            read |= zip(chosen, split_windows(reading, sizes, network.heads), strict=True)
        yield part, join_windows([[read[window] for window in of_row] for of_row in windows], network.heads)


def _read(network: MultiTaskNetwork, tokens: TokenizedRows, windows: list[int], pad_id: int) -> Reading:
    device = next(network.parameters()).device
    ids = [tokens.input_ids[window] for window in windows]
    words = words_of_windows(tokens, windows, network.heads)
    padded = {column: WordTensors(*(t.to(device) for t in of)) for column, of in words.items()}
    mask, segments = mask_of(ids).to(device), pad_segments(tokens, windows)
    segments = None if segments is None else segments.to(device)
    logits, states = network(pad(ids, pad_id).to(device), mask, padded, list(network.heads), segments)
    return Reading(
        logits={task: values.cpu() for task, values in logits.items()},
        embeddings=mean_states(states, mask).float().cpu(),
        words=_words_in(tokens, windows, network.heads),
    )


def words_of_windows(
    tokens: TokenizedRows, windows: Sequence[int], heads: Mapping[str, AnyHead]
) -> dict[str, WordTensors]:
    """What heads of words, and of answers in the text, are told of those windows, by column."""
    words = {column: pad_words(of_column.at(windows)) for column, of_column in tokens.words.items()}
    return words | {column: tokens.pieces_for(column).tokens(windows) for column in answer_columns(heads)}


def _words_in(tokens: TokenizedRows, windows: Sequence[int], heads: Mapping[str, AnyHead]) -> dict[str, list[int]]:
    """How many words those windows have by column; of answers in the text, how many tokens."""
    words = {column: [len(of_column.starts[at]) for at in windows] for column, of_column in tokens.words.items()}
    return words | {column: [len(tokens.input_ids[at]) for at in windows] for column in answer_columns(heads)}


def device_of_choice() -> torch.device:
    """The first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    """(rows, longest) with `filler` behind the shorter ones; never narrower than 1."""
    return torch.from_numpy(padded(rows, filler))


def pad_segments(tokens: TokenizedRows, windows: Sequence[int]) -> Tensor | None:
    """(windows, longest), which of a pair's texts each token is of; None where the windows are of single texts."""
    found = tokens.segments_at(windows)
    return None if found is None else pad(found, 0)


def pad_words(words: Words) -> WordTensors:
    """Two tensors, (windows, most words)."""
    return WordTensors(pad(words.starts, -1), pad(words.shapes, -1))


def mask_of(rows: Sequence[Sequence[int]]) -> Tensor:
    """(rows, longest) with 1 for real tokens."""
    return torch.from_numpy(real_places(rows).astype(np.int64))


def batches_by_length(lengths: Sequence[int], tokens_per_batch: int) -> Iterator[list[int]]:
    """Row positions, longest first, so many together that padded tokens stay within the budget."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    start = 0
    while start < len(order):
        size = max(1, tokens_per_batch // max(1, lengths[order[start]]))
        yield order[start : start + size]
        start += size


@contextlib.contextmanager
def lower_precision(device: torch.device, enabled: bool) -> Iterator[None]:
    """bf16 autocast where asked for."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled):
        yield
