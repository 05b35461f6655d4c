"""Where exported folders go: a folder of this machine, an object store, repositories of the Hugging Face hub.

A task's folder appears whole or not at all, and takes the place of another one only where that is asked for.
"""

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from data_contracts.errors import InputError

HUB = "hf://"
# Nothing loads a folder that lacks it, so on an object store it comes last and goes first.
CONFIG = "config.json"
ALWAYS_THERE = (".gitattributes",)


def places_of(output: str, tasks: Sequence[str], one: bool) -> dict[str, str]:
    """Where each task goes: a folder below the output, or a repository of the hub, called as given for `one` task."""
    if not output.startswith(HUB):
        return {task: f"{output.rstrip('/')}/{task}" for task in tasks}
    if output.removeprefix(HUB).count("/") != 1:
        raise InputError(f"--output {output} is no repository of the hub; give hf://owner/name")
    return {task: output if one else f"{output}-{task}" for task in tasks}


def check_places(places: dict[str, str], force: bool) -> None:
    """Raises InputError, naming all of them, where places hold something and are not to be replaced."""
    taken = [place for place in places.values() if not force and _is_taken(place)]
    if taken:
        raise InputError(
            f"{', '.join(taken)} is not empty. Choose another --output, or replace what is there with --force."
        )


def deliver(folder: Path, place: str) -> None:
    """Puts the folder there, in the place of what may be there. Raises InputError where that cannot be done."""
    with _readable_errors(place):
        if place.startswith(HUB):
            _to_hub(folder, place.removeprefix(HUB))
        elif "://" in place:
            _to_object_store(folder, place)
        else:
            _to_disk(folder, Path(place))


def _is_taken(place: str) -> bool:
    with _readable_errors(place):
        if place.startswith(HUB):
            return any(name not in ALWAYS_THERE for name in _files_on_hub(place.removeprefix(HUB)))
        if "://" in place:
            files, base = fsspec.core.url_to_fs(place, use_listings_cache=False)
            return bool(files.find(base))
        path = Path(place)
        return path.exists() and (not path.is_dir() or any(path.iterdir()))


def _to_disk(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, for a rename is whole only within one disk.
    draft, old = (target.with_name(f".{target.name}.{uuid.uuid4().hex}") for _ in range(2))
    try:
        shutil.copytree(folder, draft)
        if target.exists():
            os.rename(target, old)
        os.rename(draft, target)
    except OSError:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise
    finally:
        for path in (draft, old):
            _remove(path)


def _remove(path: Path) -> None:
    """Takes away a folder, or the file or link that was in its place; what a link leads to stays."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _to_object_store(folder: Path, place: str) -> None:
    files, base = fsspec.core.url_to_fs(place, use_listings_cache=False)
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    before = [str(path) for path in files.find(base)]
    if f"{base}/{CONFIG}" in before:
        files.rm_file(f"{base}/{CONFIG}")
    sent = []
    try:
        for name in sorted(names, key=lambda name: (name == CONFIG, name)):
            sent.append(f"{base}/{name}")
            files.put_file(str(folder / name), f"{base}/{name}")
    except BaseException:
        for path in sent:
            if files.exists(path):
                files.rm_file(path)
        raise
    for path in before:
        if path not in sent:
            files.rm_file(path)


def _to_hub(folder: Path, repository: str) -> None:
    """One commit, which the hub takes whole."""
    api = _hub()
    api.create_repo(repository, repo_type="model", exist_ok=True)
    api.upload_folder(
        repo_id=repository,
        repo_type="model",
        folder_path=str(folder),
        commit_message="Model exported by graft",
        delete_patterns="*",
    )


def _files_on_hub(repository: str) -> list[str]:
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return list(_hub().list_repo_files(repository, repo_type="model"))
    except RepositoryNotFoundError:
        return []


def _hub() -> Any:
    from huggingface_hub import HfApi

    return HfApi()


@contextmanager
def _readable_errors(place: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        # The hub's client and each of fsspec's back ends have error classes of their own.
        raise InputError(
            f"{place} cannot be written: {type(error).__name__}: {error}. Check the address and the credentials "
            "(AWS_* variables for s3://, `hf auth login` or HF_TOKEN for hf://)."
        ) from error
