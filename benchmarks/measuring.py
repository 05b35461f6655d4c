"""One contestant a process, so that peak memory is its own; and environments for peers that graft has no need of."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "graft-benchmarks"


@dataclass(frozen=True)
class Outcome:
    """What a contestant said of itself: seconds by stage, rows that came through, peak resident memory in bytes.

    `processor_seconds` are those of all cores, 0 where it did not say.
    """

    name: str
    seconds: dict[str, float]
    rows: dict[str, int]
    peak_bytes: int
    processor_seconds: float

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())


def at_least(least: int) -> Callable[[str], int]:
    """Type of an argument: a whole number from `least` on."""

    def number(text: str) -> int:
        if (found := int(text)) < least:
            raise ArgumentTypeError(f"{found} is too small; from {least} on")
        return found

    return number


def run_contestant(name: str, command: list[str]) -> Outcome:
    """Runs a command whose last line on stdout is `report(...)`'s; what else it writes is shown where it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode != 0:
        # Below 0 it is the signal that ended it, as -9 where memory ran out.
        raise SystemExit(f"{name} failed with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return Outcome(name, **facts)


def environment_of(name: str, packages: list[str]) -> str:
    """The Python that has these packages beside graft's own: this one, or else a virtual environment, made once."""
    if all(map(_is_installed, packages)):
        return sys.executable
    own = next(path for path in sys.path if path.endswith("site-packages"))
    made_of = hashlib.sha256(json.dumps([packages, own, sys.version]).encode()).hexdigest()[:12]
    folder = ENVIRONMENTS / f"{name}-{made_of}"
    python, whole = folder / "bin" / "python", folder / "whole"
    if not whole.exists():
        print(f"making an environment for {name} in {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        site = next((folder / "lib").glob("python*/site-packages"))
        (site / "graft.pth").write_text(own + "\n", encoding="utf-8")
        done = subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=False)
        if done.returncode != 0:
            shutil.rmtree(folder)
            raise SystemExit(f"no environment for {name}: pip could not install {', '.join(packages)}")
        # Last, so that what an interruption leaves behind is not taken for a whole one.
        whole.touch()
    return str(python)


def _is_installed(package: str) -> bool:
    name, _, wanted = package.partition("==")
    try:
        return version(name.partition("[")[0]) == wanted
    except PackageNotFoundError:
        return False


def peak_bytes() -> int:
    """Peak resident memory of this process (Linux, proc(5): VmHWM, which no parent's memory counts in)."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status: memory is measured on Linux only")


class Clock:
    """Time since it was made."""

    def __init__(self) -> None:
        self._started, self._used = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """By the clock on the wall."""
        return time.perf_counter() - self._started

    @property
    def processor_seconds(self) -> float:
        """Of all cores, which others on the machine do not lengthen."""
        return time.process_time() - self._used


def report(seconds: dict[str, float], rows: dict[str, int], processor_seconds: float = 0.0) -> None:
    """The line that a contestant ends with."""
    facts = {"seconds": seconds, "rows": rows, "peak_bytes": peak_bytes(), "processor_seconds": processor_seconds}
    print(json.dumps(facts))


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "GX_ANALYTICS_ENABLED": "false"}
