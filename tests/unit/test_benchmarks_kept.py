"""What benchmarks keep from one run for the next."""

import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring import environment_of


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for them, in which any package can be installed."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0)

    create = venv.create
    monkeypatch.setattr("benchmarks.measuring.ENVIRONMENTS", tmp_path)
    monkeypatch.setattr("benchmarks.measuring.venv.create", lambda folder, with_pip, clear: create(folder, clear=clear))
    monkeypatch.setattr("benchmarks.measuring.subprocess.run", run)
    return tmp_path


def test_an_environment_is_made_once(environments: Path) -> None:
    python = environment_of("peer", ["a-package-that-nobody-made==1"])
    made = Path(python).lstat().st_mtime_ns
    assert environment_of("peer", ["a-package-that-nobody-made==1"]) == python
    assert Path(python).lstat().st_mtime_ns == made


def test_an_environment_whose_making_was_interrupted_is_made_anew(
    environments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("benchmarks.measuring.subprocess.run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            environment_of("peer", ["a-package-that-nobody-made==1"])
    (half,) = environments.iterdir()
    (half / "left behind").touch()
    python = environment_of("peer", ["a-package-that-nobody-made==1"])
    assert Path(python).is_relative_to(half)
    assert not (half / "left behind").exists()


def test_other_packages_or_another_installation_of_graft_have_an_environment_of_their_own(
    environments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = environment_of("peer", ["a-package-that-nobody-made==1"])
    assert environment_of("peer", ["a-package-that-nobody-made==2"]) != one
    monkeypatch.setattr("benchmarks.measuring.sys.path", ["/elsewhere/site-packages"])
    assert environment_of("peer", ["a-package-that-nobody-made==1"]) != one
