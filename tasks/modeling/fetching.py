"""Folders on an object store, copied to this machine once."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import fsspec

from data_contracts.errors import InputError


def fetch_folder(address: str) -> Path:
    """A local copy of the folder at `address`, as it is now: the copy is named by the listing's sizes and versions.

    Raises InputError where nothing is there or it may not be read.
    """
    try:
        files, base = fsspec.core.url_to_fs(address)
        listing = files.find(base, detail=True)
    except Exception as error:  # each kind of store raises its own, and botocore's are no OSError
        raise InputError(f"{address} cannot be listed: {error}. Check the address and the credentials.") from error
    if not listing:
        raise InputError(f"{address} holds no files. Correct the address, or check the credentials.")
    state = [
        (path, facts.get("size"), str(facts.get("ETag", facts.get("mtime", "")))) for path, facts in listing.items()
    ]
    name = hashlib.sha256(repr([address, sorted(state)]).encode()).hexdigest()[:24]
    target = Path(tempfile.gettempdir()) / f"graft-encoders-{os.getuid()}" / name
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = Path(tempfile.mkdtemp(dir=target.parent))
        try:
            for path in listing:
                local = draft / str(path)[len(base) :].lstrip("/")
                local.parent.mkdir(parents=True, exist_ok=True)
                files.get_file(path, str(local))
            os.rename(draft, target)
        except OSError:
            # Somebody else fetched the same first: theirs is as good.
            if not target.is_dir():
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return target
