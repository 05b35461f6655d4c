"""Prefect edge of drift: the event that starts a retraining, who takes it up, and how it ended."""

from datetime import UTC, datetime
from uuid import UUID

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

from data_contracts.artifacts import Release
from data_contracts.drift import DriftDecision
from tasks.drift.delivery import (
    REDELIVER_MINUTES,
    claim_event,
    event_is_due,
    finish_retraining,
    take_up_retraining,
)
from tasks.drift.history import retrainings
from tasks.drift.ledger import DriftLedger, pipelines_with_a_ledger
from tasks.storage.caching import steps
from tasks.storage.home import open_store

__all__ = [
    "EVENT",
    "REDELIVER_MINUTES",
    "announce",
    "close_lost",
    "deliver_again",
    "find_ledgers",
    "finish",
    "note_failure",
    "take_up",
    "why_over",
]
EVENT = "graft.drift.confirmed"
HEARTBEAT = "prefect.flow-run.heartbeat"
# A run on a worker sends one every three minutes.
SILENT_MINUTES = 20


@task(cache_policy=NO_CACHE)
def announce(name: str, decision: DriftDecision) -> bool:
    """Sends the event that starts `retrain`, unless that is not wanted or already under way; says whether it did."""
    if not decision.retrain or not claim_event(DriftLedger(open_store(), name), decision, datetime.now(UTC)):
        return False
    _send(name, decision)
    return True


@task(cache_policy=NO_CACHE)
def take_up(name: str, decision: DriftDecision) -> bool:
    """Notes in the ledger that this flow run retrains for the decision; False where another one already does."""
    run = str(flow_run.id)
    if take_up_retraining(DriftLedger(open_store(), name), decision, run, datetime.now(UTC)):
        return True
    steps.info("take_up: nothing to do, because another flow run already retrains for window %s", decision.window)
    return False


@task(cache_policy=NO_CACHE)
def finish(name: str, decision: DriftDecision, released: Release) -> None:
    """Notes in the ledger how the retraining of this flow run ended."""
    verdict, version, now = released.judgement.verdict, released.version.version, datetime.now(UTC)
    finish_retraining(DriftLedger(open_store(), name), decision, str(flow_run.id), verdict, version, now)


def note_failure(name: str, decision: DriftDecision, run: str) -> None:
    """Notes in the ledger that the retraining of a flow run failed, if it was that run's and has no end."""
    finish_retraining(DriftLedger(open_store(), name), decision, run, "FAILED", None, datetime.now(UTC))


@task(cache_policy=NO_CACHE)
def find_ledgers() -> tuple[str, ...]:
    """Pipelines whose windows were judged."""
    return pipelines_with_a_ledger(open_store())


@task(cache_policy=NO_CACHE)
def close_lost(name: str, dry_run: bool) -> list[str]:
    """Notes the failure of retrainings whose flow run is over without their end; says which, or would be."""
    ledger, done = DriftLedger(open_store(), name), []
    for found in retrainings(ledger.entries()):
        if found.flow_run is None or found.end is not None:
            continue
        why = why_over(found.flow_run, datetime.now(UTC))
        if why is None:
            continue
        if dry_run or finish_retraining(ledger, found.decision, found.flow_run, "FAILED", None, datetime.now(UTC)):
            done.append(f"{name}: the retraining for {found.decision.window} failed: {why}")
    return done


@task(cache_policy=NO_CACHE)
def deliver_again(name: str, pipeline: str | None, redeliver_minutes: float, dry_run: bool) -> list[str]:
    """Sends the events of decisions that nobody took up, where they are due; says which, or would be.

    `pipeline` is where the pipeline is found today, whose file may have been moved since; None where it is gone.
    """
    ledger, done = DriftLedger(open_store(), name), []
    for found in retrainings(ledger.entries()):
        now, decision = datetime.now(UTC), found.decision
        if not event_is_due(found, now, redeliver_minutes):
            continue
        if pipeline is None:
            done.append(
                f"{name}: the event for {decision.window} is not sent, because no pipeline is called so any more"
            )
        elif dry_run:
            done.append(f"{name}: the event for {decision.window} is to be sent")
        elif claim_event(ledger, decision, now, redeliver_minutes):
            _send(name, decision.model_copy(update={"pipeline": pipeline}))
            done.append(f"{name}: the event for {decision.window} was sent, for the {_times(len(found.announced) + 1)}")
    return done


def why_over(run: str, now: datetime) -> str | None:
    """Why a flow run will not go on, as far as the server knows; None where it may."""
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(UUID(run)).state
        except ObjectNotFound:
            return f"the server knows no flow run {run}"
        if state is not None and state.is_final():
            return f"flow run {run} is {state.name}{f': {state.message}' if state.message else ''}"
        if state is None or not state.is_running():
            return None
        # Where a whole machine is gone, nobody is left to say so: the run stays as it was and falls silent.
        resource = EventResourceFilter(id=[f"prefect.flow-run.{run}"])
        beats = client.read_events(EventFilter(event=EventNameFilter(name=[HEARTBEAT]), resource=resource), limit=1)
    minutes = (now.timestamp() - beats.events[0].occurred.timestamp()) / 60 if beats.events else 0.0
    return f"flow run {run} has been silent for {minutes:.0f} minutes" if minutes > SILENT_MINUTES else None


def _send(name: str, decision: DriftDecision) -> None:
    emit_event(
        event=EVENT,
        resource={"prefect.resource.id": f"graft.pipeline.{name}", "prefect.resource.name": name},
        payload=decision.model_dump(mode="json"),
    )
    get_run_logger().info("the event for %s was sent", decision.window)


def _times(count: int) -> str:
    return "first time" if count == 1 else f"{count}. time"
