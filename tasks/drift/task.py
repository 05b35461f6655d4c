"""Prefect edge of drift."""

from datetime import UTC, datetime

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from prefect.runtime import flow_run

from data_contracts.artifacts import ModelVersion, Predictions, Reference, SourceFiles, TrainedModel, ValidatedSnapshot
from data_contracts.drift import DriftDecision
from tasks.drift.decision import DriftPolicy, WindowCounts
from tasks.drift.ledger import Ledger
from tasks.modeling.heads import heads_of
from tasks.storage.caching import cached_task, steps
from tasks.storage.home import open_store

EVENT = "graft.drift.confirmed"


@cached_task("drift")
def keep_reference(model: TrainedModel, predictions: Predictions, snapshot: ValidatedSnapshot) -> Reference:
    """The held-out rows in domain as the model sees them."""
    from tasks.drift.reference import freeze_reference

    store = open_store()
    with store.draft() as draft:
        heads = heads_of(store.directory(model.digest))
        rows = freeze_reference(
            store.directory(snapshot.digest), store.directory(predictions.digest), heads, output=draft
        )
        return Reference(digest=store.publish(draft), parents=(predictions.digest,), model=model.digest, rows=rows)


@task(cache_policy=NO_CACHE)
def find_learned_windows(pipeline: str) -> tuple[str, ...]:
    """Windows whose freshly labelled rows belong to training, as the ledger has it."""
    return Ledger(open_store(), pipeline).learned_windows()


@task(cache_policy=NO_CACHE)
def decide(
    name: str,
    pipeline: str,
    window: str,
    source: SourceFiles,
    checked: ValidatedSnapshot,
    predictions: Predictions,
    champion: ModelVersion,
    fresh_rows: int,
    policy: DriftPolicy,
) -> DriftDecision:
    """The decision on a window, written to the ledger; one already taken for the same bytes and model is kept."""
    store = open_store()
    ledger = Ledger(store, name)
    known = ledger.decision(source.digest, champion.version)
    if known is not None:
        steps.info("decide: reused, because this window was already judged with version %d", champion.version)
        return known
    from tasks.drift.decision import measure_window, triage

    # Rows that a retraining already learned from are no reason for another one.
    unlearned = 0 if window in ledger.learned_windows() else fresh_rows
    counts = WindowCounts(checked.rows.get("window", 0), sum(checked.quarantined.values()), unlearned)
    measures: dict[str, float] = {}
    if counts.can_be_measured(policy):
        heads = heads_of(store.directory(champion.model.digest))
        reference = store.directory(champion.reference.digest)
        measures = measure_window(reference, store.directory(predictions.digest), heads, policy)
    verdict, retrain, reasons = triage(counts, measures, policy)
    decision = DriftDecision(
        pipeline=pipeline,
        window=window,
        window_digest=source.digest,
        model_version=champion.version,
        verdict=verdict,
        retrain=retrain,
        reasons=tuple(reasons),
        measures=measures,
        decided_at=datetime.now(UTC),
    )
    ledger.record(decision)
    return decision


@task(cache_policy=NO_CACHE)
def announce(name: str, decision: DriftDecision) -> bool:
    """Emits the event that starts `retrain`, unless that is not wanted or already under way; says whether it did."""
    if not decision.retrain:
        return False
    started_by = Ledger(open_store(), name).started_by(decision)
    if started_by is not None:
        get_run_logger().info("flow run %s already retrains for window %s", started_by, decision.window)
        return False
    emit_event(
        event=EVENT,
        resource={"prefect.resource.id": f"graft.pipeline.{name}", "prefect.resource.name": name},
        payload=decision.model_dump(mode="json"),
    )
    return True


@task(cache_policy=NO_CACHE)
def take_up(name: str, decision: DriftDecision) -> bool:
    """Notes in the ledger that this flow run retrains for the decision; False where another one already does."""
    ledger = Ledger(open_store(), name)
    # A run that was killed and is run again finds itself here, and goes on.
    if ledger.started_by(decision) not in (None, str(flow_run.id)):
        return False
    ledger.start(decision, str(flow_run.id))
    return True


@task(cache_policy=NO_CACHE)
def show_decision(name: str, decision: DriftDecision) -> None:
    """Artifact of the run: the verdict on the window, why, and what was measured."""
    reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
    measures = "\n".join(f"| {measure} | {value:.4f} |" for measure, value in decision.measures.items())
    create_markdown_artifact(
        f"# {decision.window}: {decision.verdict}\n\n{reasons}\n\n| measure | value |\n| --- | ---: |\n{measures}\n",
        key=f"{name}-drift",
        description=f"{decision.window} against version {decision.model_version}: {decision.verdict}",
    )
