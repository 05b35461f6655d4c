"""Directories named by the sha256 of their content, on a disk or on an object store."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import fsspec

from data_contracts.errors import InputError

STALE_DRAFT_SECONDS = 86_400
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)


class Hashed(NamedTuple):
    """What a directory is by its content today: its digest, None where it is gone, and files unlike those published.

    Those are known by name as long as the list of what was published is itself unharmed.
    """

    digest: str | None
    altered: tuple[str, ...] = ()


class Store:
    """A store at `root`: a local folder, or any address fsspec can write to, such as `s3://bucket/prefix`.

    A directory appears whole or not at all. Locally it is renamed into place; on an object store a manifest is
    written last, and a directory without a manifest does not exist. `cache` holds what was fetched from there, each
    store's in a folder of its own. Every method raises InputError where the store cannot be reached or written.
    """

    def __init__(self, root: str, cache: Path) -> None:
        self.root = root.rstrip("/")
        self.remote = "://" in root and not root.startswith("file://")
        with self._reachable():
            # Other processes write to the store at any time, so a listing is not kept.
            self._files, self._base = fsspec.core.url_to_fs(self.root, use_listings_cache=False)
        here = cache / hashlib.sha256(self.root.encode()).hexdigest()[:16] if self.remote else Path(self._base)
        self._drafts, self._objects = here / "drafts", here / "objects"

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """An empty folder to work in. What is not published when the block ends is removed."""
        folder = self._drafts / uuid.uuid4().hex
        with readable_write_errors(str(folder)):
            folder.mkdir(parents=True)
            _remove_stale(self._drafts)
        held = _held(folder)
        try:
            with readable_write_errors(str(folder), of_others=False):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)

    def publish(self, draft: Path) -> str:
        """Make the draft visible under the digest of its content, which is returned. Publishing twice is once."""
        with self._reachable(), readable_write_errors(self.root):
            files = {path.relative_to(draft).as_posix(): path for path in sorted(draft.rglob("*")) if path.is_file()}
            entries = {name: _sha256(path) for name, path in files.items()}
            digest = digest_of(entries)
            if self.remote and not self._files.exists(self._manifest(digest)):
                for name, path in files.items():
                    self._files.put_file(str(path), f"{self._base}/objects/{digest}/{name}")
                with self._files.open(self._manifest(digest), "w") as manifest:
                    json.dump(entries, manifest)
            if not self.remote:
                self._keep_manifest(digest, entries)
            _move_into_place(draft, self._objects / digest)
        return digest

    def holds(self, digest: str) -> bool:
        """Whether the directory of that digest was published and is still there."""
        if (self._objects / digest).is_dir():
            return True
        with self._reachable():
            return self.remote and bool(self._files.exists(self._manifest(digest)))

    def directory(self, digest: str) -> Path:
        """A local folder with the content of that digest, fetched first where the store is remote.

        Raises InputError where the store does not hold it, or holds something else under that name.
        """
        local = self._objects / digest
        if local.is_dir():
            return local
        if not self.holds(digest):
            raise InputError(
                f"{self.root} holds no directory {digest[:12]}: it was deleted, or GRAFT_HOME or GRAFT_STORE points "
                "elsewhere. Run the pipeline again to make it anew."
            )
        with self._reachable(), self.draft() as folder:
            entries = json.loads(self._files.cat_file(self._manifest(digest)))
            for name, sha256 in entries.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):
                    self._files.get_file(f"{self._base}/objects/{digest}/{name}", str(target))
                if not target.is_file() or _sha256(target) != sha256:
                    raise InputError(
                        f"{self.root}/objects/{digest}/{name} was altered or deleted after it was published. "
                        f"Delete {self.root}/objects/{digest}.json, too, and run the pipeline again."
                    )
            _move_into_place(folder, local)
        return local

    def hash_again(self, digest: str) -> Hashed:
        """The digest that the content of that directory has today, from every byte where it is kept."""
        with self._reachable():
            found = self._remote_hashes(digest) if self.remote else self._local_hashes(digest)
            if found is None:
                return Hashed(None)
            published = self._published(digest)
        unlike = {name for name in found | published if found.get(name) != published.get(name)} if published else set()
        return Hashed(digest_of(found), tuple(sorted(unlike)))

    def _local_hashes(self, digest: str) -> dict[str, str] | None:
        folder = self._objects / digest
        if not folder.is_dir():
            return None
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}

    def _remote_hashes(self, digest: str) -> dict[str, str] | None:
        base = f"{self._base}/objects/{digest}"
        if not self._files.exists(self._manifest(digest)):
            return None
        hashes = {}
        for path in self._files.find(base):
            with self._files.open(path, "rb") as file:
                hashes[str(path)[len(base) + 1 :]] = hashlib.file_digest(file, "sha256").hexdigest()
        return hashes

    def _published(self, digest: str) -> dict[str, str]:
        """{file: sha256} as published; empty where nobody kept it, or it was altered itself."""
        path = self._manifest(digest) if self.remote else str(self._kept_manifest(digest))
        try:
            entries = json.loads(self._files.cat_file(path))
        except (FileNotFoundError, ValueError):
            return {}
        return entries if isinstance(entries, dict) and digest_of(entries) == digest else {}

    def read_note(self, name: str) -> Any | None:
        """The small JSON document of that name (`steps/support/tokenize`), or None."""
        with self._reachable(), suppress(FileNotFoundError):
            return json.loads(self._files.cat_file(self._note(name)))
        return None

    def write_note(self, name: str, content: Any) -> None:
        """Replace the document of that name, whole or not at all."""
        path, text = self._note(name), _as_json(content)
        with self._reachable(), readable_write_errors(path):
            if self.remote:
                self._files.pipe_file(path, text.encode())
                return
            with _note_draft(Path(path), text) as draft:
                os.replace(draft, path)

    def create_note(self, name: str, content: Any) -> bool:
        """Make the document of that name, whole; False where there is one already, which stays as it is.

        Of several processes that create one name at once, one is answered True. Content that is there already counts
        as created, so that a request whose answer was lost may be sent again. Raises InputError where the store cannot
        tell: an object store that does not know conditional writes (`If-None-Match`), a disk without hard links.
        """
        path, text = self._note(name), _as_json(content)
        with self._reachable(), readable_write_errors(path):
            if self.remote:
                self._require_conditional_writes()
                created = self._put_if_absent(path, text)
            else:
                created = _link_if_absent(Path(path), text)
        return created or self.read_note(name) == json.loads(text)

    def note_names(self, prefix: str) -> list[str]:
        """Names of the documents below `prefix`, sorted."""
        base = f"{self._base}/notes"
        with self._reachable():
            found = self._files.glob(f"{base}/{prefix}/*.json")
        return sorted(str(path)[len(base) :].lstrip("/").removesuffix(".json") for path in found)

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        """Turns a missing bucket, wrong credentials or a dead endpoint into an InputError."""
        try:
            yield
        except Exception as error:
            if isinstance(error, InputError) or not self.remote:
                raise
            # Each of fsspec's back ends has error classes of its own.
            raise InputError(
                f"the store {self.root} cannot be used: {type(error).__name__}: {error}. "
                "Check GRAFT_STORE, the endpoint and the credentials."
            ) from error

    def _require_conditional_writes(self) -> None:
        """Writes one note twice: a store that takes the second, too, takes no notice of the condition."""
        path = self._note("conditional-write")
        if self._put_if_absent(path, '"first"') and self._put_if_absent(path, '"second"'):
            self._files.rm_file(path)
            raise InputError(
                f"the store {self.root} replaces what a conditional write (If-None-Match: *) has to leave, so two runs "
                "could promote at once without seeing each other. Point GRAFT_STORE at a folder, or at a store with "
                "conditional writes: AWS S3, MinIO, Google Cloud Storage, Azure."
            )

    def _put_if_absent(self, path: str, text: str) -> bool:
        try:
            self._files.pipe_file(path, text.encode(), mode="create")
        except FileExistsError:
            return False
        return True

    def _note(self, name: str) -> str:
        return f"{self._base}/notes/{name}.json"

    def _manifest(self, digest: str) -> str:
        return f"{self._base}/objects/{digest}.json"

    def _kept_manifest(self, digest: str) -> Path:
        """Where a disk keeps it: not beside the directory, whose being there is what says that it was published."""
        return self._objects.parent / "manifests" / f"{digest}.json"

    def _keep_manifest(self, digest: str, entries: dict[str, str]) -> None:
        path = self._kept_manifest(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{uuid.uuid4().hex}.draft")
        draft.write_text(json.dumps(entries, indent=1, sort_keys=True), encoding="utf-8")
        os.replace(draft, path)


@contextmanager
def readable_write_errors(where: str, *, of_others: bool = True) -> Iterator[None]:
    """Turns a full disk, a quota or a folder that may not be written into an InputError that says what to do.

    Without those `of_others`, the errors of a file that lies elsewhere keep their own name, unless the disk is full.
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        elsewhere = error.filename is not None and not str(error.filename).startswith(where)
        refused = isinstance(error, PermissionError) or error.errno in NOT_WRITABLE
        if refused and (of_others or not elsewhere):
            raise InputError(
                f"{where} cannot be written: {error.strerror or error}. Grant access, or set GRAFT_HOME."
            ) from error
        if error.errno in FULL_DISK:
            raise _full(where, os.strerror(error.errno)) from error
        raise
    except Exception as error:
        # Libraries in other languages have error classes of their own, and say it in the system's words.
        said = next((words for words in map(os.strerror, FULL_DISK) if words in str(error)), None)
        if said is None:
            raise
        raise _full(where, said) from error


def _full(where: str, said: str) -> InputError:
    return InputError(
        f"{where}: {said}. Nothing was published and what was there is unharmed; free some space, or set GRAFT_HOME to "
        "another disk, and run again."
    )


def digest_of(entries: dict[str, str]) -> str:
    """One sha256 over names and their sha256, in the order of the names."""
    return hashlib.sha256("".join(f"{name}\0{entries[name]}\n" for name in sorted(entries)).encode()).hexdigest()


def _as_json(content: Any) -> str:
    return json.dumps(content, indent=1, sort_keys=True, default=str)


@contextmanager
def _note_draft(target: Path, text: str) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(f".{uuid.uuid4().hex}.draft")
    try:
        draft.write_text(text, encoding="utf-8")
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _link_if_absent(target: Path, text: str) -> bool:
    with _note_draft(target, text) as draft:
        try:
            # Unlike a rename, a link does not replace what is there; unlike open(..., "x"), it shows the text whole.
            os.link(draft, target)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            raise InputError(
                f"{target.parent} lies on a disk without hard links ({error.strerror}), which a note needs that only "
                "one process may create. Set GRAFT_HOME or GRAFT_STORE to another disk, or to an object store."
            ) from error
    return True


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move_into_place(draft: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(draft, target)
    except OSError:
        # Somebody else published the same content first: theirs is as good.
        if not target.is_dir():
            raise


def _held(folder: Path) -> int:
    """A file descriptor that holds the folder as in use, until it is closed or its process ends."""
    held = os.open(folder, os.O_RDONLY)
    # A disk without locks has drafts that are told by their age alone.
    with suppress(OSError):
        fcntl.flock(held, fcntl.LOCK_SH)
    return held


def _remove_stale(drafts: Path) -> None:
    """Removes drafts of processes that were killed: old ones that nobody holds, for a training may take days."""
    for folder in drafts.iterdir():
        # Another process may end its draft, and so remove it, at any moment.
        with suppress(FileNotFoundError, PermissionError):
            if time.time() - folder.stat().st_mtime > STALE_DRAFT_SECONDS and not _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _in_use(folder: Path) -> bool:
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(held)
    return False
