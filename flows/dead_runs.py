"""Runs whose process is gone without a word, which the server takes for running until somebody tells it."""

from flows.processes import is_alive


def close_dead_runs(why: str) -> list[str]:
    """Marks runs of deployments whose process does not live on this machine as crashed; gives their names.

    For a server on loopback, whose workers are all on its machine. What they were at is not taken up again by itself.
    """
    # Prefect reads its settings when it is imported, so the environment has to be set before.
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.states import Crashed

    unfinished = FlowRunFilter.model_validate(
        {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}, "deployment_id": {"is_null_": False}}
    )
    closed = []
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=unfinished):
            if not _lives(run.infrastructure_pid):
                client.set_flow_run_state(run.id, Crashed(message=why), force=True)
                closed.append(f"{client.read_flow(run.flow_id).name} of {run.name}")
    return closed


def _lives(pid: str | None) -> bool:
    return pid is not None and pid.isdigit() and is_alive(int(pid))
