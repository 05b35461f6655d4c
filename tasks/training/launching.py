"""Launching: where a training runs. On a CPU in this process; on GPUs, or where several are asked for, in others.

Memory that a device lacks is only whole again in a fresh process, so what runs on one is always of its own.
"""

import contextlib
import json
import logging
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import torch

from data_contracts.errors import InputError
from tasks.training.job import Job, Report, TrainingFacts, say_nothing
from tasks.training.launched import BEGUN, FACTS, FAULT, INPUT, JOB, MEMORY, RECORDING, REPORTED, failure_file
from tasks.training.memory import Ceiling, half, kernel_kills, remember_ceiling
from tasks.training.plan import size_of_steps
from tasks.training.recipe import Recipe
from tasks.training.rows import read_rows

logger = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
ENTRY = (sys.executable, "-m", "tasks.training.launched")
KERNEL_COUNTERS = Path("/proc/vmstat")
KILLED = "killed"
# A rank that lost another says so at once; the one that was lost may have yet to end.
GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class Failure:
    """Why a training in other processes ended."""

    kind: str
    text: str


def train_model(job: Job, report: Report = say_nothing) -> TrainingFacts:
    """Trains where the recipe and the devices of this machine say, and reports every step."""
    devices = torch.cuda.device_count()
    count = processes_of(job.recipe, devices)
    if count > 1 or devices:
        return train_in_processes(job, count, report)
    from tasks.training.loop import fine_tune

    return fine_tune(**job.arguments, report=report)


def processes_of(recipe: Recipe, devices: int) -> int:
    """How many processes train; `devices` are the GPUs that are visible. Raises InputError where that cannot be."""
    count = max(1, devices) if recipe.processes == "auto" else recipe.processes
    if devices and count > devices:
        raise InputError(
            f"training.processes is {count}, but {devices} GPU(s) are visible, and each process needs one of its own. "
            "Lower it, or make more visible with CUDA_VISIBLE_DEVICES."
        )
    if recipe.sharding == "full" and count == 1:
        raise InputError(
            "training.sharding is full, but there is only one process to hold the encoder. "
            "Raise training.processes, or take sharding out."
        )
    return count


def train_in_processes(
    job: Job,
    count: int,
    report: Report = say_nothing,
    *,
    command: Sequence[str] = ENTRY,
    counters: Path = KERNEL_COUNTERS,
) -> TrainingFacts:
    """Trains in `count` fresh processes; where memory runs out, in others with micro-batches of half the size.

    They go on from the last checkpoint. A process that is killed counts as out of memory where the kernel has counted
    one, too. Where what a GPU does cannot be recorded, another process starts its kernels one by one. Raises InputError
    for what the user has to mend, and RuntimeError with the error of the first that failed.
    """
    while True:
        with tempfile.TemporaryDirectory(prefix="graft-training-") as name:
            folder, kills = Path(name), kernel_kills(counters)
            (folder / JOB).write_text(job.model_dump_json(), encoding="utf-8")
            failure = run_ranks(command, folder, count, report)
            if failure is None:
                return TrainingFacts(**json.loads((folder / FACTS).read_text(encoding="utf-8")))
            if failure.kind == INPUT:
                raise InputError(failure.text)
            if failure.kind == RECORDING:
                # What went wrong is the last line of a traceback.
                why = failure.text.splitlines()[-1]
                logger.warning("going on in a fresh process with kernels started one by one, which is slower: %s", why)
                job = job.model_copy(update={"recipe": job.recipe.model_copy(update={"kernels": "one_by_one"})})
                continue
            by_kernel = failure.kind == KILLED and kernel_kills(counters) > kills
            if not (failure.kind == MEMORY or by_kernel) or not (folder / BEGUN).is_file():
                # Of a traceback, what is read first is its last line.
                raise RuntimeError(f"a training process failed: {failure.text.splitlines()[-1]}\n{failure.text}")
            _lower_the_ceiling(job, json.loads((folder / BEGUN).read_text(encoding="utf-8")))


def run_ranks(command: Sequence[str], folder: Path, count: int, report: Report = say_nothing) -> Failure | None:
    """Runs `command FOLDER RANK COUNT` for every rank, to its end; None where all went well.

    Logs and reports what they do. When one fails all are ended, and so they are when this process is.
    """
    lines: SimpleQueue[tuple[int, str | None]] = SimpleQueue()
    with _started(command, folder, count) as processes:
        for rank, process in enumerate(processes):
            threading.Thread(target=_read_lines, args=(rank, process, lines), daemon=True).start()
        running, patience = set(range(count)), None
        while running:
            try:
                rank, line = lines.get(timeout=patience)
            except queue.Empty:
                break
            if line is not None:
                _take(line, report)
                continue
            running.remove(rank)
            if processes[rank].returncode:
                patience = GRACE_SECONDS
        ended = [process.poll() for process in processes]
    return _failure(folder, ended)


@contextlib.contextmanager
def _started(command: Sequence[str], folder: Path, count: int) -> Iterator[list["subprocess.Popen[str]"]]:
    processes: list[subprocess.Popen[str]] = []
    try:
        for rank in range(count):
            processes.append(
                subprocess.Popen(
                    [*command, str(folder), str(rank), str(count)],
                    cwd=ROOT,
                    # A pipe that nothing is written to: it ends with this process, however that ends.
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    # The first one shows its progress bar.
                    stderr=None if rank == 0 else subprocess.DEVNULL,
                    text=True,
                    # A library may print in another encoding.
                    errors="replace",
                    # Ctrl-C is for this process, which then ends the others.
                    process_group=0,
                )
            )
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _read_lines(rank: int, process: "subprocess.Popen[str]", lines: "SimpleQueue[tuple[int, str | None]]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put((rank, line))
    process.wait()
    lines.put((rank, None))


def _take(line: str, report: Report) -> None:
    """A report or a log record as the process had it; what is neither, a library has printed."""
    try:
        said = json.loads(line)
        if said.keys() == REPORTED:
            report(said["share"], said["scores"])
            return
        record = logging.makeLogRecord(said)
    except (ValueError, AttributeError):
        logger.info("%s", line.rstrip())
        return
    origin = logging.getLogger(record.name)
    if origin.isEnabledFor(record.levelno):
        origin.handle(record)


def _failure(folder: Path, ended: Sequence[int | None]) -> Failure | None:
    """Why they ended: the first that said so, for the others may only have lost it.

    None of those that say so is to blame where one was killed, and any that lacked memory is.
    """
    if not any(ended):
        return None
    paths = [failure_file(folder, rank) for rank in range(len(ended))]
    said = sorted((path for path in paths if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    failures = [Failure(**json.loads(path.read_text(encoding="utf-8"))) for path in said]
    for failure in failures:
        if failure.kind == MEMORY:
            return failure
    for rank, code in enumerate(ended):
        if code is not None and code < 0:
            return Failure(KILLED, f"process {rank} was ended by signal {-code}")
    if failures:
        return failures[0]
    return Failure(FAULT, f"exit codes {[code for code in ended if code is not None]}, and none of them said why")


def _lower_the_ceiling(job: Job, begun: dict[str, object]) -> None:
    setup, ceiling = str(begun.pop("setup")), Ceiling(**begun)  # type: ignore[arg-type]
    rows = read_rows(job.snapshot, job.tokens, "train", job.heads)
    longest = max(rows.lengths)
    rows_per_step = job.recipe.rows_per_step or size_of_steps(rows.labelled, job.recipe.sampling)
    lower = half(ceiling, rows_per_step, longest)
    if lower is None:
        raise InputError(
            f"a micro-batch of one row, of up to {longest} tokens, does not fit into memory ({setup}). Lower "
            "tokenization.max_tokens, freeze layers with training.frozen_layers, take a smaller encoder, or let "
            "several GPUs share it with `training.sharding: full`."
        )
    remember_ceiling(job.ceilings, setup, lower)
    logger.warning(
        "out of memory: going on in a fresh process with %d tokens a micro-batch, which changes nothing else; "
        "%s remembers it for %s",
        lower.tokens,
        job.ceilings,
        setup,
    )
