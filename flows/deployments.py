"""prefect.yaml at the server: its deployments, and a schedule for each pipeline that runs by itself."""

import contextlib
import copy
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from data_contracts.errors import InputError
from flows.pipeline import open_pipeline, pipeline_reference
from flows.processes import ROOT

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import DeploymentSchedule
    from prefect.client.schemas.responses import DeploymentResponse

WATCHING = "watch-windows"


@dataclass(frozen=True)
class Scheduled:
    """A pipeline that runs by itself. `reference` is what a worker finds it by; only one with windows is watched.

    `mistake` is why it cannot be used at the moment, which its runs say, too.
    """

    name: str
    reference: str
    has_windows: bool
    mistake: str = ""


def scheduled(reference: str) -> Scheduled:
    """The pipeline of that name or path, as one that runs by itself. Raises InputError where it cannot be used."""
    plan = open_pipeline(reference)
    return Scheduled(plan.name, pipeline_reference(reference), plan.data.windows is not None)


def read_deployments() -> dict[str, Any]:
    """What prefect.yaml says. Raises InputError where there is none."""
    path = ROOT / "prefect.yaml"
    if not path.is_file():
        raise InputError(
            f"{path} does not exist: `graft up` needs a checkout of the repository, not an installed wheel."
        )
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def with_schedules(content: dict[str, Any], pipelines: Sequence[Scheduled]) -> dict[str, Any]:
    """The same with every schedule of a pipeline once for each of these."""
    content = copy.deepcopy(content)
    for entry in _of_a_pipeline(content):
        entry["schedules"] = [
            {**schedule, "slug": f"{schedule['slug']}-{of.name}", "parameters": {"pipeline": of.reference}}
            for of in pipelines
            if of.has_windows or entry["name"] != WATCHING
            for schedule in entry["schedules"]
        ]
    return content


def scheduled_already(content: dict[str, Any]) -> list[Scheduled]:
    """The pipelines that the server runs by itself. One that cannot be used keeps no other from running."""
    found: dict[str, Scheduled] = {}
    with _client() as client:
        for entry in _of_a_pipeline(content):
            default = entry["parameters"]["pipeline"]
            for schedule in _schedules_of(client, entry):
                reference = schedule.parameters.get("pipeline", default)
                name = _pipeline_in(schedule.slug or "", entry) or default
                of = found.setdefault(reference, Scheduled(name, reference, has_windows=False))
                found[reference] = replace(of, has_windows=of.has_windows or entry["name"] == WATCHING)
    return [_as_it_is(of) for of in found.values()]


def _as_it_is(before: Scheduled) -> Scheduled:
    try:
        return scheduled(before.reference)
    except InputError as error:
        return replace(before, mistake=str(error))


def deploy(content: dict[str, Any], pipelines: Sequence[Scheduled], folder: Path) -> tuple[list[str], list[str]]:
    """Deploys what prefect.yaml says, scheduled for these pipelines and no others.

    Gives what runs by itself, and what does not because people switched it off: `prefect deploy` alone would switch
    it on again. `folder` keeps the file that was deployed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted, path = with_schedules(content, pipelines), folder / "prefect.yaml"
    with _client() as client:
        off = [line for entry in wanted["deployments"] for line in _leave_off(client, entry)]
        _remove_gone(client, _deployed_before(path), wanted)
    path.write_text(yaml.safe_dump(wanted, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"prefect deploy failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    lines = []
    with _client() as client:
        for before, entry in zip(_of_a_pipeline(content), _of_a_pipeline(wanted), strict=True):
            # Deploying adds schedules and changes them; those of pipelines that are not named any more it leaves.
            kept = {schedule["slug"] for schedule in entry["schedules"]}
            for schedule in _schedules_of(client, before):
                if schedule.slug not in kept and schedule.deployment_id is not None:
                    client.delete_deployment_schedule(schedule.deployment_id, schedule.id)
            of = ", ".join(schedule["parameters"]["pipeline"] for schedule in entry["schedules"])
            lines.append(f"{entry['name']} of {of or 'none, for none names `data.windows`'}")
    return lines, off


def _deployed_before(path: Path) -> list[dict[str, Any]]:
    """The deployments that this home made the last time; none where that cannot be read."""
    with contextlib.suppress(OSError, yaml.YAMLError, TypeError, KeyError):
        return list(yaml.safe_load(path.read_text(encoding="utf-8"))["deployments"])
    return []


def _remove_gone(client: "SyncPrefectClient", before: Sequence[dict[str, Any]], wanted: dict[str, Any]) -> None:
    """Removes deployments that prefect.yaml has no more: their runs would fail, by their schedules for ever."""
    kept = {entry["name"] for entry in wanted["deployments"]}
    for entry in before:
        if entry["name"] not in kept and (deployment := _deployed(client, entry)) is not None:
            client.delete_deployment(deployment.id)


def _leave_off(client: "SyncPrefectClient", entry: dict[str, Any]) -> Iterator[str]:
    """Switches off in the entry what is off at the server, a line for each."""
    if (deployment := _deployed(client, entry)) is None:
        return
    if deployment.paused:
        entry["paused"] = True
        yield f"deployment {entry['name']}"
    inactive = {schedule.slug for schedule in deployment.schedules if not schedule.active}
    for schedule in entry.get("schedules", []):
        if schedule["slug"] in inactive:
            schedule["active"] = False
            yield f"schedule {schedule['slug']}"
    for trigger in entry.get("triggers", []):
        found = client.read_automations_by_name(trigger["name"])
        if found and not any(automation.enabled for automation in found):
            trigger["enabled"] = False
            yield f"automation {trigger['name']}"


def _of_a_pipeline(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The deployments that run by themselves, each time for one pipeline."""
    return [e for e in content["deployments"] if "schedules" in e and "pipeline" in e.get("parameters", {})]


def _schedules_of(client: "SyncPrefectClient", entry: dict[str, Any]) -> "list[DeploymentSchedule]":
    """The server's schedules of an entry of prefect.yaml, of whatever pipeline; those that people made are others."""
    if (deployment := _deployed(client, entry)) is None:
        return []
    # Of a pipeline, or as `prefect deploy` makes them of prefect.yaml itself.
    own = re.compile("|".join(f"{re.escape(schedule['slug'])}(-.*)?" for schedule in entry["schedules"]))
    return [schedule for schedule in deployment.schedules if own.fullmatch(schedule.slug or "")]


def _pipeline_in(slug: str, entry: dict[str, Any]) -> str:
    """The name of the pipeline in a slug as `with_schedules` makes them; empty where there is none."""
    beginnings = (f"{schedule['slug']}-" for schedule in entry["schedules"])
    return next((slug.removeprefix(beginning) for beginning in beginnings if slug.startswith(beginning)), "")


def _deployed(client: "SyncPrefectClient", entry: dict[str, Any]) -> "DeploymentResponse | None":
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(f"{entry['name']}/{entry['name']}")
    except ObjectNotFound:
        return None


def _client() -> "SyncPrefectClient":
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)
