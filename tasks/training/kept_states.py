"""States that are computed once: on disk, whole or absent, and mapped into memory, of which they may be more."""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

logger = logging.getLogger(__name__)
FREE_BYTES_LEFT = 1 << 30
MOST_BYTES_IN_MEMORY = 2 << 30


class RowStates:
    """States of rows, found again by the row; `flat` is (tokens of all rows, width), row by row in `layout_order`."""

    def __init__(self, flat: Tensor, lengths: Sequence[int]) -> None:
        order = layout_order(lengths)
        ends = np.cumsum(np.asarray(lengths)[order])
        self._flat = flat
        self._lengths = list(lengths)
        self._starts = dict(zip(order, (ends - np.asarray(lengths)[order]).tolist(), strict=True))

    def at(self, row: int) -> Tensor:
        """(tokens, width) of one row."""
        return self._flat[self._starts[row] : self._starts[row] + self._lengths[row]]


def layout_order(lengths: Sequence[int]) -> list[int]:
    """Rows as they are computed, the longest first, however many at once."""
    return sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))


def keep_states(
    path: Path, shape: tuple[int, int], dtype: torch.dtype, compute: Callable[[], Iterator[Tensor]]
) -> Tensor | None:
    """States of that shape, which `compute` gives piece by piece where the file is not there yet.

    In memory where the disk has no room for them and they are less than 2 GiB, and None where they are more. Of
    processes that want the same file, one computes it.
    """
    size = shape[0] * shape[1] * dtype.itemsize
    gib, free = size / (1 << 30), shutil.disk_usage(_made(path.parent)).free
    with _one_at_a_time(path.with_suffix(".lock")):
        if path.exists() and path.stat().st_size == size:
            logger.info("what the frozen layers give is taken up from %s", path)
        elif free < size + FREE_BYTES_LEFT or not _written(path, compute):
            if size > MOST_BYTES_IN_MEMORY:
                logger.warning(
                    "the frozen layers are computed in every step: what they give takes %.2f GiB, too much for memory, "
                    "and the disk of %s has %.2f GiB free. With more room there, training is faster.",
                    *(gib, path.parent, free / (1 << 30)),
                )
                return None
            logger.info("what the frozen layers give is kept in memory, for the disk of %s is full", path.parent)
            return _in_memory(shape, dtype, compute)
        else:
            logger.info("what the frozen layers give is computed once, and kept in %s (%.2f GiB)", path, gib)
    return torch.from_file(str(path), shared=False, size=shape[0] * shape[1], dtype=dtype).view(shape)


def _written(path: Path, compute: Callable[[], Iterator[Tensor]]) -> bool:
    """Whether there was room to write the file, which is then whole."""
    draft = path.with_suffix(".draft")
    try:
        with draft.open("wb") as file:
            for states in compute():
                # As bytes, for NumPy has no bf16.
                file.write(states.contiguous().view(torch.uint8).numpy().data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        logger.info("%s cannot be written (%s)", path, error)
        draft.unlink(missing_ok=True)
        return False
    return True


def _in_memory(shape: tuple[int, int], dtype: torch.dtype, compute: Callable[[], Iterator[Tensor]]) -> Tensor:
    whole, at = torch.empty(shape, dtype=dtype), 0
    for states in compute():
        whole[at : at + len(states)] = states
        at += len(states)
    return whole


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
