"""Policies held against windows of the past: when each would have raised the alarm, and trained again.

No model is trained. A retraining counts as promoted, and the reference then holds the windows up to it as well, so that
what they brought is no news any more; how good that model would be, nobody can know, so accuracy is the champion's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from scipy.stats import binom

from data_contracts.drift import Decided, DriftDecision, DriftEntry, DriftVerdict, Finished, Happening, TakenUp
from tasks.drift.auditing import count_wrong, labels_in_words
from tasks.drift.decision import triage
from tasks.drift.delivery import governed
from tasks.drift.history import decisions_of
from tasks.drift.measuring import measure_window
from tasks.drift.policy import DriftPolicy
from tasks.drift.quality import TextFacts
from tasks.drift.reference import Frozen, extend_reference
from tasks.drift.seen import Numbers, Seen
from tasks.modeling.multiplicity import holm

RUN = "backtest"
# Of calling harm what is none, in all windows of a history together.
CHANCE = 0.05


@dataclass(frozen=True)
class PastWindow:
    """One window as the champion sees it. `rights` are those of its labelled rows, by task, if there are any."""

    name: str
    digest: str
    seen: Seen
    texts: TextFacts
    broken: int
    fresh_rows: int
    rights: Mapping[str, Numbers]

    def accuracy(self, decision: DriftDecision) -> dict[str, float]:
        """{task: accuracy}, by labels where there are any, or as estimated."""
        found = {task: estimate.by_threshold for task, estimate in decision.estimates.items()}
        known = {t: float(np.nanmean(r)) for t, r in self.rights.items() if not np.isnan(r).all()}
        return found | known


@dataclass(frozen=True)
class Replayed:
    """What one policy makes of the windows: its decision on each. `hours` are those of all retrainings."""

    policy: str
    decisions: tuple[DriftDecision, ...]
    hours: float

    @property
    def retrained(self) -> list[int]:
        """Positions of the windows that start a retraining."""
        return [place for place, decision in enumerate(self.decisions) if decision.retrain]

    def count(self, verdict: DriftVerdict) -> int:
        """Windows with that verdict."""
        return sum(decision.verdict == verdict for decision in self.decisions)

    def delay(self, harmful_from: int | None) -> int | None:
        """Windows from where harm began until it is called harm; None where it never is, or no harm is known."""
        if harmful_from is None:
            return None
        later = enumerate(self.decisions[harmful_from:])
        return next((place for place, decision in later if decision.verdict == "HARMFUL"), None)


def policy_names(paths: Sequence[str]) -> dict[str, str]:
    """{path: what its policy is called}: the file without its ending, or the whole path where several are called so."""
    stems = [Path(path).stem for path in dict.fromkeys(paths)]
    return {path: path if stems.count(Path(path).stem) > 1 else Path(path).stem for path in paths}


def replay(
    reference: Frozen,
    windows: Sequence[PastWindow],
    policy: DriftPolicy,
    name: str,
    *,
    start: datetime,
    days: float,
    hours: float,
) -> Replayed:
    """The windows one after the other, `days` apart, under one policy; each retraining takes `hours`."""
    entries: list[DriftEntry] = []
    version, current, learnt = 1, reference, 0

    def note(at: datetime, happening: Happening) -> None:
        entries.append(DriftEntry(number=len(entries) + 1, id=RUN, at=at, happening=happening))

    for place, window in enumerate(windows):
        now = start + timedelta(days=days * place)
        before = decisions_of(entries, version)
        look = 1 + sum(decision.shift is not None for decision in before)
        measured = measure_window(current, window.seen, window.texts, window.broken, policy, look=look)
        audit = count_wrong(current, window.rights, policy.tolerated_drop)
        found = triage(measured, before, policy, fresh_rows=window.fresh_rows, audit=audit)
        decision = DriftDecision(
            pipeline=name,
            window=window.name,
            window_digest=window.digest,
            model_version=version,
            verdict=found.verdict,
            retrain=False,
            reasons=(*found.reasons, *labels_in_words(current, window.rights)),
            shift=measured.shift,
            monitors=found.monitors,
            estimates=dict(measured.estimates),
            measures=dict(measured.measures),
            fresh_rows=window.fresh_rows,
            decided_at=now,
        )
        decided = governed(policy.governor, entries, decision, now)
        note(now, decided)
        if not decided.decision.retrain:
            continue
        key = {"window_digest": window.digest, "model_version": version, "flow_run": RUN}
        note(now, TakenUp(window=window.name, **key))
        ended = now + timedelta(hours=hours)
        note(ended, Finished(verdict="PROMOTE", version=version + 1, hours=hours, **key))
        current = extend_reference(current, [(of.seen, of.texts) for of in windows[learnt : place + 1]])
        version, learnt = version + 1, place + 1
    decisions = tuple(entry.happening.decision for entry in entries if isinstance(entry.happening, Decided))
    return Replayed(name, decisions, hours * sum(decision.retrain for decision in decisions))


def harmful_from(reference: Frozen, windows: Sequence[PastWindow], tolerated: float) -> int | None:
    """The first window whose labels show more wrong answers to any task than are allowed; None where none shows it.

    Beyond chance: by the binomial distribution, and over all tasks and windows in one history of twenty at most.
    """
    counts = [
        (place, count)
        for place, window in enumerate(windows)
        for count in count_wrong(reference, window.rights, tolerated).values()
    ]
    chances = holm([float(binom.sf(count.bad - 1, count.rows, count.allowed)) for _, count in counts])
    return next((place for (place, _), chance in zip(counts, chances, strict=True) if chance <= CHANCE), None)
