"""The store on a disk: whole or not at all, also when the process dies or the disk is full."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_contracts.errors import InputError
from tasks.storage.home import open_home
from tasks.storage.store import STALE_DRAFT_SECONDS, Store, digest_of, readable_write_errors

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), cache=tmp_path / "unused")


def publish(store: Store, files: dict[str, str]) -> str:
    with store.draft() as draft:
        for name, text in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_text(text, encoding="utf-8")
        return store.publish(draft)


def content_of(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in folder.rglob("*") if p.is_file()}


def visible(store: Store) -> list[str]:
    objects = Path(store.root) / "objects"
    return sorted(path.name for path in objects.iterdir()) if objects.is_dir() else []


def run_python(script: str, store: Store) -> "subprocess.CompletedProcess[str]":
    """Runs a script in a process of its own, with `store` in it."""
    opening = (
        "import os, resource, signal\nfrom pathlib import Path\nfrom tasks.storage.store import Store\n"
        f"store = Store({store.root!r}, cache=Path('unused'))\n"
    )
    return subprocess.run(
        [sys.executable, "-c", opening + script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


FILES = {"model/weights.txt": "1 2 3", "facts.json": "{}"}


def test_what_was_published_is_found_under_its_digest(store: Store) -> None:
    digest = publish(store, FILES)
    assert store.holds(digest)
    assert content_of(store.directory(digest)) == FILES


def test_the_digest_is_the_sha256_over_names_and_their_sha256(store: Store) -> None:
    lines = b""
    for name in sorted(FILES):
        lines += f"{name}\0{hashlib.sha256(FILES[name].encode()).hexdigest()}\n".encode()
    assert publish(store, FILES) == hashlib.sha256(lines).hexdigest()


def test_names_and_bytes_make_the_digest_and_the_order_of_writing_does_not(store: Store) -> None:
    original = publish(store, FILES)
    assert publish(store, dict(reversed(FILES.items()))) == original
    assert publish(store, {**FILES, "facts.json": "{ }"}) != original
    assert publish(store, {"model/weights.txt": "1 2 3", "fact.json": "{}"}) != original
    # Without a separator these two would read alike.
    assert digest_of({"ab": "c"}) != digest_of({"a": "bc"})


def test_publishing_twice_is_once_and_leaves_no_draft(store: Store) -> None:
    digest = publish(store, FILES)
    written = {path: path.stat().st_mtime_ns for path in store.directory(digest).rglob("*")}
    assert publish(store, FILES) == digest
    assert visible(store) == [digest]
    assert {path: path.stat().st_mtime_ns for path in store.directory(digest).rglob("*")} == written
    assert list((Path(store.root) / "drafts").iterdir()) == []


def test_a_draft_that_ends_in_an_error_is_removed(store: Store) -> None:
    def stop_half_way() -> None:
        with store.draft() as draft:
            (draft / "half").write_text("x", encoding="utf-8")
            raise KeyError("no such column")

    with pytest.raises(KeyError, match="no such column"):
        stop_half_way()
    assert list((Path(store.root) / "drafts").iterdir()) == []
    assert visible(store) == []


def test_what_is_not_there_is_said_with_what_to_do(store: Store) -> None:
    with pytest.raises(InputError, match=r"holds no directory 000000000000: .* Run the pipeline again"):
        store.directory("0" * 64)
    assert not store.holds("0" * 64)


def test_a_process_killed_while_publishing_leaves_nothing_visible_and_the_rest_unharmed(store: Store) -> None:
    before = publish(store, FILES)
    # The kill comes at the last moment before the directory would be there.
    ended = run_python(
        "os.rename = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\n"
        "with store.draft() as draft:\n"
        "    (draft / 'half').write_text('x')\n"
        "    store.publish(draft)\n",
        store,
    )
    assert ended.returncode == -signal.SIGKILL
    assert visible(store) == [before]
    assert content_of(store.directory(before)) == FILES
    left = list((Path(store.root) / "drafts").iterdir())
    assert [content_of(folder) for folder in left] == [{"half": "x"}]
    again = publish(store, {"half": "x"})
    assert visible(store) == sorted([before, again])


def test_drafts_of_killed_processes_are_removed_after_a_day(store: Store) -> None:
    drafts = Path(store.root) / "drafts"
    ages = {"old": STALE_DRAFT_SECONDS + 60, "young": STALE_DRAFT_SECONDS - 60}
    for name, age in ages.items():
        (drafts / name).mkdir(parents=True)
        os.utime(drafts / name, (time.time() - age,) * 2)
    with store.draft():
        assert not (drafts / "old").exists()
        assert (drafts / "young").is_dir()


def test_a_draft_that_is_worked_in_for_days_stays(store: Store) -> None:
    with store.draft() as draft:
        os.utime(draft, (time.time() - STALE_DRAFT_SECONDS - 60,) * 2)
        # A watch of every day, in another process.
        script = "import sys; from pathlib import Path; from tasks.storage.store import Store\n" + (
            "with Store(sys.argv[1], cache=Path(sys.argv[1])).draft(): pass"
        )
        subprocess.run([sys.executable, "-c", script, store.root], check=True)
        (draft / "model").write_text("learnt", encoding="utf-8")
        digest = store.publish(draft)
    assert content_of(store.directory(digest)) == {"model": "learnt"}


def test_a_draft_that_another_process_ends_meanwhile_is_no_error(store: Store) -> None:
    drafts = Path(store.root) / "drafts"
    drafts.mkdir(parents=True)
    # Like a folder that is gone between listing and looking, a dangling link has no age.
    (drafts / "gone").symlink_to(drafts / "nowhere")
    assert store.holds(publish(store, FILES))


@pytest.mark.parametrize(
    "write",
    [
        "(draft / 'large').write_bytes(bytes(100_000))",
        "import pyarrow as pa, pyarrow.parquet as pq\n"
        "    pq.write_table(pa.table({'a': [os.urandom(50_000)]}), draft / 'large')",
    ],
    ids=["bytes", "parquet"],
)
def test_a_full_disk_is_readable_and_publishes_nothing(store: Store, write: str) -> None:
    before = publish(store, FILES)
    ended = run_python(
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "with store.draft() as draft:\n"
        "    (draft / 'small').write_text('x')\n"
        f"    {write}\n"
        "    store.publish(draft)\n",
        store,
    )
    last = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 1
    assert last.startswith("data_contracts.errors.InputError: ")
    assert "File too large. Nothing was published and what was there is unharmed; free some space" in last
    assert visible(store) == [before]
    assert content_of(store.directory(before)) == FILES
    assert list((Path(store.root) / "drafts").iterdir()) == []


def test_a_note_on_a_full_disk_stays_what_it_was(store: Store) -> None:
    store.write_note("steps/support/tokenize", {"key": "old"})
    ended = run_python(
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "store.write_note('steps/support/tokenize', 'x' * 100_000)\n",
        store,
    )
    assert "InputError" in ended.stderr.strip().splitlines()[-1]
    assert store.read_note("steps/support/tokenize") == {"key": "old"}
    assert [path.name for path in (Path(store.root) / "notes" / "steps" / "support").iterdir()] == ["tokenize.json"]


def test_a_note_whose_writer_is_killed_stays_what_it_was(store: Store) -> None:
    store.write_note("ledger/a", [1])
    ended = run_python(
        "os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\nstore.write_note('ledger/a', [2])\n", store
    )
    assert ended.returncode == -signal.SIGKILL
    assert store.read_note("ledger/a") == [1]
    assert store.note_names("ledger") == ["ledger/a"]


def test_notes_are_replaced_whole_and_listed_by_name(store: Store) -> None:
    assert store.read_note("steps/support/ingest") is None
    assert store.note_names("steps/support") == []
    store.write_note("steps/support/tokenize", {"runs": [1, 2]})
    store.write_note("steps/support/ingest", "é")
    store.write_note("steps/support/v1.2", 1)
    store.write_note("steps/other/ingest", 1)
    store.write_note("steps/support/tokenize", {"runs": [3]})
    assert store.read_note("steps/support/tokenize") == {"runs": [3]}
    assert store.read_note("steps/support/ingest") == "é"
    assert store.note_names("steps/support") == ["steps/support/ingest", "steps/support/tokenize", "steps/support/v1.2"]


def test_a_store_below_a_file_is_said_not_to_be_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    store = Store(str(tmp_path / "file"), cache=tmp_path)
    with pytest.raises(InputError, match=r"cannot be written: Not a directory\. Grant access, or set GRAFT_HOME"):
        publish(store, FILES)


def test_an_error_that_is_not_the_disks_fault_keeps_its_own_name() -> None:
    with pytest.raises(FileNotFoundError), readable_write_errors("here"):
        raise FileNotFoundError
    with pytest.raises(InputError, match=r"^here cannot be written: no\. Grant access"), readable_write_errors("here"):
        raise PermissionError(13, "no")


def test_a_file_elsewhere_that_may_not_be_written_is_not_said_to_be_the_draft(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(NotADirectoryError, match="other"), store.draft():
        (tmp_path / "file" / "other").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written: Not a directory"), store.draft() as draft:
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(draft / "file"))


def test_a_file_address_is_a_folder_on_this_machine(tmp_path: Path) -> None:
    store = Store(f"file://{tmp_path / 'store'}", cache=tmp_path / "unused")
    digest = publish(store, FILES)
    assert store.directory(digest) == tmp_path / "store" / "objects" / digest


def test_a_store_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the store ftq://host/x cannot be used: .* Check GRAFT_STORE"):
        Store("ftq://host/x", cache=tmp_path)


def test_everything_lies_below_the_home_unless_its_parts_are_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GRAFT_STORE", "MLFLOW_TRACKING_URI", "PREFECT_API_DATABASE_CONNECTION_URL"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "home"
    monkeypatch.setenv("GRAFT_HOME", str(root))
    home = open_home()
    assert root.is_dir()
    assert home.store_root == str(root / "store")
    assert home.tracking_uri == f"sqlite:///{root}/mlflow.db"
    assert home.prefect_database == f"sqlite+aiosqlite:///{root}/prefect/prefect.db"
    for folder in (home.results, home.curves, home.scratch, home.services):
        assert folder.is_relative_to(root)
    monkeypatch.setenv("GRAFT_STORE", "s3://bucket/graft")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert open_home().store_root == "s3://bucket/graft"
    assert open_home().tracking_uri == "http://tracking:5000"


def test_an_empty_variable_says_nothing_of_where_the_home_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("GRAFT_HOME", "GRAFT_STORE", "MLFLOW_TRACKING_URI", "PREFECT_API_DATABASE_CONNECTION_URL"):
        monkeypatch.setenv(variable, "")
    home = open_home()
    assert home.root == tmp_path / ".graft"
    assert home.store_root == str(tmp_path / ".graft" / "store")
    assert home.tracking_uri == f"sqlite:///{tmp_path / '.graft' / 'mlflow.db'}"
    assert home.prefect_database == f"sqlite+aiosqlite:///{tmp_path / '.graft' / 'prefect' / 'prefect.db'}"


def test_a_note_is_created_once_and_stays_what_it_was(store: Store) -> None:
    assert store.create_note("promotions/shop/000001", {"version": 1})
    assert not store.create_note("promotions/shop/000001", {"version": 2})
    assert store.read_note("promotions/shop/000001") == {"version": 1}
    # Who asks again for what it made has made it.
    assert store.create_note("promotions/shop/000001", {"version": 1})
    assert [path.name for path in (Path(store.root) / "notes" / "promotions" / "shop").iterdir()] == ["000001.json"]


def test_of_processes_that_create_one_note_at_once_one_succeeds(store: Store) -> None:
    # They start together: each waits for the file that lets them go.
    script = (
        "import os, time\nfrom pathlib import Path\nfrom tasks.storage.store import Store\n"
        f"store = Store({store.root!r}, cache=Path('unused'))\nprint('ready', flush=True)\n"
        f"while not os.path.exists({store.root + '-go'!r}): pass\n"
        "print(sum(store.create_note(f'race/{n}', os.getpid()) for n in range(200)))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    Path(store.root + "-go").touch()
    created = {process.pid: int(process.communicate(timeout=60)[0]) for process in processes}
    assert sum(created.values()) == 200
    winners = [store.read_note(f"race/{n}") for n in range(200)]
    assert {pid: winners.count(pid) for pid in created} == created


def test_a_note_whose_creator_is_killed_is_not_there_and_is_created_by_the_next(store: Store) -> None:
    ended = run_python(
        "os.link = lambda *names: os.kill(os.getpid(), signal.SIGKILL)\nstore.create_note('a/1', 1)", store
    )
    assert ended.returncode == -signal.SIGKILL
    assert store.note_names("a") == []
    assert store.create_note("a/1", 2)
    assert store.note_names("a") == ["a/1"]


def test_a_disk_without_hard_links_is_no_place_for_a_note_that_one_process_may_create(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(InputError, match=r"disk without hard links .* Set GRAFT_HOME or GRAFT_STORE"):
        store.create_note("a/1", 1)


def test_a_full_disk_is_told_by_whatever_error_a_library_has_for_it(store: Store) -> None:
    said = "Error while serializing: I/O error: No space left on device (os error 28)"
    with pytest.raises(InputError, match="No space left on device"), store.draft():
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="another"), store.draft():
        raise RuntimeError("another")
    with pytest.raises(InputError, match=r"^told before: No space left on device$"), store.draft():
        raise InputError("told before: No space left on device")
