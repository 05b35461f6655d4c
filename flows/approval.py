"""The question to a person whether a version that won becomes champion: a run that waits, with a form on its page."""

import logging
from datetime import UTC, datetime

from prefect import flow
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL
from pydantic import Field

from data_contracts.artifacts import Approval, ModelVersion, Opponent, Outcome
from flows.dispatch import send, started_by_a_worker
from tasks.registry.task import ReleasePolicy, keep_approval, promote, question_about

steps = logging.getLogger("graft.steps")
SECONDS_AN_HOUR = 3600
SECONDS_BETWEEN_LOOKS = 5


class Answer(RunInput):
    """The form."""

    approve: bool = Field(description="Whether the version becomes champion.")
    by: str = Field(min_length=1, description="Your name, which is kept with the promotion.")
    reason: str = Field("", description="Why; kept, too.")


def promote_or_ask(policy: ReleasePolicy, version: ModelVersion, opponent: Opponent) -> Outcome:
    """What becomes of a judged version; a person is asked first where the pipeline wants one, once about a judgement.

    By hand, the run waits for the answer. On a worker it ends, for it would hold a place that other runs need; the
    question stands by itself, with no process, and its own run does as the answer says.
    """
    question = question_about(version, opponent) if policy.approval == "person" else None
    if question is None:
        return promote(policy, version, opponent)
    outcome: Outcome
    if started_by_a_worker():
        asked = send(approve_version, question, policy=policy, version=version, opponent=opponent)
        since = asked.created or datetime.now(UTC)
        why = f"a person is asked, for {policy.timeout_hours:g} hours from {since:%Y-%m-%d %H:%M} UTC on: "
        outcome = promote(policy, version, opponent, why + _page(asked.id))
        steps.info("approval: %s", outcome.why)
        return outcome
    # One that nobody answers fails in the end, as Prefect has it, and the release goes on without an answer.
    answered = approve_version(policy, version, opponent, return_state=True)
    if not answered.is_completed():
        return promote(policy, version, opponent, f"nobody answered within {policy.timeout_hours:g} hours")
    outcome = answered.result()
    return outcome


@flow(flow_run_name="{version.pipeline} version {version.version}", persist_result=True)
def approve_version(policy: ReleasePolicy, version: ModelVersion, opponent: Opponent) -> Outcome:
    """Wait until a person has answered the form, and make the version champion if that is the answer.

    Args:
        policy: How long to wait.
        version: The version that won its judgement.
        opponent: The champion that it was judged against.
    """
    hours, page = policy.timeout_hours, _page(flow_run.id)
    steps.info("approval: version %d waits for a person, up to %g hours: %s", version.version, hours, page)
    reasons = "\n".join(f"- {reason}" for reason in version.judgement.reasons)
    form = Answer.with_initial_data(
        description=f"**{version.pipeline}: shall version {version.version} become champion?**\n\n{reasons}"
    )
    timeout = round(hours * SECONDS_AN_HOUR)
    if started_by_a_worker():
        # The process ends here; when the form is sent, the run begins once more and gets the answer.
        answer = suspend_flow_run(form, timeout=timeout)
    else:
        answer = pause_flow_run(form, timeout=timeout, poll_interval=SECONDS_BETWEEN_LOOKS)
    approval = Approval(approve=answer.approve, by=answer.by, reason=answer.reason, at=datetime.now(UTC))
    keep_approval(version, opponent, approval)
    outcome = promote(policy, version, opponent)
    steps.info("approval: %s", outcome.why)
    return outcome


def _page(run: object) -> str:
    return f"{PREFECT_UI_URL.value()}/v2/runs/flow-run/{run}"
