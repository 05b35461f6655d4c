"""The folder of a training that is not at its end: one run at a time works in it."""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Waits until no other run works in the folder, and removes it at the end; what raises an error leaves it there.

    A process that is killed works in it no longer.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f"{folder.name}.lock")
    with _held(lock):
        yield
        # A short training has ended before its first checkpoint.
        shutil.rmtree(folder, ignore_errors=True)
        lock.unlink()


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    while True:
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("another run does the same training, so this one waits until it has ended (%s)", lock)
                fcntl.flock(file, fcntl.LOCK_EX)
            if _is(lock, file.fileno()):
                yield
                return


def _is(path: Path, descriptor: int) -> bool:
    """Whether the path still leads to what was opened: who held it before has removed it at the end."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
