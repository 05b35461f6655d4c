"""What labels say of a window: how many answers are wrong, and whether the version before was better."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_contracts.artifacts import Promotion
from data_contracts.drift import DriftDecision, Duel
from data_contracts.splits import AUDIT
from tasks.drift.accuracy import labelled
from tasks.drift.measuring import Count
from tasks.drift.monitors import AUDITED, allowed_share
from tasks.drift.reference import Frozen
from tasks.drift.seen import Numbers, rights
from tasks.modeling.answers import read_answers, read_labels
from tasks.modeling.heads import AnyHead
from tasks.modeling.sequential import SignTest


def audited_rights(checked: Path, answers: Path, heads: Mapping[str, AnyHead]) -> dict[str, Numbers]:
    """{task: (rows,) 1 for a right answer, 0 for a wrong one, NaN without a label}, of tasks that can be either."""
    decided = {task: head for task, head in heads.items() if head.has_confidence}
    given = read_answers(answers / f"{AUDIT}.parquet", decided).answers
    labels = read_labels(checked, AUDIT, decided)
    return {task: rights(head, given[task], labels[task]) for task, head in decided.items()}


def count_wrong(reference: Frozen, found: Mapping[str, Numbers], tolerated: float) -> dict[str, Count]:
    """{task: wrong answers of how many, and the share allowed}, of tasks with a label in reference and audit."""
    counts = {}
    for task, right in found.items():
        known = labelled(reference.seen.tasks[task]) if task in reference.seen.tasks else None
        rows = int((~np.isnan(right)).sum())
        if known is not None and rows:
            wrong = known[1] == 0
            allowed = allowed_share(int(wrong.sum()), len(wrong), tolerated)
            counts[task] = Count(int((right == 0).sum()), rows, allowed)
    return counts


def labels_in_words(reference: Frozen, found: Mapping[str, Numbers]) -> list[str]:
    """What all labels of the window show, beside those of the reference, whether or not it is harm."""
    said = []
    for task, count in count_wrong(reference, found, tolerated=0.0).items():
        known = labelled(reference.seen.tasks[task])
        assert known is not None, "or it would not be counted"
        right = count.rows - count.bad
        said.append(
            f"labels: {right:,} of {count.rows:,} rows are answered rightly as to {task} ({right / count.rows:.0%}), "
            f"of the reference {known[1].mean():.0%}"
        )
    return said


def not_counted_yet(counts: Mapping[str, Count], before: Sequence[DriftDecision]) -> dict[str, Count]:
    """What labels add to those of the same window that earlier decisions have counted: labels may come bit by bit."""
    found = {}
    for task, count in counts.items():
        seen = [m for decision in before for m in decision.monitors if m.name == f"{AUDITED}{task}"]
        rows, bad = count.rows - sum(m.rows for m in seen), count.bad - sum(m.bad for m in seen)
        if rows > 0:
            found[task] = Count(min(max(bad, 0), rows), rows, count.allowed)
    return found


def duels_of(
    champion: Mapping[str, Numbers], replaced: Mapping[str, Numbers], promotion: Promotion
) -> tuple[Duel, ...]:
    """Rows on which one of the two is right and the other wrong, by task that both answer."""
    return tuple(
        Duel(
            task=task,
            won=int(((right == 1) & (replaced[task] == 0)).sum()),
            lost=int(((right == 0) & (replaced[task] == 1)).sum()),
            promotion=promotion.number,
        )
        for task, right in champion.items()
        if task in replaced
    )


def why_roll_back(decisions: Sequence[DriftDecision], promotion: Promotion, alpha: float) -> str | None:
    """Why the version before is to be champion again, from all windows labelled since `promotion`; None where it is
    not.

    What labels said before, of another opponent or of an earlier time as champion, was acted on then. Of each window
    the latest duels count. Tasks share alpha, which holds however often one looks.
    """
    latest = {of.window_digest: duels for of in decisions if (duels := _duels_since(promotion, of))}
    totals: dict[str, tuple[int, int]] = {}
    for duels in latest.values():
        for duel in duels:
            won, lost = totals.get(duel.task, (0, 0))
            totals[duel.task] = (won + duel.won, lost + duel.lost)
    worse = {
        task: (won, lost)
        for task, (won, lost) in totals.items()
        if SignTest.of([True] * won + [False] * lost).verdict(alpha / len(totals)) == "worse"
    }
    if not worse:
        return None
    said = ", ".join(f"{task}: {lost} against {won}" for task, (won, lost) in worse.items())
    return f"labelled rows that only the version before, or only this one, answers right: {said}"


def _duels_since(promotion: Promotion, decision: DriftDecision) -> list[Duel]:
    # Duels of earlier ledgers name no promotion; when they were counted says which it was.
    by_time = promotion.number if decision.decided_at >= promotion.at else None
    return [duel for duel in decision.duels if (duel.promotion or by_time) == promotion.number]
