"""One process of a training: `python -m tasks.training.launched FOLDER RANK COUNT`, as `launching` starts it.

The folder holds the job. It writes reports and log records, as JSON, to its standard output, and to the folder what
came of the training or why it failed. It ends when its standard input does, and so with the process that started it.
"""

import json
import logging
import os
import sys
import threading
import traceback
from pathlib import Path

from data_contracts.errors import InputError
from tasks.training.job import Job, say_nothing

JOB, FACTS, BEGUN, MEETING_POINT = "job.json", "facts.json", "begun.json", "meeting_point"
REPORTED = {"share", "scores"}
INPUT, MEMORY, RECORDING, FAULT = "input", "memory", "recording", "fault"


def main(folder: Path, rank: int, count: int) -> None:
    """Trains as one of `count` processes, and ends this one."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        if rank == 0:
            logging.getLogger("tasks").addHandler(_LogLines())
            logging.getLogger("tasks").setLevel(logging.INFO)
        _train(folder, rank, count)
    except BaseException as error:
        text = str(error) if isinstance(error, InputError) else traceback.format_exc()
        _write(failure_file(folder, rank), {"kind": _kind_of(error), "text": text})
        # Whatever would wait for the other ranks is left out.
        os._exit(1)


def failure_file(folder: Path, rank: int) -> Path:
    """Where a process says why it failed."""
    return folder / f"failure-{rank}.json"


def _train(folder: Path, rank: int, count: int) -> None:
    from tasks.modeling.limits import read_limit
    from tasks.training.loop import fine_tune
    from tasks.training.memory import below, ceiling_of, known_ceiling, setup_of
    from tasks.training.ranks import joined

    job = Job.model_validate_json((folder / JOB).read_text(encoding="utf-8"))
    with joined(folder / MEETING_POINT, rank, count) as ranks:
        setup = ranks.of_first(setup_of(job.recipe, job.encoder_digest, read_limit(job.tokens).max_tokens, ranks.count))
        recipe = below(job.recipe, ranks.of_first(known_ceiling(job.ceilings, setup)))
        if ranks.is_first:
            _write(folder / BEGUN, {"setup": setup, **ceiling_of(recipe)._asdict()})
        report = _report if ranks.is_first else say_nothing
        facts = fine_tune(**{**job.arguments, "recipe": recipe}, ranks=ranks, report=report)
        if ranks.is_first:
            _write(folder / FACTS, vars(facts))


def _kind_of(error: BaseException) -> str:
    if isinstance(error, InputError):
        return INPUT
    from tasks.training.memory import is_out_of_memory
    from tasks.training.recording import RecordingError

    if isinstance(error, RecordingError):
        return RECORDING
    return MEMORY if is_out_of_memory(error) else FAULT


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def _end_with_the_parent() -> None:
    # Not through a buffer, whose lock would be held when this process ends in its own time.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _report(share: float, scores: str) -> None:
    print(json.dumps({"share": share, "scores": scores}), flush=True)


class _LogLines(logging.Handler):
    """One line of JSON a record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes what `launching` makes a record of again."""
        facts = {"name": record.name, "levelno": record.levelno, "levelname": record.levelname}
        print(json.dumps({**facts, "msg": record.getMessage()}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
