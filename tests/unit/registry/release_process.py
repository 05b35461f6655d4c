"""What a run does at the end, in a process of its own: registers a model and promotes it if it won."""

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from data_contracts.artifacts import Judgement, Opponent, Reference, TrainedModel, Verdict
from tasks.registry.promoting import adopt, mend, promote_if_won
from tasks.registry.promotions import PromotionLedger
from tasks.registry.versions import Registry, RunRecord
from tasks.storage.store import Store

WRITES = (
    *("create_experiment", "create_run", "log_param", "log_metric", "set_terminated", "create_registered_model"),
    *("create_model_version", "set_model_version_tag", "set_registered_model_alias", "delete_registered_model_alias"),
)


def open_registry(home: Path, tracking_uri: str | None = None) -> Registry:
    """The registry of pipeline `shop` in a folder, as a command opens it."""
    ledger = PromotionLedger(Store(str(home / "store"), cache=home / "unused"), "shop")
    registry = Registry(tracking_uri or f"sqlite:///{home / 'mlflow.db'}", "shop", home / "artifacts", ledger)
    adopt(registry, datetime.now(UTC))
    mend(registry)
    return registry


def opponent_in(registry: Registry) -> Opponent:
    """The champion as a run finds it before it judges."""
    entry = registry.ledger.last()
    if entry is None:
        return Opponent(model=None, entry=0)
    return Opponent(model=registry.promoted(entry).model, entry=entry.number)


def release(registry: Registry, model: TrainedModel, opponent: Opponent, verdict: Verdict = "PROMOTE") -> bool:
    """Judges the model against the opponent, registers it and promotes it if it won; whether another one was
    overtaking."""
    champion = opponent.model.digest if opponent.model else None
    # Like the gate's, the digest follows from who was judged against whom.
    digest = f"{int(model.digest, 16) ^ int(champion or '0', 16):064x}"
    judged = Judgement(digest=digest, verdict=verdict, reasons=("so",), candidate=model.digest, champion=champion)
    record = RunRecord({"epochs": 3}, {"intent/test": 0.75}, ())
    known = registry.version_of(model.digest)
    if known is None:
        version = registry.register(model, Reference(digest="8" * 64, model=model.digest, rows=1), judged, record)
    elif known.judgement.digest == digest:
        version = registry.complete(known)
    else:
        version = registry.judge_again(known, judged, record)
    return promote_if_won(registry, version, opponent, None, datetime.now(UTC)).overtaken


def release_and_die(home: Path, model: TrainedModel, step: int, verdict: Verdict = "PROMOTE") -> None:
    """The whole of it, killed right before the write of that number, counted from 1."""
    writes = iter(range(1, 1000))

    def killed_before(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            if next(writes) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return counted

    for name in WRITES:
        setattr(MlflowClient, name, killed_before(getattr(MlflowClient, name)))
    setattr(PromotionLedger, "add", killed_before(PromotionLedger.add))  # noqa: B010
    registry = open_registry(home)
    release(registry, model, opponent_in(registry), verdict)


def release_at_once(home: Path, model: TrainedModel, together: Any, answers: Any) -> None:
    """Judges against the champion together with the others, and again where another one was faster."""
    registry = open_registry(home)
    seen = opponent_in(registry)
    together.wait(60)
    times = 1
    while release(registry, model, seen):
        seen = opponent_in(registry)
        times += 1
    answers.put((model.digest[0], times))
