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
    deployment, plain = _as_sent(target, parameters)
    # A run that is run again finds the work that it had sent.
    key, _ = _latest(deployment, plain, [flow_run.id, deployment, plain], as_subflow=True)
    sent = _run_of(deployment, plain, key, as_subflow=False, poll_interval=2)
    if sent.state is None:
        raise RuntimeError(f"flow run {sent.id} of {deployment} has no state")
    answer: R = sent.state.result()
    return answer


def send(target: Flow[Any, Any], about: str, **parameters: Any) -> FlowRun:
    """The run of the flow's deployment about that matter, which goes on by itself: sent now, unless one is under way or
    did its work, whoever sent it."""
    deployment, plain = _as_sent(target, parameters)
    _, found = _latest(deployment, plain, [deployment, about], as_subflow=False)
    return found


def _as_sent(target: Flow[Any, Any], parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name of the flow's deployment, and the parameters as JSON."""
    plain = {
        key: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for key, value in parameters.items()
    }
    return f"{target.name}/{target.name.replace('_', '-')}", plain


def _latest(deployment: str, parameters: dict[str, Any], about: list[Any], **how: Any) -> tuple[str, FlowRun]:
    """The idempotency key and the run of the first attempt that has not failed, which is sent if there is none."""
    for attempt in itertools.count():
        matter = [*about, *([attempt] if attempt else [])]
        key = hashlib.sha256(json.dumps(matter, sort_keys=True).encode()).hexdigest()
        found = _run_of(deployment, parameters, key, timeout=0, **how)
        # What has failed before it is waited for, an earlier try has sent.
        if found.state is None or not found.state.is_final() or found.state.is_completed():
            break
    return key, found


def _run_of(deployment: str, parameters: dict[str, Any], key: str, **how: Any) -> FlowRun:
    """The flow run with that idempotency key, sent now if there is none, when it has ended or its time is up."""
    return cast(FlowRun, run_deployment(deployment, parameters=parameters, idempotency_key=key, **how))


def started_by_a_worker() -> bool:
    """Whether this process works off a run of a deployment."""
    # To ask prefect.runtime.deployment instead costs a run by hand a call to the server each time.
    return RUN_OF_A_WORKER in os.environ
