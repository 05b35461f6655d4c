"""Where a part of a run is worked off: in this process when run by hand, on a pool when run as a deployment."""

import hashlib
import itertools
import json
import os
from typing import Any, TypeVar, cast

from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.runtime import flow_run
from pydantic import BaseModel

from flows.processes import RUN_OF_A_WORKER

R = TypeVar("R")


def on_pool(target: Flow[Any, R], **parameters: Any) -> R:
    """The flow's result. As part of a deployed run the flow is sent to the pool of its own deployment."""
    if not started_by_a_worker():
        result: R = target(**parameters)
        return result
    name = target.name.replace("_", "-")
    plain = {
        key: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for key, value in parameters.items()
    }
    sent = _sent(f"{target.name}/{name}", plain)
    if sent.state is None:
        raise RuntimeError(f"flow run {sent.id} of {name} has no state")
    answer: R = sent.state.result()
    return answer


def _sent(deployment: str, parameters: dict[str, Any]) -> FlowRun:
    """The run that did the work, at its end.

    The idempotency key is that of the run, the parameters and the attempt: a run that is run again finds the work it
    had sent, and sends it once more where that had failed.
    """
    for attempt in itertools.count():
        about = [flow_run.id, deployment, parameters, *([attempt] if attempt else [])]
        key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
        found = _run_of(deployment, parameters, key, timeout=0)
        # What has failed before it is waited for, an earlier try of this run has sent.
        if found.state is None or not found.state.is_final() or found.state.is_completed():
            break
    return _run_of(deployment, parameters, key, as_subflow=False, poll_interval=2)


def _run_of(deployment: str, parameters: dict[str, Any], key: str, **how: Any) -> FlowRun:
    """The flow run with that idempotency key, sent now if there is none, when it has ended or its time is up."""
    return cast(FlowRun, run_deployment(deployment, parameters=parameters, idempotency_key=key, **how))


def started_by_a_worker() -> bool:
    """Whether this process works off a run of a deployment."""
    # To ask prefect.runtime.deployment instead costs a run by hand a call to the server each time.
    return RUN_OF_A_WORKER in os.environ
