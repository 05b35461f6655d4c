"""Whether the process of a run lives, as far as this machine can tell."""

import os
import subprocess

import psutil
import pytest

from flows.dead_runs import _lives
from flows.processes import RUN_OF_A_WORKER


def test_a_run_lives_until_its_process_ends_whoever_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(["sleep", "600"], env={**os.environ, RUN_OF_A_WORKER: "7f1c"})
    assert _lives("7f1c", str(process.pid))
    assert not _lives("another run, whose process had that number before a reboot", str(process.pid))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not _lives("7f1c", str(process.pid)), "a zombie"
    process.wait()
    assert not _lives("7f1c", str(process.pid))
    assert not any(_lives("7f1c", pid) for pid in (None, "", "host:7"))

    def refuse(_: psutil.Process) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "environ", refuse)
    assert _lives("7f1c", str(os.getpid()))
