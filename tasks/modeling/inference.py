"""A network's answers for many rows: length-sorted, padded to a token budget, no gradients."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from tasks.modeling.heads import Answer, WordTensors, mean_states
from tasks.modeling.network import MultiTaskNetwork

TOKENS_PER_BATCH = 4096


@dataclass
class Outputs:
    """Answers and confidences by task, in the order of the rows; embeddings (rows, width) are mean token states."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    confidences: dict[str, list[float]] = field(default_factory=dict)
    embeddings: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))


@dataclass(frozen=True)
class Words:
    """Words of some texts, ragged: the token each starts at, -1 where it was cut off, and its shape."""

    starts: list[list[int]]
    shapes: list[list[int]]

    def at(self, rows: Sequence[int]) -> "Words":
        """The words of those rows."""
        return Words([self.starts[row] for row in rows], [self.shapes[row] for row in rows])

    def padded(self) -> WordTensors:
        """Two tensors, (rows, most words)."""
        return WordTensors(pad(self.starts, -1), pad(self.shapes, -1))


def words_in(encoded: Mapping[str, Any]) -> dict[str, Words]:
    """The words of every tag column of a tokenized split."""
    columns = [name.removeprefix("starts_") for name in encoded if name.startswith("starts_")]
    return {column: Words(encoded[f"starts_{column}"], encoded[f"shapes_{column}"]) for column in columns}


def device_of_choice() -> torch.device:
    """The first GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    """(rows, longest) with `filler` behind the shorter ones; never narrower than 1."""
    longest = max(1, *(len(row) for row in rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])


def mask_of(rows: Sequence[Sequence[int]]) -> Tensor:
    """(rows, longest) with 1 for real tokens."""
    longest = max(1, *(len(row) for row in rows))
    return torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


def batches_by_length(lengths: Sequence[int], tokens_per_batch: int) -> Iterator[list[int]]:
    """Row positions, longest first, so many together that padded tokens stay within the budget."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    while order:
        size = max(1, tokens_per_batch // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]


def run_network(
    network: MultiTaskNetwork,
    input_ids: Sequence[Sequence[int]],
    words: Mapping[str, Words],
    *,
    pad_id: int,
    description: str | None = None,
) -> Outputs:
    """Every head's answers for the rows. `words` holds the words of each tag column.

    A word without a piece, cut off at the token limit or dropped by the tokenizer, has the tag `O`.
    """
    device = device_of_choice()
    network = network.to(device).eval()
    tasks = list(network.heads)
    found: dict[str, list[tuple[Answer, float]]] = {task: [("", 0.0)] * len(input_ids) for task in tasks}
    embeddings = np.zeros((len(input_ids), int(network.encoder.config.hidden_size)), dtype=np.float32)  # type: ignore[union-attr, arg-type]
    bar = tqdm(total=len(input_ids), desc=description, unit="row", disable=None if description else True, leave=False)
    with torch.inference_mode(), bar:
        for rows in batches_by_length([len(ids) for ids in input_ids], TOKENS_PER_BATCH):
            ids = [input_ids[row] for row in rows]
            chosen = {column: of_column.at(rows) for column, of_column in words.items()}
            padded = {column: WordTensors(*(t.to(device) for t in of.padded())) for column, of in chosen.items()}
            mask = mask_of(ids).to(device)
            logits, states = network(pad(ids, pad_id).to(device), mask, padded, tasks)
            embeddings[rows] = mean_states(states, mask).float().cpu().numpy()
            for task in tasks:
                of_task = chosen.get(network.heads[task].column)
                column_starts = of_task.starts if of_task else [[]] * len(rows)
                answers, confidences = network.heads[task].decode(logits[task].cpu(), [len(w) for w in column_starts])
                for row, answer, confidence in zip(rows, answers, confidences, strict=True):
                    found[task][row] = (answer, confidence)
            bar.update(len(rows))
    return Outputs(
        answers={task: [answer for answer, _ in pairs] for task, pairs in found.items()},
        confidences={task: [confidence for _, confidence in pairs] for task, pairs in found.items()},
        embeddings=embeddings,
    )


@contextlib.contextmanager
def lower_precision(device: torch.device, enabled: bool) -> Iterator[None]:
    """bf16 autocast where asked for."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled):
        yield
