"""Whether the process of a run lives, as far as this machine can tell."""

import os
import subprocess

import pytest

from flows.dead_runs import _lives


def test_a_process_lives_until_it_ends_whoever_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(["sleep", "600"])
    assert _lives(str(process.pid))
    process.kill()
    process.wait()
    assert not _lives(str(process.pid))
    assert not any(map(_lives, (None, "", "host:7")))

    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert _lives("7")
