"""Where exported folders go: a disk, a bucket over real HTTP, and the hub up to the call."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from data_contracts.errors import InputError
from tasks.registry import destinations
from tasks.registry.destinations import CONFIG, check_places, deliver, places_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An exported folder."""
    made = tmp_path / "made"
    (made / "more").mkdir(parents=True)
    for name in (CONFIG, "a.txt", "model.safetensors", "more/z.txt"):
        (made / name).write_text(f"new {name}", encoding="utf-8")
    return made


@pytest.fixture(params=["disk", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    bucket = request.getfixturevalue("s3_bucket") if request.param == "bucket" else None
    return f"s3://{bucket}/models" if bucket else str(tmp_path / "models")


def content(place: str) -> dict[str, str]:
    files, base = fsspec.core.url_to_fs(place, use_listings_cache=False)
    return {str(path)[len(base) + 1 :]: files.cat_file(path).decode() for path in files.find(base)}


def put(place: str, text: str) -> None:
    files, path = fsspec.core.url_to_fs(place, use_listings_cache=False)
    files.makedirs(path.rpartition("/")[0], exist_ok=True)
    files.pipe_file(path, text.encode())


WHOLE = {name: f"new {name}" for name in (CONFIG, "a.txt", "model.safetensors", "more/z.txt")}


def test_each_task_goes_into_a_folder_of_the_output_and_on_the_hub_into_a_repository() -> None:
    assert places_of("out/", ["a", "b"], one=False) == {"a": "out/a", "b": "out/b"}
    assert places_of("s3://bucket/m", ["a"], one=True) == {"a": "s3://bucket/m/a"}
    assert places_of("hf://me/m", ["a", "b"], one=False) == {"a": "hf://me/m-a", "b": "hf://me/m-b"}
    assert places_of("hf://me/m", ["a"], one=True) == {"a": "hf://me/m"}
    with pytest.raises(InputError, match="no repository of the hub"):
        places_of("hf://me", ["a"], one=True)


def test_a_folder_arrives_whole_and_is_then_in_the_way_of_another(folder: Path, root: str) -> None:
    places = {"a": f"{root}/a", "b": f"{root}/b"}
    check_places(places, force=False)
    deliver(folder, places["a"])
    assert content(places["a"]) == WHOLE
    with pytest.raises(InputError, match=r"models/a is not empty.*--force"):
        check_places(places, force=False)
    check_places(places, force=True)


def test_a_folder_that_is_replaced_keeps_nothing_of_the_one_before(folder: Path, root: str) -> None:
    for name in ("old.txt", CONFIG, "more/old.txt"):
        put(f"{root}/a/{name}", "old")
    deliver(folder, f"{root}/a")
    assert content(f"{root}/a") == WHOLE
    assert list(content(root)) == [f"a/{name}" for name in sorted(WHOLE)]


def test_an_empty_folder_is_no_obstacle(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / "a").mkdir(parents=True)
    check_places({"a": str(tmp_path / "models" / "a")}, force=False)
    deliver(folder, str(tmp_path / "models" / "a"))
    assert content(str(tmp_path / "models" / "a")) == WHOLE


def test_a_disk_that_fails_in_the_middle_leaves_what_was_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{tmp_path}/models/a/old.txt", "old")
    rename = destinations.os.rename

    def failing(source: Path, target: Path) -> None:
        if target.name == "a" and (source / "a.txt").exists():
            raise OSError("disk full")
        rename(source, target)

    monkeypatch.setattr(destinations.os, "rename", failing)
    with pytest.raises(InputError, match=r"models/a cannot be written: OSError: disk full"):
        deliver(folder, f"{tmp_path}/models/a")
    assert content(f"{tmp_path}/models") == {"a/old.txt": "old"}


def test_a_bucket_that_fails_in_the_middle_is_left_without_a_part_of_the_folder(
    folder: Path, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    sent: list[str] = []
    put_file: Callable[..., Any] = s3fs.S3FileSystem.put_file

    def failing(self: Any, source: str, target: str, **settings: Any) -> None:
        sent.append(target)
        if len(sent) == 3:
            raise OSError("connection lost")
        put_file(self, source, target, **settings)

    monkeypatch.setattr(s3fs.S3FileSystem, "put_file", failing)
    place = f"s3://{s3_bucket}/models/a"
    with pytest.raises(InputError, match=r"connection lost.*AWS_"):
        deliver(folder, place)
    assert content(place) == {}
    sent.clear()
    monkeypatch.setattr(s3fs.S3FileSystem, "put_file", lambda *given, **more: sent.append(given[2]))
    deliver(folder, place)
    assert [name.rpartition("/")[2] for name in sent] == ["a.txt", "model.safetensors", "z.txt", CONFIG]


def test_a_bucket_that_is_not_there_is_an_error_that_says_what_to_check(folder: Path, s3_bucket: str) -> None:
    with pytest.raises(InputError, match=r"s3://no-such-bucket/a cannot be written.*Check the address"):
        deliver(folder, "s3://no-such-bucket/a")


class Hub:
    """What the hub's client is asked, in place of asking the hub."""

    def __init__(self, files: list[str] | None) -> None:
        self.files, self.asked = files, []  # type: tuple[list[str] | None, list[tuple[str, Any]]]

    def list_repo_files(self, repo_id: str, repo_type: str) -> list[str]:
        if self.files is None:
            import httpx
            from huggingface_hub.errors import RepositoryNotFoundError

            raise RepositoryNotFoundError("404", response=httpx.Response(404, request=httpx.Request("GET", "http://h")))
        return self.files

    def create_repo(self, repo_id: str, **settings: Any) -> None:
        self.asked.append((repo_id, settings))

    def upload_folder(self, **settings: Any) -> None:
        self.asked.append((settings["repo_id"], sorted(p.name for p in Path(settings["folder_path"]).iterdir())))


@pytest.mark.parametrize(("files", "taken"), [(None, False), ([".gitattributes"], False), ([CONFIG], True)])
def test_a_repository_of_the_hub_is_in_the_way_where_it_holds_a_model(
    monkeypatch: pytest.MonkeyPatch, files: list[str] | None, taken: bool
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: Hub(files))
    if taken:
        with pytest.raises(InputError, match="hf://me/m is not empty"):
            check_places({"a": "hf://me/m"}, force=False)
    check_places({"a": "hf://me/m"}, force=not files or taken)


def test_a_folder_goes_to_the_hub_in_one_commit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(None)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    deliver(folder, "hf://me/m")
    assert hub.asked == [
        ("me/m", {"repo_type": "model", "exist_ok": True}),
        ("me/m", ["a.txt", CONFIG, "model.safetensors", "more"]),
    ]


def test_the_hub_is_asked_with_arguments_that_its_client_has() -> None:
    import inspect

    from huggingface_hub import HfApi

    assert {"repo_id", "repo_type", "folder_path", "commit_message", "delete_patterns"} <= set(
        inspect.signature(HfApi.upload_folder).parameters
    )
    assert {"repo_type", "exist_ok"} <= set(inspect.signature(HfApi.create_repo).parameters)


def test_a_file_or_a_link_in_the_way_is_replaced_and_leaves_nothing_behind(folder: Path, tmp_path: Path) -> None:
    output, own = tmp_path / "models", tmp_path / "own"
    output.mkdir()
    own.mkdir()
    (own / "notes.txt").write_text("kept", encoding="utf-8")
    (output / "a").write_text("a file", encoding="utf-8")
    (output / "b").symlink_to(own)
    for task in ("a", "b"):
        deliver(folder, str(output / task))
        assert content(str(output / task)) == WHOLE
    assert sorted(path.name for path in output.iterdir()) == ["a", "b"]
    assert (own / "notes.txt").read_text(encoding="utf-8") == "kept"
