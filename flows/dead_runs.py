"""Runs whose process is gone without a word, which the server takes for running until somebody tells it."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

AT_WORK = ("RUNNING", "PENDING")


def close_dead_runs(why: str, states: Sequence[str] = AT_WORK) -> list[str]:
    """Marks runs of deployments whose process does not live on this machine as crashed; gives their names.

    For a server on loopback, whose workers are all on its machine. What they were at is not taken up again by itself.
    Beside a worker a pending run may be about to get its process, so only RUNNING ones are to be looked at then.
    """
    # Prefect reads its settings when it is imported, so the environment has to be set before.
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        of_workers = _find(client, states, deployment_id={"is_null_": False})
        dead = [run for run in of_workers if not _lives(run.infrastructure_pid)]
        for run in dead:
            _close(client, run, why)
        return [f"{client.read_flow(run.flow_id).name} of {run.name}" for run in dead]


def _close(client: "SyncPrefectClient", run: "FlowRun", why: str) -> None:
    """Of the run, and of the runs in the same process: a question to a person would stand on, and nobody hear it."""
    from prefect.states import Crashed

    client.set_flow_run_state(run.id, Crashed(message=why), force=True)
    same_process = {"deployment_id": {"is_null_": True}, "parent_flow_run_id": {"any_": [run.id]}}
    for part in _find(client, (*AT_WORK, "PAUSED"), **same_process):
        _close(client, part, why)


def _find(client: "SyncPrefectClient", states: Sequence[str], **wanted: Any) -> "list[FlowRun]":
    from prefect.client.schemas.filters import FlowRunFilter

    wanted["state"] = {"type": {"any_": list(states)}}
    return client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))


def _lives(pid: str | None) -> bool:
    if pid is None or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody else's worker started it.
        return True
    return True
