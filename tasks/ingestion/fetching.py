"""The bytes of an address, as a file of this machine."""

import errno
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from data_contracts.errors import InputError
from tasks.ingestion.addresses import file_system, readable_read_errors, web_refusal

log = logging.getLogger(__name__)

PAUSES_SECONDS = (0.5, 2.0)


@contextmanager
def local_copy(path: str, folder: Path) -> Iterator[Path]:
    """The file at `path`: a local one as it is, any other downloaded into `folder` and removed at the end.

    Raises InputError where it may not be read, and where the download breaks off every time.
    """
    files, inner = file_system(path)
    if isinstance(files, LocalFileSystem):
        with readable_read_errors(path), Path(inner).open("rb"):
            pass
        yield Path(inner)
        return
    handle, name = tempfile.mkstemp(dir=folder)
    os.close(handle)
    try:
        with readable_read_errors(path):
            _download(path, Path(name))
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _download(path: str, target: Path) -> None:
    for pause in (*PAUSES_SECONDS, None):
        try:
            _download_once(path, target)
            return
        except Exception as error:
            reason = web_refusal(error) or error
            if not _may_pass(reason):
                raise
            said = f"{type(reason).__name__}: {' '.join(str(reason).split())}"
            if pause is None:
                raise InputError(
                    f"{path}: the download broke off {len(PAUSES_SECONDS) + 1} times, at last with {said}. "
                    "Run again later, or copy the file to a place that holds."
                ) from error
            log.warning("%s: the download broke off (%s), trying again", path, said)
            time.sleep(pause)


def _download_once(path: str, target: Path) -> None:
    files, inner = file_system(path)
    facts = files.info(inner)
    if facts.get("type") == "directory":
        raise IsADirectoryError(path)
    files.get_file(inner, str(target))
    announced, arrived = facts.get("size"), target.stat().st_size
    if announced is not None and arrived != announced:
        raise ConnectionError(f"{arrived} of {announced} bytes arrived")


def _may_pass(reason: BaseException) -> bool:
    """Whether the same request may succeed in a moment."""
    if isinstance(reason, FileNotFoundError | PermissionError | IsADirectoryError):
        return False
    if 400 <= getattr(reason, "status", 0) < 500 or getattr(reason, "errno", None) == errno.ENOSPC:
        return False
    return isinstance(reason, OSError | EOFError) or type(reason).__module__.startswith("aiohttp")
