"""What `graft models`, `rollback` and `promote` say, on a real database and store."""

import getpass
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_contracts.artifacts import TrainedModel
from flows.__main__ import app
from tasks.registry.task_versions import open_registry
from tests.unit.registry.release_process import opponent_in, release

ROOT = Path(__file__).parents[3]
SHOWN = CliRunner()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, trained_model: Callable[[str], TrainedModel]) -> Path:
    """A home in which `support` has versions 1 and 2, of which the second is champion."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFT_HOME", str(folder))
        registry = open_registry("support")
        for letter in "ab":
            release(registry, trained_model(letter * 64), opponent_in(registry))
    return folder


@pytest.fixture
def graft(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Runs a command, and gives the lines that it wrote."""
    monkeypatch.setenv("GRAFT_HOME", str(home))
    monkeypatch.setenv("LOGNAME", "ann")

    def run(*arguments: str) -> list[str]:
        return SHOWN.invoke(app, list(arguments)).output.splitlines()

    return run


def test_versions_their_history_a_rollback_and_a_promotion_by_hand(graft: Callable[..., list[str]]) -> None:
    listed = [line.split() for line in graft("models", "support") if line.strip()]
    assert [row[:3] for row in listed[2:]] == [["2", "champion", "PROMOTE"], ["1", "previous", "PROMOTE"]]
    assert graft("rollback", "support", "--dry-run") == [
        "support: version 1 would be champion again, version 2 `previous`"
    ]
    assert graft("rollback", "support", "--reason", "tags <b>suffer</b>") == [
        "support: version 1 is champion again, version 2 is now `previous`"
    ]
    assert graft("promote", "support", "2", "--reason", "it was the [data]", "--by", "ben") == [
        "support: version 2 is champion; version 1 is now `previous`. Kept: override by ben: it was the [data]"
    ]
    history = [line for line in graft("models", "support", "--history") if line.strip()]
    today = f"{datetime.now(UTC):%Y}"
    assert [line.split()[0] for line in history[2:]] == ["4", "3", "2", "1"]
    newest, rolled_back, promoted, first = (line.split()[1:] for line in history[2:])
    assert newest[0].startswith(today)
    assert newest[2:] == ["override", "2", "1", "ben", "it", "was", "the", "[data]"]
    assert rolled_back[2:] == ["rollback", "1", "2", "ann", "tags", "<b>suffer</b>"]
    assert promoted[2:] == ["promote", "2", "1", "the", "gate", "so"]
    assert first[2:] == ["promote", "1", "the", "gate", "so"]
    why = [line for line in graft("models", "support") if line.strip()][2]
    assert why.rstrip().endswith("override by ben: it was the [data]")


@pytest.mark.parametrize(
    ("arguments", "shown", "needed"),
    [
        (["models", "support", "--history"], "the gate", []),
        # The versions lie in MLflow, which alone takes seconds.
        (["models", "support"], "champion", ["mlflow"]),
        (["rollback", "support", "--dry-run"], "would be champion again", ["mlflow"]),
    ],
    ids=["history", "models", "rollback"],
)
def test_a_command_about_versions_imports_no_library_that_takes_long_and_that_it_can_do_without(
    home: Path, arguments: list[str], shown: str, needed: list[str]
) -> None:
    script = (
        f"import sys\nfrom flows.__main__ import app\napp({arguments!r}, standalone_mode=False)\n"
        "print([name for name in ('mlflow', 'prefect', 'torch') if name in sys.modules])"
    )
    environment = {**os.environ, "GRAFT_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    *_, imported = done.stdout.splitlines()
    assert shown in done.stdout
    assert imported == str(needed)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("rollback", "support", "--to", "9"), "pipeline support has no version 9; its versions are 1, 2"),
        (("promote", "support", "7", "--reason", "why not"), "pipeline support has no version 7"),
        (("promote", "support", "1", "--reason", " "), "needs a reason"),
        (("promote", "support", "1"), "--reason"),
    ],
)
def test_a_mistake_is_answered_with_one_message_and_changes_nothing(
    graft: Callable[..., list[str]], arguments: tuple[str, ...], shown: str
) -> None:
    before = graft("models", "support", "--history")
    assert shown in "\n".join(graft(*arguments))
    assert graft("models", "support", "--history") == before


def test_where_the_system_does_not_know_who_somebody_is_a_name_is_asked_for(
    graft: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert "give your name with --by" in "\n".join(graft("rollback", "support", "--dry-run"))
    assert "would be champion again" in "\n".join(graft("rollback", "support", "--dry-run", "--by", "ben"))


def test_the_commands_are_listed_without_what_only_running_one_takes() -> None:
    libraries = ("pydantic", "prefect", "numpy", "pyarrow", "torch", "mlflow")
    script = f"import sys, flows.__main__\nprint([name for name in {libraries} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
