"""What a model costs: its size, and how fast it answers real texts, tokenization included.

Times are those of one machine on one day, so nothing that decides about reuse may hang on them.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from tasks.evaluation.scoring import IN_DOMAIN

if TYPE_CHECKING:
    from tasks.modeling.network import MultiTaskNetwork
    from tasks.modeling.tokens import TextEncoder

# Batch size: how many batches are timed at most. The 99th percentile of single texts needs a hundred of them and more.
BATCHES = {1: 200, 32: 20}
WARM_UP = 3
SECONDS_EACH = 5.0


@dataclass(frozen=True)
class Latency:
    """Milliseconds that half, and 99 of 100, batches of that size were answered within; `batches` is how many ran."""

    batch_size: int
    batches: int
    p50_ms: float
    p99_ms: float
    texts_per_second: float


@dataclass(frozen=True)
class ModelCost:
    """Size and speed of a model on the device that is named."""

    device: str
    parameters: int
    bytes: int
    latencies: tuple[Latency, ...]

    def latency(self, batch_size: int) -> Latency | None:
        """That of batches of this size, where it was measured."""
        return next((found for found in self.latencies if found.batch_size == batch_size), None)


def measure_cost(
    model: Path, texts: Sequence[str], seconds: Sequence[str | None] | None = None, limit_seconds: float = SECONDS_EACH
) -> ModelCost:
    """The cost of answering these texts (with the second ones of pairs), single and in batches of 32.

    Texts are taken in turn, from the first again where there are too few. Timing a batch size ends after
    `limit_seconds`, or after the first batch where that takes longer.
    """
    from tasks.modeling.network import load_network
    from tasks.modeling.tokens import TextEncoder

    network, limit = load_network(model)
    encoder = TextEncoder(model / "encoder", limit)
    found = [
        _time_batches(network, encoder, texts, seconds, size, batches, limit_seconds)
        for size, batches in BATCHES.items()
        if texts
    ]
    return ModelCost(
        device=_device_name(),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        bytes=folder_bytes(model),
        latencies=tuple(found),
    )


def latency_of(batch_size: int, seconds: Sequence[float]) -> Latency:
    """That of batches of this size which were answered within so many seconds each."""
    p50, p99 = np.quantile(seconds, (0.5, 0.99)) * 1000
    return Latency(batch_size, len(seconds), float(p50), float(p99), batch_size * len(seconds) / sum(seconds))


def folder_bytes(folder: Path) -> int:
    """How much the files of a folder hold."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def texts_in_domain(
    snapshot: Path, text_column: str, pair_column: str | None
) -> tuple[list[str], list[str | None] | None]:
    """Texts of the in-domain rows, and second ones where they have the `pair_column`."""
    table = pq.read_table(snapshot / f"{IN_DOMAIN}.parquet")
    paired = pair_column in table.column_names
    return table.column(text_column).to_pylist(), table.column(pair_column).to_pylist() if paired else None


def write_cost(path: Path, cost: ModelCost) -> None:
    """Writes the cost as JSON."""
    path.write_text(json.dumps(asdict(cost), indent=1), encoding="utf-8")


def read_cost(path: Path) -> ModelCost:
    """What `write_cost` wrote."""
    content: Mapping[str, object] = json.loads(path.read_text(encoding="utf-8"))
    latencies = tuple(Latency(**entry) for entry in content["latencies"])  # type: ignore[attr-defined]
    return ModelCost(**{**content, "latencies": latencies})  # type: ignore[arg-type]


def _time_batches(
    network: "MultiTaskNetwork",
    encoder: "TextEncoder",
    texts: Sequence[str],
    seconds: Sequence[str | None] | None,
    size: int,
    batches: int,
    limit_seconds: float,
) -> Latency:
    from tasks.modeling.answering import tokens_of
    from tasks.modeling.inference import run_network

    rows = cycle(range(len(texts)))
    taken: list[float] = []
    for number in range(-WARM_UP, batches):
        chosen = list(islice(rows, size))
        paired = None if seconds is None else [seconds[row] for row in chosen]
        start = time.perf_counter()
        tokens = tokens_of([texts[row] for row in chosen], paired, network.heads, encoder)
        run_network(network, tokens, pad_id=encoder.pad_id)
        if number >= 0:
            taken.append(time.perf_counter() - start)
            if sum(taken) > limit_seconds:
                break
    return latency_of(size, taken)


def _device_name() -> str:
    import platform

    import torch

    from tasks.modeling.inference import device_of_choice

    if device_of_choice().type == "cuda":
        return str(torch.cuda.get_device_name())
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} thread(s)"
