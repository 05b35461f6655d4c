"""Several processes of one training, forked from one that has imported what they need."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
PATIENCE_SECONDS = 240
# What a training imports late, too: each fork would do so anew.
LATE = ("transformers.models.bert.modeling_bert", "scipy.stats", "sklearn.metrics", "seqeval.metrics")
CONTEXT.set_forkserver_preload(["tasks.training.loop", "several_ranks", *LATE])


def in_ranks(count: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """What `function(ranks, *arguments)` gives in each of `count` processes."""
    folder.mkdir(parents=True, exist_ok=True)
    pipes = [CONTEXT.Pipe(duplex=False) for _ in range(count)]
    processes = [
        CONTEXT.Process(target=_call, args=(sender, folder / "meeting", rank, count, function, arguments), daemon=True)
        for rank, (_, sender) in enumerate(pipes)
    ]
    try:
        for process, (_, sender) in zip(processes, pipes, strict=True):
            process.start()
            sender.close()
        return [_answer(receiver) for receiver, _ in pipes]
    finally:
        for process in processes:
            process.join(10)
            process.kill()


def _answer(receiver: Any) -> Any:
    # Processes that wait for each other for good would never end.
    if not receiver.poll(PATIENCE_SECONDS):
        raise TimeoutError(f"a process gave no answer in {PATIENCE_SECONDS} seconds")
    return receiver.recv()


def _call(
    sender: Any, meeting: Path, rank: int, count: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    import torch

    from tasks.training.ranks import joined

    torch.set_num_threads(1)
    with joined(meeting, rank, count) as ranks:
        sender.send(function(ranks, *arguments))
