"""Runs whose process is gone without a word, which the server takes for running until somebody tells it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psutil

from flows.processes import RUN_OF_A_WORKER

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
        dead = [run for run in of_workers if not _lives(str(run.id), run.infrastructure_pid)]
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


def _lives(run: str, pid: str | None) -> bool:
    """Whether the process of that number is one of this run: after a reboot it may be anybody's."""
    if pid is None or not pid.isdigit():
        return False
    try:
        return psutil.Process(int(pid)).environ().get(RUN_OF_A_WORKER) == run
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        # Somebody else's worker may have started it.
        return True
