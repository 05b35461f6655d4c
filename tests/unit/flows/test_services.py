"""Processes that `graft up` notes, and what `up` and `down` do with those that are not theirs, or serve another."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows import services
from flows.processes import Service, is_running, note_of, read_services, spawn, write_services
from tasks.storage.home import Home, open_home

IDLE = [sys.executable, "-c", "import time; time.sleep(600)"]
API = "http://127.0.0.1:4200/api"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return open_home()


@pytest.fixture
def idle(home: Home) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that does nothing, in a group of its own."""
    process = spawn(IDLE, home, "idle", detached=True)
    yield process
    process.kill()
    process.wait()


def test_down_stops_what_up_started(home: Home, idle: "subprocess.Popen[bytes]") -> None:
    write_services(home, {"worker-cpu": note_of("worker-cpu", idle, API)})
    said: list[str] = []
    services.down(home, said.append)
    assert said == ["worker-cpu: stopped"]
    assert idle.poll() is not None
    assert read_services(home) == {}


def test_a_process_that_has_the_number_of_one_that_is_gone_is_left_alone(
    home: Home, idle: "subprocess.Popen[bytes]"
) -> None:
    noted = replace(note_of("worker-cpu", idle, API), started="1")
    assert not is_running(noted)
    write_services(home, {"worker-cpu": noted})
    said: list[str] = []
    services.down(home, said.append)
    assert said == ["worker-cpu: was not running"]
    assert idle.poll() is None


def test_a_process_that_ended_does_not_run(home: Home, idle: "subprocess.Popen[bytes]") -> None:
    noted = note_of("worker-cpu", idle, API)
    assert is_running(noted)
    idle.kill()
    idle.wait()
    assert not is_running(noted)
    assert not is_running(Service("worker-cpu", idle.pid))
