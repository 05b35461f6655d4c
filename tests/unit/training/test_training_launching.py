"""Trainings in other processes, some of which get into trouble."""

import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from several_ranks import in_ranks

from data_contracts.errors import InputError
from tasks.modeling.heads import SpanHead
from tasks.training.job import Job, TrainingFacts
from tasks.training.launching import Failure, processes_of, run_ranks, train_in_processes, train_model
from tasks.training.ranks import Ranks
from tasks.training.recipe import Recipe

MakeJob = Callable[..., Job]
LAUNCH = """
import sys
from pathlib import Path
from tasks.training.job import Job
from tasks.training.launching import train_in_processes
train_in_processes(Job.model_validate_json(Path(sys.argv[1]).read_text()), 2)
"""
# A process whose training does what is said for its rank.
SAYS = """
import os, signal, sys, time
from pathlib import Path
from data_contracts.errors import InputError
from tasks.training import launched
def train(folder, rank, count):
    exec(sys.argv[1].split("|")[rank])
launched._train = train
launched.main(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
"""
# Two processes get micro-batches of up to two rows, of some 30 tokens.
TWO: dict[str, Any] = {"epochs": 2, "processes": 2, "checkpoint_steps": 2, "encoder_dropout": 0.1}


@pytest.fixture
def job(training: Callable[..., dict[str, Any]], tmp_path: Path) -> MakeJob:
    """`job(name, **settings)` gives a training that works below `tmp_path / name`."""

    def make(name: str, **settings: Any) -> Job:
        return Job(**training(name, **settings), encoder_digest="d" * 64, ceilings=tmp_path / "ceilings.json")

    return make


def troubled(**trouble: Any) -> list[str]:
    """The command of a process that gets into that trouble."""
    return [sys.executable, "-m", "tests.unit.training.troubled_process", json.dumps(trouble)]


def same(first: Path, second: Path) -> bool:
    """Whether two trainings left the same weights to the bit."""
    return (first / "model" / "weights.safetensors").read_bytes() == (
        second / "model" / "weights.safetensors"
    ).read_bytes()


def fine_tune_in_rank(ranks: Ranks, arguments: dict[str, Any]) -> TrainingFacts:
    """What came of a training."""
    from tasks.training.loop import fine_tune

    return fine_tune(**arguments, ranks=ranks)


def processes_below(folder: Path) -> list[int]:
    """Processes whose command names the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(folder).encode() in word for word in words):
            found.append(int(entry.parent.name))
    return found


def test_a_killed_training_of_two_processes_leaves_none_behind_and_goes_on_to_the_same_weights(
    job: MakeJob, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, logger="tasks")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = tmp_path / "killed.json"
    path.write_text(job("killed", **{**TWO, "epochs": 4}).model_dump_json(), encoding="utf-8")
    checkpoint = tmp_path / "killed" / "checkpoints" / "checkpoint.pt"
    with subprocess.Popen([sys.executable, "-c", LAUNCH, str(path)]) as launcher:
        while launcher.poll() is None and not checkpoint.exists():
            time.sleep(0.01)
        assert len(processes_below(tmp_path / "graft-training-")) == 2
        launcher.kill()
    assert launcher.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while processes_below(tmp_path / "graft-training-") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_below(tmp_path / "graft-training-") == []
    assert list((tmp_path / "killed" / "model").iterdir()) == []

    resumed = train_model(job("killed", **{**TWO, "epochs": 4}))
    assert "resuming at epoch" in caplog.text
    assert "epoch 4 of 4" in caplog.text
    assert caplog.text.count("training on cpu") == 1  # of the two, one speaks
    whole, other = in_ranks(2, tmp_path / "meeting", fine_tune_in_rank, job("whole", **{**TWO, "epochs": 4}).arguments)
    assert resumed == whole == other
    assert (resumed.epochs, resumed.steps) == (4, 20)
    assert same(tmp_path / "killed", tmp_path / "whole")


def test_micro_batches_are_halved_in_a_fresh_process_which_changes_no_result_and_is_remembered(
    job: MakeJob, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # On a GPU, what is recorded has rows of padding.
    settings = {"epochs": 2, "checkpoint_steps": 2, "tokens_per_batch": 64, "kernels": "one_by_one"}
    # Rows have 8 to 15 tokens, so there are four or more of them at once; behind the sixth micro-batch it gets tight.
    facts = train_in_processes(job("cramped", **settings), 1, command=troubled(what="memory", tokens=40, after=6))

    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line[:58] for line in said] == ["out of memory: going on in a fresh process with 32 tokens "]
    (setup, found), *others = json.loads((tmp_path / "ceilings.json").read_text(encoding="utf-8")).items()
    assert others == []
    assert "encoder dddddddddddd, 24 tokens, precision fp32" in setup
    assert found == {"tokens": 32, "rows": None}
    assert f"{tmp_path / 'ceilings.json'} remembers it for {setup}" in said[0]
    whole = fine_tune_in_rank(Ranks(), job("whole", **settings).arguments)
    assert (facts.steps, facts.best_epoch) == (whole.steps, whole.best_epoch)
    assert facts.validation_skill == pytest.approx(whole.validation_skill, abs=1e-4)


def test_where_one_row_does_not_fit_the_user_is_told_what_can_be_done(job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one row, of up to \d+ tokens, does not fit.*Lower.*max_tokens.*sharding"):
        train_in_processes(job("tiny", tokens_per_batch=8), 1, command=troubled(what="memory", tokens=0))
    assert not (tmp_path / "ceilings.json").exists()


def test_a_process_that_the_kernel_ended_for_memory_is_out_of_memory(job: MakeJob, tmp_path: Path) -> None:
    counters = tmp_path / "vmstat"
    counters.write_text("oom_kill 4\n", encoding="utf-8")
    command = troubled(what="kernel", tokens=40, counters=str(counters))
    settings = {"epochs": 1, "tokens_per_batch": 64, "kernels": "one_by_one"}
    facts = train_in_processes(job("killed", **settings), 1, command=command, counters=counters)
    assert facts.steps == 5
    assert counters.read_text(encoding="utf-8") == "oom_kill 5\n"
    (found,) = json.loads((tmp_path / "ceilings.json").read_text(encoding="utf-8")).values()
    assert found["tokens"] == 32


def test_a_process_that_was_killed_otherwise_ends_the_training(job: MakeJob, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SAYS, "os.kill(os.getpid(), signal.SIGKILL)"]
    with pytest.raises(RuntimeError, match="process 0 was ended by signal 9"):
        train_in_processes(job("killed"), 1, command=command)
    with pytest.raises(RuntimeError, match=r"^a training process failed: ValueError: ours\nTraceback"):
        train_in_processes(job("failed"), 1, command=[*command[:-1], "raise ValueError('ours')"])
    assert not (tmp_path / "ceilings.json").exists()


@pytest.mark.parametrize(
    ("says", "kind", "text"),
    [
        ("raise InputError('mend it')|raise InputError('mend it')", "input", "mend it"),
        ("time.sleep(600)|raise ValueError('ours')", "fault", "ValueError: ours"),
        ("time.sleep(600)|os.kill(os.getpid(), signal.SIGKILL)", "killed", "process 1 was ended by signal 9"),
        ("time.sleep(0.5); raise ValueError('lost the other')|raise InputError('mend it')", "input", "mend it"),
        ("time.sleep(0.5); raise ValueError('lost')|os.kill(os.getpid(), signal.SIGKILL)", "killed", "signal 9"),
        ("time.sleep(600)|import torch; torch.empty(1 << 60)", "memory", "allocate"),
        ("raise MemoryError|raise ValueError('lost')", "memory", "MemoryError"),
        ("os._exit(3)|pass", "fault", "exit codes [3, 0], and none of them said why"),
    ],
)
def test_the_process_that_failed_first_says_why_and_all_are_ended(
    says: str, kind: str, text: str, tmp_path: Path
) -> None:
    failure = run_ranks([sys.executable, "-c", SAYS, says], tmp_path, 2)
    assert isinstance(failure, Failure)
    assert failure.kind == kind
    assert failure.text == text if kind == "input" else text in failure.text
    assert processes_below(tmp_path) == []


def test_what_a_process_logs_or_prints_is_logged_here_and_only_by_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tasks")
    logs = "import logging; logging.getLogger('tasks.training.loop').warning('%s percent', 100)"
    assert run_ranks([sys.executable, "-c", SAYS, f"{logs}; print('plain')|{logs}"], tmp_path, 2) is None
    found = [(record.name, record.levelname, record.getMessage()) for record in caplog.records]
    assert found == [
        ("tasks.training.loop", "WARNING", "100 percent"),
        ("tasks.training.launching", "INFO", "plain"),
    ]


@pytest.mark.timeout(60)
def test_what_a_process_prints_in_another_encoding_is_logged_and_holds_nothing_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tasks")
    says = "sys.stdout.buffer.write(b'caf\\xe9\\n'); sys.stdout.flush(); print('and on')|pass"
    assert run_ranks([sys.executable, "-c", SAYS, says], tmp_path, 2) is None
    assert [record.getMessage() for record in caplog.records] == ["caf\ufffd", "and on"]


def test_a_process_is_given_the_job_as_it_is_even_where_a_number_has_no_end(job: MakeJob) -> None:
    endless = float("inf")
    sampling = {"kind": "temperature", "temperature": endless}
    given = job("endless", gradient_clip=endless, sampling=sampling)
    given = given.model_copy(update={"heads": given.heads | {"answer": SpanHead(no_answer_margin=-endless)}})
    assert Job.model_validate_json(given.model_dump_json()) == given


class InterruptAtOnce(logging.Handler):
    """Interrupts this program, as Ctrl-C does, when anything is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raises KeyboardInterrupt."""
        raise KeyboardInterrupt


def test_an_interruption_ends_all_processes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="tasks")
    says = "print('here', flush=True); time.sleep(600)|time.sleep(600)"
    logger, handler = logging.getLogger("tasks.training.launching"), InterruptAtOnce()
    logger.addHandler(handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_ranks([sys.executable, "-c", SAYS, says], tmp_path, 2)
    finally:
        logger.removeHandler(handler)
    assert processes_below(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "devices", "count"),
    [({}, 0, 1), ({}, 1, 1), ({}, 4, 4), ({"processes": 2}, 0, 2), ({"processes": 2}, 4, 2)],
)
def test_there_is_a_process_for_each_gpu_unless_the_recipe_says_otherwise(
    settings: dict[str, Any], devices: int, count: int
) -> None:
    assert processes_of(Recipe.model_validate(settings), devices) == count


@pytest.mark.parametrize(
    ("settings", "devices", "message"),
    [
        ({"processes": 3}, 2, r"training\.processes is 3, but 2 GPU\(s\) are visible"),
        ({"sharding": "full"}, 1, r"sharding is full, but there is only one process.*Raise training\.processes"),
        ({"sharding": "full", "processes": 1}, 4, r"sharding is full, but there is only one process"),
    ],
)
def test_processes_that_the_machine_has_no_devices_for_are_refused(
    settings: dict[str, Any], devices: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        processes_of(Recipe.model_validate(settings), devices)
