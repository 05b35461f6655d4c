"""A small pipeline outside the repository, its first run, and the real services beside it."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.server import free_port

SAMPLES = Path(__file__).parents[2] / "data_contracts" / "samples" / "support"
PIPELINE = {
    "name": "shop",
    "data": {
        "contract": "support",
        "train": {"kind": "json_lines", "path": "data/train.jsonl"},
        "validation": {"kind": "json_lines", "path": "data/validation.jsonl"},
        "test": {"kind": "json_lines", "path": "data/test.jsonl"},
        "out_of_domain": {"noisy": {"kind": "json_lines", "path": "data/noisy.jsonl"}},
        "windows": {"source": {"kind": "json_lines", "path": "data/windows/{window}.jsonl"}},
        "fresh": {"source": {"kind": "json_lines", "path": "data/fresh/{window}.jsonl"}},
    },
    "heads": {
        "sentiment": {"kind": "single_label"},
        "urgency": {"kind": "regression"},
    },
    "training": {
        "epochs": 2,
        "rows_per_step": 16,
        "encoder_learning_rate": 6e-4,
        "head_learning_rate": 3e-3,
        "frozen_layers": 4,
    },
    "drift": {"permutations": 499},
}


@dataclass(frozen=True)
class Outcome:
    """How a command ended and everything it wrote."""

    code: int
    text: str

    def steps(self) -> dict[str, str]:
        """{step: reused or running}, as the run said."""
        return dict(re.findall(r"^● (\w+): (reused|running)", self.text, flags=re.MULTILINE))


def answer_to(request: urllib.request.Request) -> Any:
    """What a Prefect server answers, once its database is not busy."""
    while True:
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                text = answer.read()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            # So the server says that its database is busy.
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            time.sleep(1)


@dataclass(frozen=True)
class Shop:
    """The pipeline's folder, and the home that its runs keep things in."""

    folder: Path
    home: Path
    port: int

    @property
    def pipeline(self) -> str:
        return str(self.folder / "shop.yaml")

    def graft(self, *arguments: str, timeout: float = 800) -> Outcome:
        """Runs the command line in a process of its own, from another folder than the repository."""
        command = [sys.executable, "-m", "flows", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        """Begins a command that `graft` would wait for, in a session of its own, and with more in its environment."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What commands run in: nothing of Prefect's or OpenMP's but what graft sets."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "OMP_"))}
        return kept | {"GRAFT_HOME": str(self.home), "HF_HUB_OFFLINE": "1"}

    def api(self, path: str, body: Any, method: str = "POST") -> Any:
        """One request to the server that `graft up` started."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        return answer_to(request)

    def send_event(self, event: str, resource: str, payload: dict[str, Any], occurred: datetime | None = None) -> None:
        """An event about a resource, at the server as if a process had sent it."""
        at = (occurred or datetime.now(UTC)).isoformat()
        about = {"prefect.resource.id": resource}
        self.api(
            "events", [{"event": event, "resource": about, "payload": payload, "occurred": at, "id": str(uuid.uuid4())}]
        )

    def switch_schedules(self, on: bool) -> None:
        """Whether the server starts what is due; a run that it has planned and not started goes with `on=False`."""
        for deployment in self.api("deployments/filter", {}):
            if deployment["schedules"]:
                self.api(f"deployments/{deployment['id']}/{'resume' if on else 'pause'}_deployment", {})

    def runs_of(self, flow: str) -> list[dict[str, Any]]:
        """Flow runs of a flow, oldest first."""
        wanted = {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_ASC"}
        found: list[dict[str, Any]] = self.api("flow_runs/filter", wanted)
        return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives each test here time: the first of a session waits for a training and for the services, besides all else."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A pipeline on a part of the sample data: week_2 is Vietnamese, of which its training holds next to nothing."""
    folder = tmp_path_factory.mktemp("shop")
    for name, source, rows in (
        ("train", "train", slice(0, 640)),
        ("validation", "validation", slice(0, 120)),
        ("test", "test", slice(0, 325)),
        ("noisy", "noisy", slice(0, 60)),
        ("windows/week_1", "windows/week_1", slice(0, 215)),
        ("windows/week_4", "windows/week_4", slice(0, 215)),
        ("windows/week_2", "vietnamese", slice(0, 80)),
        ("fresh/week_2", "vietnamese", slice(80, 165)),
    ):
        lines = (SAMPLES / f"{source}.jsonl").read_text(encoding="utf-8").splitlines()[rows]
        if name == "windows/week_2":
            lines = [json.dumps(_without_labels(json.loads(line)), ensure_ascii=False) for line in lines]
        target = folder / "data" / f"{name}.jsonl"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "shop.yaml").write_text(yaml.safe_dump(PIPELINE), encoding="utf-8")
    return Shop(folder, tmp_path_factory.mktemp("home"), free_port())


@pytest.fixture(scope="session")
def first_run(shop: Shop) -> Outcome:
    """The first run, with no server there."""
    return shop.graft("run", shop.pipeline)


@pytest.fixture(scope="session")
def services(shop: Shop, first_run: Outcome) -> Iterator[Outcome]:
    """Server, pools, deployments and workers, from the first run's database on."""
    up = shop.graft("up", "--port", str(shop.port))
    # What the clock says is not part of a test.
    shop.switch_schedules(on=False)
    yield up
    shop.graft("down")


def _without_labels(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("text", "language", "created_at")}


def wait_for(look: Callable[[], Any], enough: Callable[[Any], bool], what: str, seconds: float = 900) -> Any:
    """What there is to see once it is enough."""
    deadline = time.monotonic() + seconds
    while not enough(found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not {what} after {seconds} s: {found}")
        time.sleep(1)
    return found
