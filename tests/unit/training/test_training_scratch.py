"""The folder in which a training that is not at its end keeps what it has: one run at a time works in it."""

import fcntl
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tasks.training.scratch import working_in

WORKER = """
import sys, time
from pathlib import Path
from tasks.training.scratch import working_in
with working_in(Path(sys.argv[1])):
    Path(sys.argv[1]).mkdir()
    print("at work", flush=True)
    time.sleep(600)
"""


def at_work(folder: Path) -> "subprocess.Popen[str]":
    """Another process that works in the folder and does not come to an end."""
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    return process


def test_the_folder_is_removed_at_the_end_and_left_after_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "scratch" / "training"
    folder.mkdir(parents=True)
    with pytest.raises(RuntimeError), working_in(folder):
        raise RuntimeError
    assert folder.is_dir()
    with working_in(folder):
        pass
    assert list(folder.parent.iterdir()) == []


def test_a_second_run_waits_and_says_so_until_the_first_has_ended_or_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = tmp_path / "training"
    with at_work(folder) as first:
        kill = threading.Timer(0.5, first.kill)
        kill.start()
        with working_in(folder):
            # What the first has left is there to be taken up.
            assert folder.is_dir()
            assert first.wait(10) != 0
    assert f"another run does the same training, so this one waits until it has ended ({folder}.lock)" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_other_trainings_do_not_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with working_in(tmp_path / "one"), working_in(tmp_path / "other"):
        assert caplog.text == ""


def test_of_many_runs_one_is_at_work_at_any_time_though_each_removes_the_lock(tmp_path: Path) -> None:
    inside, most = 0, []

    def work() -> None:
        nonlocal inside
        for _ in range(20):
            with working_in(tmp_path / "training"):
                inside += 1
                time.sleep(0.001)
                most.append(inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80


def test_a_lock_that_its_holder_has_removed_lets_nobody_in(tmp_path: Path) -> None:
    lock = tmp_path / "training.lock"
    entered = threading.Event()

    def wait() -> None:
        with working_in(tmp_path / "training"):
            entered.set()

    with lock.open("w") as removed:
        fcntl.flock(removed, fcntl.LOCK_EX)
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.2)
        lock.unlink()
        newer = lock.open("w")
        fcntl.flock(newer, fcntl.LOCK_EX)
    # The first holder has gone; the second one holds another file of that name.
    assert not entered.wait(0.5)
    newer.close()
    waiting.join(10)
    assert entered.is_set()
