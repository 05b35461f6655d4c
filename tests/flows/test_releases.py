"""Releases through Prefect: a person's promotion, approval by a form, and a promotion that comes in between.

The first two versions have learnt next to nothing, so that a third, which has, beats each of them.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.server import free_port
from tests.flows.conftest import PIPELINE, SAMPLES, Outcome, answer_to, wait_for

ROOT = Path(__file__).parents[2]
SECONDS = 400
UNTAUGHT = ("--set", "training.epochs=1", "--set", "training.encoder_learning_rate=1e-7")
WITH_APPROVAL = ("--set", "release.approval=person")


@dataclass(frozen=True)
class Desk:
    """A pipeline over a two-layer encoder, its home, and the server that all its commands share."""

    folder: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        prefect = {
            "PREFECT_API_URL": f"{self.url}/api",
            "PREFECT_HOME": str(self.folder / "home" / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        }
        return {**kept, **prefect, "GRAFT_HOME": str(self.folder / "home"), "HF_HUB_OFFLINE": "1"}

    def start(self, command: str, *arguments: str) -> "subprocess.Popen[str]":
        """A command that goes on while the test does something else."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows", command, str(self.folder / "desk.yaml"), *arguments],
            cwd=self.folder,
            env=self.environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def graft(self, command: str, *arguments: str) -> Outcome:
        process = self.start(command, *arguments)
        text, _ = process.communicate(timeout=SECONDS)
        return Outcome(process.returncode, text)

    def question(self, process: "subprocess.Popen[str]") -> str:
        """The flow run that waits for a person, as the command says in the terminal."""
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            found = re.search(rf"waits for a person, up to 24 hours: {self.url}/v2/runs/flow-run/([0-9a-f-]+)", line)
            if found:
                return found[1]
        pytest.fail("no question in:\n" + "".join(seen))

    def rest(self, process: "subprocess.Popen[str]") -> str:
        """What the command still says; whatever it asks is answered with no."""
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "waits for a person" in line:
                self.answer(line.split()[-1].rpartition("/")[2], approve=False, by="ann", reason="once is enough")
        process.wait(SECONDS)
        return "".join(said)

    def answer(self, question: str, **form: Any) -> Any:
        """Sends the form of a flow run that waits, as its page does."""
        self.wait_for_state(question, "PAUSED")
        return self.api(f"flow_runs/{question}/resume", {"run_input": form})

    def wait_for_state(self, run: str, wanted: str) -> None:
        deadline = time.monotonic() + SECONDS
        while self.api(f"flow_runs/{run}")["state"]["type"] != wanted:
            assert time.monotonic() < deadline, f"run {run} did not get {wanted}"
            time.sleep(0.5)

    def api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/{path}", data, {"Content-Type": "application/json"})
        return answer_to(request)

    def champion(self) -> tuple[str, str]:
        """Version and kind of the newest entry of the history."""
        shown = self.graft("models", "--history")
        assert shown.code == 0, shown.text
        newest = next(line.split() for line in shown.text.splitlines() if re.match(r"\s*\d+ ", line))
        return newest[4], newest[3]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    for name, rows in (("train", 400), ("validation", 100), ("test", 300), ("noisy", 60)):
        lines = (SAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[:rows]
        (folder / "data").mkdir(exist_ok=True)
        (folder / "data" / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    taught = {"epochs": 8, "rows_per_step": 16, "encoder_learning_rate": 3e-3, "head_learning_rate": 1e-2}
    pipeline = {
        **PIPELINE,
        "name": "desk",
        "encoder": {"name": str(tiny_encoder)},
        "heads": {"sentiment": {"kind": "single_label"}},
        "training": taught,
    }
    (folder / "desk.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    (folder / "home" / "prefect").mkdir(parents=True)
    port = free_port()
    desk = Desk(folder, f"http://127.0.0.1:{port}")
    log = (folder / "server.log").open("w")
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, env=desk.environment, stdout=log, stderr=log)
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            desk.api("health")
            break
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, (folder / "server.log").read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.5)
    yield desk
    server.terminate()
    server.wait(60)


@pytest.fixture(scope="module")
def untaught(desk: Desk) -> list[Outcome]:
    """Versions 1 and 2, and version 1 as champion because a person says so."""
    first = desk.graft("run", *UNTAUGHT)
    second = desk.graft("run", *UNTAUGHT, "--set", "training.seed=5")
    promoted = desk.graft("promote", "1", "--reason", "something has to answer", "--by", "ann")
    return [first, second, promoted]


def test_a_person_promotes_what_the_gate_refused_and_the_reason_is_in_the_list(
    desk: Desk, untaught: list[Outcome]
) -> None:
    assert [outcome.code for outcome in untaught] == [0, 0, 0], [outcome.text for outcome in untaught]
    assert "does not become champion: the gate says" in untaught[0].text
    assert "`graft promote desk 1 --reason TEXT`" in untaught[0].text
    assert "Kept: override by ann: something has to answer" in untaught[2].text
    assert desk.champion() == ("1", "override")
    shown = desk.graft("models").text
    assert "override by ann: something has to answer" in shown
    without = desk.graft("promote", "2")
    assert without.code == 2
    assert "--reason" in without.text


def test_approval_by_a_form_counts_for_the_champion_that_was_judged_against_and_is_asked_for_again_after_another(
    desk: Desk, untaught: list[Outcome]
) -> None:
    process = desk.start("run", *WITH_APPROVAL)
    first = desk.question(process)
    assert desk.champion() == ("1", "override")
    assert desk.api(f"flow_runs/{first}/input/paused-1-schema") is not None
    # Meanwhile a person makes another version champion: what is approved now was judged against the one before.
    assert desk.graft("promote", "2", "--reason", "rather this one", "--by", "ben").code == 0
    desk.answer(first, approve=True, by="ann", reason="read the report")
    second = desk.question(process)
    assert second != first
    assert desk.champion() == ("2", "override")
    desk.answer(second, approve=True, by="ann", reason="read it again")
    text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, text
    assert "version 3 is champion" in text
    assert "approval by ann: read it again" in text
    assert desk.champion() == ("3", "approval")
    for run in (first, second):
        desk.wait_for_state(run, "COMPLETED")


def test_a_version_that_was_rolled_back_is_not_promoted_by_the_next_run(desk: Desk, untaught: list[Outcome]) -> None:
    assert desk.champion() == ("3", "approval")
    would = desk.graft("rollback", "--dry-run")
    assert "version 2 would be champion again" in would.text
    assert desk.champion() == ("3", "approval")
    assert desk.graft("rollback", "--reason", "tags suffer", "--by", "ann").code == 0
    assert desk.champion() == ("2", "rollback")
    nightly = desk.graft("run")
    assert nightly.code == 0, nightly.text
    assert "PROMOTE" in nightly.text
    assert "does not become champion: the same judgement made it champion before" in nightly.text
    # It was judged against this champion before, so to judge it again is no work.
    assert set(nightly.steps().values()) == {"reused"}
    assert desk.champion() == ("2", "rollback")


def test_a_known_version_that_another_champion_stands_against_is_judged_again_and_a_no_is_kept(
    desk: Desk, untaught: list[Outcome]
) -> None:
    assert desk.graft("rollback", "--to", "1", "--by", "ann").code == 0
    process = desk.start("run", *WITH_APPROVAL)
    desk.answer(desk.question(process), approve=False, by="ann", reason="not on a Friday")
    text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, text
    assert "version 3 does not become champion: ann said no: not on a Friday" in text
    # The next night the same judgement is not asked about again.
    again = desk.graft("run", *WITH_APPROVAL)
    assert again.code == 0, again.text
    assert "waits for a person" not in again.text
    assert "ann said no: not on a Friday" in again.text
    assert desk.champion() == ("1", "rollback")


def test_a_question_that_nobody_answers_leaves_the_champion_and_ends_the_run_well(
    desk: Desk, untaught: list[Outcome]
) -> None:
    assert desk.graft("promote", "2", "--reason", "for the next question", "--by", "ann").code == 0
    # Judged on one row less, it is another judgement than those that were answered.
    rows = desk.folder / "data" / "test.jsonl"
    rows.write_text("\n".join(rows.read_text(encoding="utf-8").splitlines()[:-1]) + "\n", encoding="utf-8")
    unanswered = desk.graft("run", *WITH_APPROVAL, "--set", "release.timeout_hours=0.001")
    assert unanswered.code == 0, unanswered.text
    assert "does not become champion: nobody answered within 0.001 hours" in unanswered.text
    assert desk.champion() == ("2", "override")


@pytest.fixture
def workers(desk: Desk) -> Iterator[dict[str, Any]]:
    """Workers at the desk's server, whose schedules are switched off; gives its deployments by name."""

    def services(*command: str) -> None:
        subprocess.run([sys.executable, "-m", "flows", *command], cwd=ROOT, env=desk.environment, check=True)

    services("up", "--pipeline", str(desk.folder / "desk.yaml"))
    found = {of["name"]: of for of in desk.api("deployments/filter", {})}
    for deployment in found.values():
        desk.api(f"deployments/{deployment['id']}/pause_deployment", {})
    yield found
    services("down")


def test_a_question_of_a_worker_waits_by_itself_is_asked_once_and_does_as_it_is_answered(
    desk: Desk, untaught: list[Outcome], workers: dict[str, Any]
) -> None:
    before, _ = desk.champion()
    given = {"pipeline": str(desk.folder / "desk.yaml"), "overrides": [WITH_APPROVAL[1]]}
    place = f"deployments/{workers['data-to-model']['id']}/create_flow_run"
    for _ in range(2):
        desk.wait_for_state(desk.api(place, {"parameters": given})["id"], "COMPLETED")
    asked = desk.api("flow_runs/filter", {"deployments": {"name": {"any_": ["approve-version"]}}})
    assert len(asked) == 1
    desk.wait_for_state(asked[0]["id"], "PAUSED")
    with pytest.raises(ProcessLookupError):
        os.kill(int(desk.api(f"flow_runs/{asked[0]['id']}")["infrastructure_pid"]), 0)
    assert desk.champion()[0] == before
    desk.answer(asked[0]["id"], approve=True, by="ann", reason="two nights are enough")
    desk.wait_for_state(asked[0]["id"], "COMPLETED")
    version, kind = desk.champion()
    assert (version != before, kind) == (True, "approval")
    # What graft says is kept with a run of a worker, too, whose log is sent in batches.
    wanted = {"logs": {"flow_run_id": {"any_": [asked[0]["id"]]}}}
    said = wait_for(
        lambda: [of["message"] for of in desk.api("logs/filter", wanted)],
        lambda found: any("is champion" in line for line in found),
        "the log",
        60,
    )
    assert any(f"version {version} waits for a person, up to 24 hours" in line for line in said), said
    assert desk.graft("promote", before, "--reason", "for the next question", "--by", "ann").code == 0


def test_of_two_runs_that_win_against_one_champion_the_later_is_judged_against_the_earlier(
    desk: Desk, untaught: list[Outcome]
) -> None:
    late = desk.start("run", "--set", "training.seed=21", *WITH_APPROVAL)
    question = desk.question(late)
    early = desk.graft("run", "--set", "training.seed=22")
    assert early.code == 0, early.text
    winner, kind = desk.champion()
    assert kind == "promote"
    desk.answer(question, approve=True, by="ann", reason="better than version 2")
    text = desk.rest(late)
    assert late.returncode == 0, text
    assert "judge_candidate: running, because champion changed from" in text
    assert "better than version 2" not in text
    assert desk.champion() == (winner, "promote")
