"""The processes that `graft up` starts and notes, so that a later command finds and stops them."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.storage.home import Home

ROOT = Path(__file__).resolve().parents[1]
STOP_SECONDS = 20
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Service:
    """A process that `graft up` started."""

    name: str
    pid: int
    url: str = ""


def read_services(home: Home) -> dict[str, Service]:
    """The processes that `graft up` noted, alive or not."""
    path = home.services / "services.json"
    if not path.is_file():
        return {}
    return {name: Service(**facts) for name, facts in json.loads(path.read_text(encoding="utf-8")).items()}


def write_services(home: Home, services: dict[str, Service]) -> None:
    """Replaces the note of running processes."""
    home.services.mkdir(parents=True, exist_ok=True)
    draft = home.services / "services.draft"
    draft.write_text(json.dumps({name: vars(service) for name, service in services.items()}), encoding="utf-8")
    os.replace(draft, home.services / "services.json")


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


def _end_with_parent() -> None:
    """In the child: be asked to end when the parent is gone, even where it was killed (Linux, prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
