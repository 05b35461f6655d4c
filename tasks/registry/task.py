"""Prefect edge of the registry: versions, and which one is champion.

`task_versions.py` has what people ask of them, `task_passports.py` what a version was made from.
"""

from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.artifacts import (
    Approval,
    Assessment,
    Judgement,
    ModelVersion,
    Opponent,
    Outcome,
    Reference,
    Replaced,
    Report,
    TrainedModel,
)
from tasks.modeling.history import read_history
from tasks.registry import promoting
from tasks.registry.approval import ReleasePolicy, answer_to, keep_answer, question
from tasks.registry.promoting import outcome_without_asking, promote_if_approved, promote_if_won
from tasks.registry.task_versions import open_registry, version_numbered
from tasks.registry.versions import RunRecord
from tasks.storage.caching import steps
from tasks.storage.home import open_store

__all__ = [
    "ReleasePolicy",
    "find_challenger",
    "find_opponent",
    "find_replaced",
    "keep_approval",
    "promote",
    "question_about",
    "register_version",
    "require_champion",
    "roll_back_champion",
]


@task(cache_policy=NO_CACHE)
def find_opponent(pipeline: str, model: TrainedModel) -> Opponent:
    """The champion, to judge `model` against; for the champion itself, whoever it was judged against last."""
    return promoting.opponent_of(open_registry(pipeline), model)


@task(cache_policy=NO_CACHE)
def register_version(
    pipeline: str,
    model: TrainedModel,
    reference: Reference,
    judgement: Judgement,
    assessment: Assessment,
    report: Report,
    parameters: dict[str, Any],
) -> ModelVersion:
    """The model's version with this judgement: registered once, and told of every judgement that is another."""
    registry = open_registry(pipeline)
    known = registry.version_of(model.digest)
    if known is not None and known.judgement == judgement:
        steps.info("register_version: reused, because version %d already holds this model", known.version)
        return registry.complete(known)
    metrics = {f"{task}/{split}": value for task, of in assessment.scores.items() for split, value in of.items()}
    store = open_store()
    page, epochs = store.directory(report.digest) / "report.html", read_history(store.directory(model.digest))
    record = RunRecord(parameters, metrics, (page,), epochs, assessment.snapshot)
    if known is not None:
        steps.info("register_version: running, because version %d was judged again", known.version)
        return registry.judge_again(known, judgement, record)
    steps.info("register_version: running, because the model is new to the registry")
    return registry.register(model, reference, judgement, record)


@task(cache_policy=NO_CACHE)
def find_challenger(pipeline: str) -> ModelVersion | None:
    """The version that was not promoted and may yet be, if there is one."""
    return open_registry(pipeline).challenger()


@task(cache_policy=NO_CACHE)
def question_about(version: ModelVersion, opponent: Opponent) -> str | None:
    """What tells the question about this judgement from others; None where a person's answer is not all that lacks."""
    if answer_to(open_store(), version, opponent) is not None:
        return None
    settled = outcome_without_asking(open_registry(version.pipeline), version, opponent)
    return question(version, opponent) if settled is None else None


@task(cache_policy=NO_CACHE)
def keep_approval(version: ModelVersion, opponent: Opponent, approval: Approval) -> Approval:
    """Keeps what a person answered about this judgement of the version while that opponent is champion."""
    return keep_answer(open_store(), version, opponent, approval)


@task(cache_policy=NO_CACHE)
def promote(
    policy: ReleasePolicy, version: ModelVersion, opponent: Opponent, unanswered: str = "nobody has answered yet"
) -> Outcome:
    """Makes the version champion if it won against the one that is champion now, and a person agrees where one must.

    Where no answer is kept, `unanswered` says why.
    """
    registry, now = open_registry(version.pipeline), datetime.now(UTC)
    if policy.approval == "none":
        return promote_if_won(registry, version, opponent, None, now)
    answer = answer_to(open_store(), version, opponent)
    return promote_if_approved(registry, version, opponent, answer, unanswered, now)


@task(cache_policy=NO_CACHE)
def require_champion(pipeline: str) -> ModelVersion:
    """The version in use. Raises InputError before the first promotion."""
    return version_numbered(pipeline, None)


@task(cache_policy=NO_CACHE)
def find_replaced(champion: ModelVersion) -> Replaced | None:
    """The version that lost to this champion at the gate; None where a person chose otherwise, or none was before."""
    return promoting.replaced_by(open_registry(champion.pipeline), champion)


@task(cache_policy=NO_CACHE)
def roll_back_champion(replaced: Replaced, reason: str) -> bool:
    """Makes the version before champion again, for a reason that was measured, unless another promotion came since;
    says whether the monitoring did so."""
    return promoting.bring_back(open_registry(replaced.version.pipeline), replaced, reason, datetime.now(UTC))
