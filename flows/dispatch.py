"""Where a part of a run is worked off: in this process when run by hand, on a pool when run as a deployment."""

import hashlib
import json
import os
from typing import Any, TypeVar, cast

from prefect import Flow
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.runtime import flow_run
from pydantic import BaseModel

R = TypeVar("R")
# Prefect's workers set it in the process of a run, and prefect.runtime.flow_run reads it. To ask
# prefect.runtime.deployment instead costs a run by hand a call to the server each time.
RUN_OF_A_WORKER = "PREFECT__FLOW_RUN_ID"


def on_pool(target: Flow[Any, R], **parameters: Any) -> R:
    """The flow's result. As part of a deployed run the flow is sent to the pool of its own deployment.

    The idempotency key is that of the run and the parameters, so a run that is retried finds the work it had sent.
    """
    if not started_by_a_worker():
        result: R = target(**parameters)
        return result
    name = target.name.replace("_", "-")
    plain = {
        key: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for key, value in parameters.items()
    }
    key = hashlib.sha256(json.dumps([flow_run.id, name, plain], sort_keys=True).encode()).hexdigest()
    sent = cast(
        FlowRun, run_deployment(f"{target.name}/{name}", parameters=plain, idempotency_key=key, poll_interval=2)
    )
    if sent.state is None:
        raise RuntimeError(f"flow run {sent.id} of {name} has no state")
    answer: R = sent.state.result()
    return answer


def started_by_a_worker() -> bool:
    """Whether this process works off a run of a deployment."""
    return RUN_OF_A_WORKER in os.environ
