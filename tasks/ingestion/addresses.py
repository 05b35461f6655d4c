"""Where files are: what an address stands for, and what is said when it cannot be looked at."""

import errno
import glob
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem

from data_contracts.errors import InputError

WEB = ("http://", "https://")
PATTERN = re.compile(r"[*?\[]")
SECONDS_TO_CONNECT = 30
SECONDS_WITHOUT_BYTES = 60


def matching_files(path: str) -> list[str]:
    """Addresses of the files that `path` stands for, sorted; a path without `*`, `?` or `[..]` is itself.

    Raises InputError where there is none, or where the place cannot be looked at.
    """
    files, inner = file_system(path)
    with readable_read_errors(path):
        if _is_web(path):
            _refuse_web_pattern(path)
            files.info(inner)
            return [path]
        # A file may be called `a[1].jsonl`.
        if not PATTERN.search(path) or files.isfile(inner):
            if files.info(inner)["type"] == "directory":
                raise IsADirectoryError(path)
            return [path]
        found = _files_that_match(files, inner)
        folder = PATTERN.split(inner)[0].rpartition("/")[0]
        if isinstance(files, LocalFileSystem):
            _refuse_closed_folders(folder, None if "**" in inner else inner.count("/") - folder.count("/"))
    if not found:
        folder = full_address(files, folder)
        with readable_read_errors(folder):
            files.ls(folder)
        raise InputError(f"nothing in {folder} matches {path}. Correct the pattern, or add the files.")
    return sorted(full_address(files, name) for name in found)


def file_system(path: str) -> tuple[Any, str]:
    """The file system of an address, as it is now, and the address inside it."""
    options: dict[str, Any] = {}
    if _is_web(path):
        import aiohttp

        patience = aiohttp.ClientTimeout(total=None, sock_connect=SECONDS_TO_CONNECT, sock_read=SECONDS_WITHOUT_BYTES)
        # A server that compresses on its way would unpack a `.gz` file and announce another size than arrives.
        headers = {"Accept-Encoding": "identity"}
        options["client_kwargs"] = {"timeout": patience, "headers": headers, "trust_env": True}
    with readable_read_errors(path):
        # Files are added by others at any time, so a listing is not kept.
        files, inner = fsspec.core.url_to_fs(path, use_listings_cache=False, **options)
    return files, str(inner)


def full_address(files: Any, name: str) -> str:
    """What `file_system` took apart, put together again; local files stay plain paths."""
    return name if isinstance(files, LocalFileSystem) else str(files.unstrip_protocol(name))


def name_of(path: str) -> PurePosixPath:
    """The file's name in small letters; what follows `?` in a web address is no part of it."""
    return PurePosixPath(PurePosixPath(urlsplit(path).path if _is_web(path) else path).name.lower())


@contextmanager
def readable_read_errors(path: str) -> Iterator[None]:
    """Turns what goes wrong when a file or its folder is looked at into an InputError that says what to do."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        if refusal := web_refusal(error):
            raise _refused(path, refusal) from error
        # An object store says of a bucket that it is not there; a file system's own message only repeats the path.
        bucket = " (its bucket neither)" if "bucket does not exist" in str(error) else ""
        raise InputError(f"{path} does not exist{bucket}. Correct the path, or create the file.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path} is a folder, not a file of rows. Name a file, or end the path with /*.") from error
    except Exception as error:
        # Each of fsspec's back ends has error classes of its own, for missing credentials or a dead endpoint.
        raise _refused(path, error) from error


def web_refusal(error: Exception) -> BaseException | None:
    """The reason where fsspec says "not found" of a web address though the server said something else, or nothing."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) else None
    is_refusal = type(cause).__module__.startswith("aiohttp") and getattr(cause, "status", None) != 404
    return cause if is_refusal else None


def _refused(path: str, error: BaseException) -> InputError:
    reason = str(error).rstrip(".")
    if isinstance(error, PermissionError) or getattr(error, "status", None) in (401, 403):
        return InputError(f"{path} may not be read: {reason}. Check its permissions or the credentials.")
    if getattr(error, "errno", None) == errno.ENOSPC:
        return InputError(f"{path} finds no room here: {reason}. Make room, or set TMPDIR to a larger folder.")
    return InputError(
        f"{path} cannot be read: {type(error).__name__}: {reason}. Check address, endpoint and credentials."
    )


def _is_web(path: str) -> bool:
    return path.startswith(WEB)


def _files_that_match(files: Any, inner: str) -> list[str]:
    """The files that a pattern stands for, those that links lead to among them, each under one name alone."""
    if not isinstance(files, LocalFileSystem):
        return [str(name) for name, facts in files.glob(inner, detail=True).items() if facts["type"] == "file"]
    # fsspec goes into no linked folder; `**` must not, for such a folder may hold itself.
    names = files.glob(inner) if "**" in inner else glob.glob(inner, include_hidden=True)
    # What does not exist is a link that leads nowhere, of which the reader says so.
    found = [str(name) for name in names if os.path.isfile(name) or not os.path.exists(name)]
    # A link beside what it leads to, as `latest` often is, is no second file.
    return list({os.path.realpath(name): name for name in sorted(found, reverse=True)}.values())


def _refuse_closed_folders(root: str, levels: int | None) -> None:
    """Raises where a folder cannot be listed, which a pattern leaves out: its rows would be missed by nobody."""

    def refuse(error: OSError) -> None:
        raise error

    for folder, below, _ in os.walk(root, onerror=refuse, followlinks=levels is not None):
        if levels is not None and folder.count("/") - root.count("/") + 1 >= levels:
            below.clear()


def _refuse_web_pattern(path: str) -> None:
    # `?` begins the query of a web address, and `[` may stand in its host.
    if re.search(r"[*\[]", urlsplit(path).path):
        raise InputError(
            f"{path} is a pattern, but a web server does not list its files. Name one file, or put the shards into a "
            "bucket or a folder."
        )
