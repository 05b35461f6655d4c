"""Who becomes champion: by a judgement, by a person's word, or by a rollback; each is one entry of the ledger."""

import logging
import tempfile
from datetime import datetime
from pathlib import Path

from data_contracts.artifacts import (
    Approval,
    ModelVersion,
    Opponent,
    Outcome,
    Promotion,
    PromotionKind,
    Replaced,
    TrainedModel,
)
from data_contracts.errors import InputError
from tasks.registry.aliases import CHALLENGER, CHAMPION, PREVIOUS
from tasks.registry.promotions import GATE, MONITORING, became_of, in_words, last_of, next_entry, why_not_again
from tasks.registry.versions import Registry

BECAME = "what_became_of_it.txt"
logger = logging.getLogger(__name__)


def opponent_of(registry: Registry, model: TrainedModel) -> Opponent:
    """The champion, to judge `model` against; for the champion itself, whoever it was judged against last."""
    entries = registry.ledger.entries()
    if not entries:
        return Opponent(model=None, entry=0)
    opponent: ModelVersion | None = registry.promoted(entries[-1])
    if opponent is not None and opponent.model.digest == model.digest:
        judged_against = opponent.judgement.champion
        opponent = registry.version_of(judged_against) if judged_against else None
    if opponent is None:
        return Opponent(model=None, entry=entries[-1].number)
    # Not what brought it back: a model that was judged against it before keeps its report, and is no work.
    made = last_of([e for e in entries if e.kind != "rollback"], opponent.version) or last_of(entries, opponent.version)
    title = f"version {opponent.version}, {in_words(made) if made else 'which is in no entry of the ledger'}"
    return Opponent(model=opponent.model, entry=entries[-1].number, title=title)


def promote_if_won(
    registry: Registry, version: ModelVersion, opponent: Opponent, approval: Approval | None, at: datetime
) -> Outcome:
    """Makes the version champion after `opponent` where its judgement says PROMOTE and nothing is in the way.

    `approval` is a person's answer, or None where none is wanted.
    """
    settled = outcome_without_asking(registry, version, opponent)
    if settled is not None:
        return settled
    last = registry.ledger.last()
    if approval is None:
        entry = next_entry(last, version, "promote", GATE, version.judgement.reasons[0], at)
    elif approval.approve:
        entry = next_entry(last, version, "approval", approval.by, approval.reason, at)
    else:
        return stays(version, f"{approval.by} said no{f': {approval.reason}' if approval.reason else ''}")
    if entry.number != opponent.entry + 1 or not registry.ledger.add(entry):
        return _overtaken(version, registry.ledger.last())
    follow(registry)
    aliases = tuple(sorted({CHAMPION, *version.aliases} - {CHALLENGER, PREVIOUS}))
    promoted = version.model_copy(update={"aliases": aliases})
    return Outcome(version=promoted, why=f"version {version.version} is champion: {in_words(entry)}")


def promote_if_approved(
    registry: Registry,
    version: ModelVersion,
    opponent: Opponent,
    answer: Approval | None,
    unanswered: str,
    at: datetime,
) -> Outcome:
    """The same where a person has to agree; `unanswered` is why there is no `answer`, where there is none."""
    if answer is None:
        settled = outcome_without_asking(registry, version, opponent)
        return settled or stays(version, unanswered)
    return promote_if_won(registry, version, opponent, answer, at)


def outcome_without_asking(registry: Registry, version: ModelVersion, opponent: Opponent) -> Outcome | None:
    """What becomes of the version whatever a person would say; None where it is to become champion."""
    entries = registry.ledger.entries()
    last = entries[-1] if entries else None
    if last is not None and last.model == version.model.digest:
        return Outcome(version=version, why=f"version {last.version} is champion: {in_words(last)}")
    if version.judgement.verdict != "PROMOTE":
        return stays(version, f"the gate says {version.judgement.verdict}")
    if (last.number if last else 0) != opponent.entry:
        return _overtaken(version, last)
    obstacle = why_not_again(entries, version)
    return stays(version, obstacle) if obstacle else None


def stays(version: ModelVersion, why: str) -> Outcome:
    """The version becomes no champion, and how a person makes it one."""
    by_hand = f"`graft promote {version.pipeline} {version.version} --reason TEXT` makes it champion all the same"
    return Outcome(version=version, why=f"version {version.version} does not become champion: {why}. {by_hand}")


def override(registry: Registry, number: int, by: str, reason: str, at: datetime) -> Promotion:
    """Makes a version champion because a person says so, whatever the gate said; the reason is kept in the ledger.

    It is an approval where the gate's judgement would do so, too.
    """
    if not reason.strip():
        raise InputError("a promotion by hand needs a reason: --reason TEXT; it is kept with the version")
    version, entries = registry.version(number), registry.ledger.entries()
    last = entries[-1] if entries else None
    _refuse_champion(last, version)
    against_champion = version.judgement.champion == (last.model if last else None)
    won = version.judgement.verdict == "PROMOTE" and against_champion and why_not_again(entries, version) is None
    kind: PromotionKind = "approval" if won else "override"
    return _decide(registry, next_entry(last, version, kind, by, reason.strip(), at))


def rollback(
    registry: Registry, to: int | None, by: str, reason: str, at: datetime, dry_run: bool = False
) -> Promotion:
    """Makes an earlier champion champion again: the previous one, or version `to`. A dry run only says which."""
    entries = registry.ledger.entries()
    last = entries[-1] if entries else None
    pipeline = registry.pipeline
    if last is None:
        raise InputError(
            f"pipeline {pipeline} has no champion to roll back from. `graft models {pipeline}` lists its versions."
        )
    number = last.previous if to is None else to
    if number is None:
        raise InputError(
            f"pipeline {pipeline} has no previous champion to roll back to: version {last.version} is its first. "
            f"`graft models {pipeline}` lists its versions."
        )
    version = registry.version(number)
    _refuse_champion(last, version)
    once = {entry.version for entry in entries} | {entry.previous for entry in entries}
    if number not in once:
        were = ", ".join(str(number) for number in sorted(known for known in once if known is not None))
        raise InputError(
            f"version {number} of {pipeline} was never champion, so there is nothing to roll back to; those that were: "
            f"{were}. `graft promote {pipeline} {number} --reason TEXT` makes it champion."
        )
    entry = next_entry(last, version, "rollback", by, reason.strip(), at)
    return entry if dry_run else _decide(registry, entry)


def replaced_by(registry: Registry, champion: ModelVersion) -> Replaced | None:
    """The version that the champion replaced by its judgement; None where a person chose otherwise, or none was."""
    last = registry.ledger.last()
    if last is None or last.version != champion.version or last.kind not in ("promote", "approval"):
        return None
    # Somebody may have deleted it from the tracking server.
    found = next((version for version in registry.versions() if version.version == last.previous), None)
    return None if found is None else Replaced(version=found, promotion=last)


def bring_back(registry: Registry, replaced: Replaced, reason: str, at: datetime) -> bool:
    """A rollback for a reason that was measured; nothing where another promotion came since.

    Says whether the promotion was undone by the monitoring, in this process or in another one.
    """
    if registry.ledger.last() == replaced.promotion:
        rollback(registry, replaced.version.version, MONITORING, reason, at)
    following = (entry for entry in registry.ledger.entries() if entry.number == replaced.promotion.number + 1)
    return any(entry.kind == "rollback" and entry.by == MONITORING for entry in following)


def adopt(registry: Registry, at: datetime) -> None:
    """Entry 1 of a pipeline that has a champion by MLflow's aliases and no ledger yet."""
    if registry.ledger.last() is not None:
        return
    found = registry.adoptable()
    if found is None:
        return
    version, previous = found
    entry = next_entry(None, version, "adopt", "graft", "champion by its alias before there was a ledger", at)
    registry.ledger.add(entry.model_copy(update={"previous": previous}))


def follow(registry: Registry) -> None:
    """Points MLflow's aliases where the ledger says, and tells it beside the reports, as far as the server answers."""
    try:
        registry.follow_ledger()
    except InputError as error:
        # The ledger has decided; the next command that opens the registry finds the aliases behind, and points them.
        logger.warning("the promotion holds, but MLflow's aliases still show the champion before: %s", error)
        return
    _tell(registry)


def _tell(registry: Registry) -> None:
    """What the last entry made of the new champion and of the one before, for whoever reads their reports."""
    entries = registry.ledger.entries()
    with tempfile.TemporaryDirectory(prefix="graft-told-") as scratch:
        file = Path(scratch, BECAME)
        for number in (entries[-1].version, entries[-1].previous):
            if number is None:
                continue
            # A reason may be of several lines.
            lines = (" ".join(line.split()) for line in became_of(entries, number))
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            try:
                registry.keep_beside_report(number, file)
            # Each store of artifacts has error classes of its own.
            except Exception as error:
                logger.warning("what became of version %d is not told beside its report in MLflow: %s", number, error)


def mend(registry: Registry) -> None:
    """Points aliases that are behind, or were moved by hand, where the ledger says; tells how to change a champion."""
    wrong = registry.follow_ledger()
    if wrong is None:
        return
    last = registry.ledger.last()
    assert last is not None, "aliases follow an entry"
    logger.warning(
        "MLflow's alias champion of %s pointed to %s, and was put back to version %d, as entry %d of the promotion "
        "ledger says: a run was killed in between, or somebody moved the alias. `graft rollback %s --to N` and "
        "`graft promote %s N --reason TEXT` change the champion.",
        *(registry.pipeline, wrong, last.version, last.number, registry.pipeline, registry.pipeline),
    )
    _tell(registry)


def _decide(registry: Registry, entry: Promotion) -> Promotion:
    if not registry.ledger.add(entry):
        last = registry.ledger.last()
        raise InputError(
            f"another promotion came first ({in_words(last) if last else 'gone since'}), so nothing was changed. "
            f"Look at `graft models {registry.pipeline} --history`, and repeat the command if you still mean it."
        )
    follow(registry)
    return entry


def _refuse_champion(last: Promotion | None, version: ModelVersion) -> None:
    if last is not None and last.version == version.version:
        raise InputError(f"version {last.version} of {version.pipeline} is champion already: {in_words(last)}")


def _overtaken(version: ModelVersion, last: Promotion | None) -> Outcome:
    meanwhile = f"version {last.version} became champion meanwhile ({in_words(last)})" if last else "the ledger changed"
    why = f"version {version.version} does not become champion: {meanwhile}, and it was not judged against that one"
    return Outcome(version=version, overtaken=True, why=why)
