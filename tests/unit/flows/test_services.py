"""Processes that `graft up` notes, and what `up` and `down` do with those that are not theirs, or serve another."""

import errno
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from data_contracts.errors import InputError
from flows import services
from flows.__main__ import app
from flows.deployments import Scheduled, scheduled
from flows.pipeline import PIPELINES
from flows.processes import Service, is_alive, is_running, note_of, read_services, spawn, write_services
from flows.server import free_port, running_server
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


def test_down_closes_runs_that_its_workers_were_at_before_it_stops_the_server(
    home: Home, idle: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    server = spawn(IDLE, home, "server", detached=True)
    write_services(home, {"server": note_of("server", server, API), "worker-cpu": note_of("worker-cpu", idle, API)})
    monkeypatch.setattr(services, "answers", lambda url: True)
    monkeypatch.setattr(services, "configure_environment", lambda home, url: None)
    worker_and_server = idle.pid, server.pid
    monkeypatch.setattr(services, "close_dead_runs", lambda why: [f"retrain {[*map(is_alive, worker_and_server)]}"])
    said: list[str] = []
    services.down(home, said.append)
    assert said == [
        "worker-cpu: stopped",
        "run: retrain [False, True] ended unfinished, because `graft down` stopped its worker",
        "server: stopped",
    ]
    assert not is_alive(server.pid)


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
    assert is_running(Service("worker-cpu", idle.pid)), "a note from before that starts were noted"
    idle.kill()
    idle.wait()
    assert not is_running(noted)


@pytest.mark.parametrize("text", ['{"server": {"name": "ser', "[]", '{"server": {"pid": 4}}', '{"server": 4}'])
def test_a_note_of_processes_that_is_broken_is_named_with_what_to_do(home: Home, text: str) -> None:
    write_services(home, {})
    note = home.services / "services.json"
    note.write_text(text, encoding="utf-8")
    for command in ("up", "down"):
        refused = CliRunner().invoke(app, [command])
        assert refused.exit_code == 2
        assert f"{note} cannot be read" in refused.output
        assert "delete the file" in refused.output
    assert note.read_text(encoding="utf-8") == text


def test_an_address_of_the_server_that_is_empty_is_none(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "")
    assert running_server(home) is None
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    with pytest.raises(InputError, match="no Prefect server answers there"):
        running_server(home)


def test_a_home_that_is_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "home"
    file.write_text("", encoding="utf-8")
    monkeypatch.setenv("GRAFT_HOME", str(file))
    refused = CliRunner().invoke(app, ["down"])
    assert refused.exit_code == 2
    assert f"{file} is no folder. Set GRAFT_HOME to one" in refused.output


@pytest.mark.parametrize("command", [["up"], ["down"], ["run", "support"]])
def test_a_home_that_may_not_be_written_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        if path != home.root:
            raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2, refused.output
    assert f"{home.root} cannot be written: Read-only file system. Grant access, or set GRAFT_HOME." in refused.output


@pytest.fixture
def started(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """What `up` started instead of workers; the pools and deployments of the server that it finds are settled."""
    found: list[subprocess.Popen[bytes]] = []

    def start(*worker: object) -> "subprocess.Popen[bytes]":
        found.append(spawn(IDLE, home, "idle", detached=True))
        return found[-1]

    monkeypatch.setattr(services, "start_worker", start)
    monkeypatch.setattr(services, "running_server", lambda home: API)
    monkeypatch.setattr(services, "configure_environment", lambda home, url: None)
    monkeypatch.setattr(services, "ensure_pools", lambda names: [])
    monkeypatch.setattr(services, "scheduled_already", lambda content: [])
    monkeypatch.setattr(services, "deploy", lambda content, pipelines, folder: ([of.name for of in pipelines], []))
    monkeypatch.setattr(services, "gpu_count", lambda: 0)
    yield found
    for process in found:
        process.kill()
        process.wait()


def test_a_worker_of_the_server_in_use_is_left_as_it_is(home: Home, started: list["subprocess.Popen[bytes]"]) -> None:
    services.up(home, 4200, [], print)
    before = read_services(home)
    assert [name for name in before if before[name].url == API] == ["worker-cpu", "worker-gpu-0"]
    services.up(home, 4200, [], print)
    assert read_services(home) == before
    assert len(started) == 2


def test_beside_a_server_of_its_own_up_closes_runs_that_have_begun_and_have_no_process_any_more(
    home: Home,
    started: list["subprocess.Popen[bytes]"],
    idle: "subprocess.Popen[bytes]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def close(why: str, states: list[str]) -> list[str]:
        asked.extend(states)
        return ["retrain of shop"]

    monkeypatch.setattr(services, "close_dead_runs", close)
    said: list[str] = []
    services.up(home, 4200, [], said.append)
    assert asked == [], "the workers of a server that others started may be on other machines"
    write_services(home, read_services(home) | {"server": note_of("server", idle, API)})
    services.up(home, 4200, [], said.append)
    assert asked == ["RUNNING"]
    assert "run: retrain of shop ended unfinished, because its process is gone" in said


def test_of_two_that_are_started_at_once_the_second_waits_and_finds_what_the_first_has_started(
    home: Home, started: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "ensure_pools", lambda names: time.sleep(0.5) or [])
    said: list[str] = []
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda _: services.up(home, 4200, [], said.append), range(2)))
    assert len(started) == 2
    assert len([line for line in said if "another `graft up` or `graft down` is at work" in line]) == 1
    assert {"worker-cpu: found", "worker-gpu-0: found"} < set(said)


def test_a_worker_that_asks_an_earlier_address_for_work_is_started_anew(
    home: Home, started: list["subprocess.Popen[bytes]"], idle: "subprocess.Popen[bytes]"
) -> None:
    services.up(home, 4200, [], print)
    before = read_services(home)
    elsewhere = note_of("worker-cpu", idle, "http://127.0.0.1:4999/api")
    started[0].kill()
    write_services(home, before | {"worker-cpu": elsewhere})
    said: list[str] = []
    services.up(home, 4200, [], said.append)
    assert said[1] == "worker-cpu: stopping the one that asks http://127.0.0.1:4999 for work ..."
    assert said[-2:] == ["worker-cpu: started", "worker-gpu-0: found"]
    assert idle.poll() is not None
    after = read_services(home)
    assert after["worker-gpu-0"] == before["worker-gpu-0"]
    assert (after["worker-cpu"].url, after["worker-cpu"].pid) == (API, started[2].pid)


def test_a_server_that_is_started_anew_has_the_port_of_last_time_and_runs_of_stopped_workers_are_over(
    home: Home, started: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    ports: list[int] = []
    lives: list[bool] = []

    def start(home: Home, port: int, *, detached: bool) -> "subprocess.Popen[bytes]":
        ports.append(port)
        started.append(spawn(IDLE, home, "idle", detached=True))
        return started[-1]

    def close(why: str) -> list[str]:
        lives.append(worker.poll() is None)
        return []

    monkeypatch.setattr(services, "running_server", lambda home: None)
    monkeypatch.setattr(services, "start_server", start)
    monkeypatch.setattr(services, "wait_for_server", lambda url, process, home: None)
    monkeypatch.setattr(services, "close_dead_runs", close)
    monkeypatch.setattr(services, "_is_taken", lambda port: False)
    worker = spawn(IDLE, home, "idle", detached=True)
    started.append(worker)
    write_services(home, {"worker-cpu": note_of("worker-cpu", worker, "http://127.0.0.1:4999/api")})
    services.up(home, None, [], print)
    services.up(home, 4321, [], print)
    services.down(home, print)
    services.up(home, None, [], print)
    assert ports == [4200, 4321, 4321]
    assert lives[0] is False


def test_a_server_that_does_not_come_up_is_stopped(
    home: Home, idle: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*server: object) -> None:
        raise RuntimeError("the Prefect server did not come up")

    monkeypatch.setattr(services, "configure_environment", lambda home, url: None)
    monkeypatch.setattr(services, "start_server", lambda home, port, detached: idle)
    monkeypatch.setattr(services, "wait_for_server", never)
    with pytest.raises(RuntimeError, match="did not come up"):
        services.up(home, free_port(), [], print)
    assert idle.poll() is not None


@pytest.mark.parametrize("port", ["-5", "0", "99999"])
def test_a_number_that_is_no_port_is_refused(home: Home, port: str) -> None:
    refused = CliRunner().invoke(app, ["up", "--port", port])
    assert refused.exit_code == 2
    assert "Invalid value for '--port': Input should be" in refused.output
    assert read_services(home) == {}


def test_pipelines_that_are_named_run_by_themselves_and_without_any_those_that_do(
    home: Home, started: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hotel = tmp_path / "hotel_pipe.yaml"
    content = yaml.safe_load((PIPELINES / "support.yaml").read_text(encoding="utf-8"))
    del content["data"]["windows"]
    hotel.write_text(yaml.safe_dump({**content, "name": "hotel"}), encoding="utf-8")
    found: list[Scheduled] = []
    monkeypatch.setattr(services, "scheduled_already", lambda content: found)

    def schedules(*pipelines: str) -> str:
        said: list[str] = []
        services.up(home, 4200, pipelines, said.append)
        return next(line for line in said if line.startswith("schedules: "))

    assert schedules() == "schedules: support"
    assert schedules("support", str(hotel)) == "schedules: support; hotel"
    found.append(Scheduled("letters", "letters", has_windows=True))
    assert schedules() == "schedules: letters"
    assert scheduled("hotel") == Scheduled("hotel", str(hotel), has_windows=False)


def test_a_pipeline_that_cannot_be_used_any_more_keeps_no_other_and_no_worker_from_starting(
    home: Home, started: list["subprocess.Popen[bytes]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Scheduled("hotel", "/rooms/hotel_pipe.yaml", has_windows=True, mistake="there is no such file")
    monkeypatch.setattr(services, "scheduled_already", lambda content: [scheduled("support"), gone])
    said: list[str] = []
    services.up(home, 4200, [], said.append)
    assert "pipeline hotel: cannot be used, and its runs fail until it can: there is no such file" in said
    assert "schedules: support; hotel" in said
    assert len(started) == 2


def test_a_pipeline_that_cannot_be_used_is_refused_before_a_server_is_started(home: Home) -> None:
    refused = CliRunner().invoke(app, ["up", "--pipeline", "suport"])
    assert refused.exit_code == 2
    assert "no pipeline 'suport'" in refused.output
    again = [word for name in ("support", str(PIPELINES / "support.yaml")) for word in ("--pipeline", name)]
    refused = CliRunner().invoke(app, ["up", *again])
    assert refused.exit_code == 2
    assert "pipeline(s) support given twice" in refused.output
    assert read_services(home) == {}
