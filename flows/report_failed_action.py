"""The watchdog of the automations: an event that could start nothing is said aloud."""

from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

REMEDY = (
    "What was decided stands in the drift ledger (`graft drift PIPELINE`). Mend the cause - is there a worker pool, "
    "is the deployment there, does it know the parameters? `graft up` deploys prefect.yaml anew - then `graft "
    "reconcile` sends the event again; its schedule does, too."
)


@flow(persist_result=True)
def report_failed_action(event: dict[str, Any]) -> str:
    """Say in an artifact and in the log which automation failed to act, why, and what to do.

    Args:
        event: The whole event `prefect.automation.action.failed`, as the server sends it.
    """
    resource, payload = event.get("resource") or {}, event.get("payload") or {}
    name = resource.get("prefect.resource.name", "an automation")
    action = payload.get("action_type", "action unknown")
    said = f"automation {name!r} could not act ({action}): {payload.get('reason', 'no reason was given')}"
    get_run_logger().error("%s. %s", said, REMEDY)
    create_markdown_artifact(
        f"# {said}\n\n{event.get('occurred', '')}\n\n{REMEDY}\n", key="failed-actions", description=said
    )
    return said
