"""The store in a bucket, over real HTTP: the manifest makes a directory, and what was altered is noticed."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from data_contracts.errors import InputError
from tasks.storage.store import Store, digest_of

ROOT = Path(__file__).resolve().parents[3]
FILES = {"facts.json": "{}", "model/weights.txt": "1 2 3"}


@pytest.fixture
def s3(s3_bucket: str) -> Any:
    import boto3

    return boto3.client("s3")


class Machine:
    """A machine with an empty cache, on which the store of the bucket is opened."""

    def __init__(self, cache: Path, bucket: str) -> None:
        self.cache = cache
        self.store = Store(f"s3://{bucket}/graft", cache=cache)

    def publish(self, files: dict[str, str]) -> str:
        with self.store.draft() as draft:
            for name, text in files.items():
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                (draft / name).write_text(text, encoding="utf-8")
            return self.store.publish(draft)

    def fetch(self, digest: str) -> dict[str, str]:
        folder = self.store.directory(digest)
        return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def here(tmp_path: Path, s3_bucket: str) -> Machine:
    return Machine(tmp_path / "here", s3_bucket)


@pytest.fixture
def there(tmp_path: Path, s3_bucket: str) -> Machine:
    return Machine(tmp_path / "there", s3_bucket)


def keys_of(s3: Any, bucket: str) -> list[str]:
    return sorted(entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", []))


def test_what_one_machine_publishes_another_fetches_once_into_its_empty_cache(
    here: Machine, there: Machine, s3: Any, s3_bucket: str
) -> None:
    digest = here.publish(FILES)
    assert keys_of(s3, s3_bucket) == [
        f"graft/objects/{digest}.json",
        f"graft/objects/{digest}/facts.json",
        f"graft/objects/{digest}/model/weights.txt",
    ]
    assert there.store.holds(digest)
    assert there.fetch(digest) == here.fetch(digest) == FILES
    for key in keys_of(s3, s3_bucket):
        s3.delete_object(Bucket=s3_bucket, Key=key)
    assert there.fetch(digest) == FILES


def test_publishing_twice_writes_once(here: Machine, there: Machine, s3: Any, s3_bucket: str) -> None:
    digest = here.publish(FILES)
    s3.put_object(Bucket=s3_bucket, Key=f"graft/objects/{digest}/facts.json", Body=b"marked")
    assert there.publish(FILES) == digest
    assert s3.get_object(Bucket=s3_bucket, Key=f"graft/objects/{digest}/facts.json")["Body"].read() == b"marked"


def test_a_process_killed_between_two_uploads_leaves_no_manifest_and_so_no_directory(
    here: Machine, there: Machine, s3: Any, s3_bucket: str
) -> None:
    script = f"""
import os, signal
from pathlib import Path
from tasks.storage.store import Store
store = Store({here.store.root!r}, cache=Path({str(here.cache)!r}))
put, done = store._files.put_file, []
store._files.put_file = lambda *names: os.kill(os.getpid(), signal.SIGKILL) if done else done.append(put(*names))
with store.draft() as draft:
    (draft / "a").write_text("1")
    (draft / "b").write_text("2")
    store.publish(draft)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    digest = digest_of({name: hashlib.sha256(text).hexdigest() for name, text in (("a", b"1"), ("b", b"2"))})
    assert keys_of(s3, s3_bucket) == [f"graft/objects/{digest}/a"]
    assert not there.store.holds(digest)
    with pytest.raises(InputError, match=rf"s3://{s3_bucket}/graft holds no directory {digest[:12]}"):
        there.fetch(digest)
    assert there.publish({"a": "1", "b": "2"}) == digest
    assert here.fetch(digest) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("change", ["altered", "deleted"])
def test_an_object_that_is_not_what_was_published_is_refused_and_not_kept(
    here: Machine, there: Machine, s3: Any, s3_bucket: str, change: str
) -> None:
    digest = here.publish(FILES)
    key = f"graft/objects/{digest}/model/weights.txt"
    if change == "altered":
        s3.put_object(Bucket=s3_bucket, Key=key, Body=b"1 2 4")
    else:
        s3.delete_object(Bucket=s3_bucket, Key=key)
    for _ in range(2):
        with pytest.raises(InputError, match=r"weights\.txt was altered or deleted .* Delete .*\.json, too, and run"):
            there.fetch(digest)
    # The remedy that the message names.
    s3.delete_object(Bucket=s3_bucket, Key=f"graft/objects/{digest}.json")
    assert not there.store.holds(digest)
    there.publish(FILES)
    assert there.fetch(digest) == FILES


def test_the_cache_of_one_bucket_does_not_speak_for_another(tmp_path: Path, here: Machine, s3: Any) -> None:
    digest = here.publish(FILES)
    s3.create_bucket(Bucket="another-bucket")
    other = Machine(tmp_path / "here", "another-bucket")
    assert not other.store.holds(digest)
    assert other.publish(FILES) == digest
    assert len(keys_of(s3, "another-bucket")) == 3


def test_notes_are_seen_by_every_machine_as_they_are_written(
    here: Machine, there: Machine, s3: Any, s3_bucket: str
) -> None:
    assert there.store.note_names("ledger/support") == []
    assert there.store.read_note("ledger/support/a") is None
    here.store.write_note("ledger/support/a", {"started_by": None})
    assert there.store.read_note("ledger/support/a") == {"started_by": None}
    here.store.write_note("ledger/support/a", {"started_by": "a flow run"})
    here.store.write_note("ledger/support/b", 1)
    assert there.store.read_note("ledger/support/a") == {"started_by": "a flow run"}
    assert there.store.note_names("ledger/support") == ["ledger/support/a", "ledger/support/b"]
    # Another process, of whose writing the file system in this one knows nothing.
    s3.put_object(Bucket=s3_bucket, Key="graft/notes/ledger/support/c.json", Body=b"[2]")
    assert there.store.note_names("ledger/support")[2:] == ["ledger/support/c"]
    assert there.store.read_note("ledger/support/c") == [2]


def test_a_bucket_that_does_not_exist_or_may_not_be_entered_is_named(
    tmp_path: Path, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    with pytest.raises(InputError, match=r"the store s3://no-such-bucket/graft cannot be used: .* bucket does not"):
        Machine(tmp_path, "no-such-bucket").publish(FILES)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    s3fs.S3FileSystem.clear_instance_cache()
    stranger = Machine(tmp_path, s3_bucket).store
    with pytest.raises(InputError, match=r"cannot be used: NoCredentialsError.* Check GRAFT_STORE, .* credentials"):
        stranger.read_note("ledger/a")
    with pytest.raises(InputError, match=r"NoCredentialsError"):
        stranger.holds("0" * 64)


def test_a_note_is_created_by_one_machine_and_seen_by_the_other(here: Machine, there: Machine) -> None:
    assert here.store.create_note("promotions/shop/000001", {"version": 1})
    assert not there.store.create_note("promotions/shop/000001", {"version": 2})
    assert there.store.read_note("promotions/shop/000001") == {"version": 1}
    assert there.store.note_names("promotions/shop") == ["promotions/shop/000001"]
    assert there.store.create_note("promotions/shop/000002", {"version": 2})


def test_a_note_whose_creation_was_answered_late_and_sent_again_was_created(here: Machine) -> None:
    put = here.store._files.pipe_file

    def put_twice(path: str, value: bytes, **how: Any) -> None:
        put(path, value, **how)
        put(path, value, **how)

    here.store.create_note("other", 0)
    here.store._files.pipe_file = put_twice
    try:
        assert here.store.create_note("promotions/shop/000001", {"id": "mine"})
        assert not here.store.create_note("promotions/shop/000001", {"id": "theirs"})
    finally:
        del here.store._files.pipe_file


def test_a_store_that_replaces_what_a_conditional_write_has_to_leave_is_refused(here: Machine) -> None:
    put = here.store._files.pipe_file
    # A server that does not know If-None-Match takes every write.
    here.store._files.pipe_file = lambda path, value, **_: put(path, value)
    try:
        with pytest.raises(InputError, match=r"If-None-Match.*two runs could promote at once.*AWS S3, MinIO"):
            here.store.create_note("promotions/shop/000001", 1)
    finally:
        del here.store._files.pipe_file
    assert here.store.note_names("promotions/shop") == []
