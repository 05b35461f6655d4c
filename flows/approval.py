"""The question to a person whether a version that won becomes champion: a run that pauses, with a form on its page."""

import logging
from datetime import UTC, datetime

from prefect import flow
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL
from pydantic import Field

from data_contracts.artifacts import Approval, ModelVersion, Opponent
from tasks.registry.task import ReleasePolicy, keep_approval, waits_for_approval

steps = logging.getLogger("graft.steps")
SECONDS_AN_HOUR = 3600
SECONDS_BETWEEN_LOOKS = 5


class Answer(RunInput):
    """The form."""

    approve: bool = Field(description="Whether the version becomes champion.")
    by: str = Field(min_length=1, description="Your name, which is kept with the promotion.")
    reason: str = Field("", description="Why; kept, too.")


def ask_for_approval(policy: ReleasePolicy, version: ModelVersion, opponent: Opponent) -> None:
    """Asks a person where the pipeline wants one and this judgement was not asked about; the answer is kept.

    The question is a run of its own: one that nobody answers fails in the end, as Prefect has it, and the release goes
    on without an answer.
    """
    if policy.approval == "none" or not waits_for_approval(version, opponent):
        return
    answered = approve_version(version, policy.timeout_hours, return_state=True)
    if answered.is_completed():
        keep_approval(version, opponent, answered.result())


@flow(flow_run_name="{version.pipeline} version {version.version}", persist_result=True)
def approve_version(version: ModelVersion, timeout_hours: float) -> Approval:
    """Pause until a person has answered the form.

    Args:
        version: The version that won its judgement.
        timeout_hours: How long to wait.
    """
    page = f"{PREFECT_UI_URL.value()}/v2/runs/flow-run/{flow_run.id}"
    steps.info("approval: version %d waits for a person, up to %g hours: %s", version.version, timeout_hours, page)
    reasons = "\n".join(f"- {reason}" for reason in version.judgement.reasons)
    form = Answer.with_initial_data(
        description=f"**{version.pipeline}: shall version {version.version} become champion?**\n\n{reasons}"
    )
    answer = pause_flow_run(form, timeout=round(timeout_hours * SECONDS_AN_HOUR), poll_interval=SECONDS_BETWEEN_LOOKS)
    return Approval(approve=answer.approve, by=answer.by, reason=answer.reason, at=datetime.now(UTC))
