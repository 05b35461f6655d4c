"""The processes that `graft up` starts and notes, so that a later command finds and stops them."""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from tasks.storage.home import Home, readable_write_errors

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_PORT = 4200
STOP_SECONDS = 20
PR_SET_PDEATHSIG = 1
# Prefect's workers set it in the process of a run, and prefect.runtime.flow_run reads it.
RUN_OF_A_WORKER = "PREFECT__FLOW_RUN_ID"


@dataclass(frozen=True)
class Service:
    """A process that `graft up` started, when it did, and the API address that it serves or works for."""

    name: str
    pid: int
    url: str = ""
    started: str = ""


def read_services(home: Home) -> dict[str, Service]:
    """The processes that `graft up` noted, alive or not. Raises InputError where the note is no note."""
    path = home.services / "services.json"
    if not path.is_file():
        return {}
    try:
        return {name: Service(**facts) for name, facts in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} cannot be read: {error}. It says which processes `graft up` started: end those that still run "
            "(`ps` shows them as `prefect server start` and `prefect worker start`), and delete the file."
        ) from error


def write_services(home: Home, services: dict[str, Service]) -> None:
    """Replaces the note of running processes."""
    home.services.mkdir(parents=True, exist_ok=True)
    draft = home.services / "services.draft"
    draft.write_text(json.dumps({name: vars(service) for name, service in services.items()}), encoding="utf-8")
    os.replace(draft, home.services / "services.json")


def last_port(home: Home) -> int:
    """The port that `graft up` last had its server on."""
    path = home.services / "port"
    return int(path.read_text(encoding="ascii")) if path.is_file() else DEFAULT_PORT


def keep_port(home: Home, port: int) -> None:
    """Keeps it, also over `graft down`: people know the address of the pages, and so do runs that are going on."""
    (home.services / "port").write_text(str(port), encoding="ascii")


@contextlib.contextmanager
def alone(home: Home, say: Callable[[str], None]) -> Iterator[None]:
    """One `graft up` or `graft down` at a time: a second one waits, and finds what the first has started."""
    with readable_write_errors(str(home.root)):
        home.services.mkdir(parents=True, exist_ok=True)
        lock = (home.services / "lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another `graft up` or `graft down` is at work; waiting until it is done ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def note_of(name: str, process: "subprocess.Popen[bytes]", url: str) -> Service:
    """What to note of a process that was just started."""
    return Service(name, process.pid, url, _started(process.pid))


def is_running(service: Service) -> bool:
    """Whether the process that was noted still runs. After a reboot another one may have its number."""
    # A note from before that was kept has the number alone.
    return is_alive(service.pid) and service.started in ("", _started(service.pid))


def spawn(
    command: list[str], home: Home, name: str, *, detached: bool, extra: dict[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """A process in the repository's root that writes to services/NAME.log; one that is not detached ends with ours."""
    home.services.mkdir(parents=True, exist_ok=True)
    environment: dict[str, Any] = {**os.environ, **(extra or {})}
    if detached:
        # What a service writes goes to its log file, so it may write everything.
        environment["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "NOTSET"
    with (home.services / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=None if detached else _end_with_parent,
        )


def is_alive(pid: int) -> bool:
    """Whether a process of that number runs and is no zombie."""
    try:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def stop_process(pid: int, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Asks the process group to end, and ends it where it does not within 20 seconds."""
    for ask in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, ask)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None if process else not is_alive(pid):
                return
            time.sleep(0.1)


def _started(pid: int) -> str:
    """When a process started, which tells it from others that get its number; empty where there is none."""
    if sys.platform != "linux":
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # Field 22 of proc(5), in ticks since boot. The second is the program's name, which may hold spaces and brackets.
    return stat.rpartition(")")[2].split()[19]


def _end_with_parent() -> None:
    """In the child: be asked to end when the parent is gone, even where it was killed (Linux, prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
