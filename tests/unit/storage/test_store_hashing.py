"""Whether what was published still is what it was: on a disk, and in a bucket over real HTTP."""

from pathlib import Path

import pytest

from tasks.storage.store import Hashed, Store

FILES = {"facts.json": "{}", "model/weights.txt": "1 2 3"}


@pytest.fixture(params=["disk", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    bucket = request.getfixturevalue("s3_bucket") if request.param == "bucket" else None
    return Store(f"s3://{bucket}/graft" if bucket else str(tmp_path / "store"), cache=tmp_path / "cache")


def publish(store: Store, files: dict[str, str]) -> str:
    with store.draft() as draft:
        for name, text in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(text, encoding="utf-8")
        return store.publish(draft)


def place(store: Store, digest: str, name: str) -> str:
    return f"{store.root}/objects/{digest}/{name}"


def write(store: Store, path: str, text: str) -> None:
    store._files.pipe_file(path, text.encode())


def test_content_that_nobody_touched_has_its_digest(store: Store) -> None:
    digest = publish(store, FILES)
    assert store.hash_again(digest) == Hashed(digest, ())


def test_an_altered_a_missing_and_an_added_file_are_named(store: Store) -> None:
    digest = publish(store, FILES)
    write(store, place(store, digest, "model/weights.txt"), "1 2 4")
    found = store.hash_again(digest)
    assert found.digest not in (None, digest)
    assert found.altered == ("model/weights.txt",)
    write(store, place(store, digest, "more.txt"), "")
    assert store.hash_again(digest).altered == ("model/weights.txt", "more.txt")
    store._files.rm_file(place(store, digest, "facts.json"))
    assert store.hash_again(digest).altered == ("facts.json", "model/weights.txt", "more.txt")


def test_what_was_never_published_has_no_digest(store: Store) -> None:
    assert store.hash_again("0" * 64) == Hashed(None, ())


def test_without_a_list_of_what_was_published_only_the_digest_tells(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"), cache=tmp_path / "cache")
    digest = publish(store, FILES)
    (listed,) = (tmp_path / "store" / "manifests").iterdir()
    Path(place(store, digest, "facts.json")).write_text("[]", encoding="utf-8")
    for damage in ("not JSON", '{"facts.json": "0"}', "[1]"):
        listed.write_text(damage, encoding="utf-8")
        found = store.hash_again(digest)
        assert found.digest not in (None, digest)
        assert found.altered == ()
    listed.unlink()
    assert store.hash_again(digest).altered == ()


def test_a_copy_on_this_machine_does_not_hide_what_the_bucket_holds(s3_bucket: str, tmp_path: Path) -> None:
    store = Store(f"s3://{s3_bucket}/graft", cache=tmp_path / "cache")
    digest = publish(store, FILES)
    assert (store.directory(digest) / "facts.json").read_text() == "{}"
    write(store, place(store, digest, "facts.json"), "[]")
    assert store.hash_again(digest).altered == ("facts.json",)
