"""The rule of the gate: what a candidate's differences to champion and baselines have to be.

Against the champion, a candidate has to be better somewhere and not worse anywhere that can be told:

- Better: the skill on some split is above the champion's beyond chance. One such split is enough, so the chances are
  held to alpha together (`holm`), in equal parts for the split in domain, rows labelled since, and all others: of equal
  models at most alpha are promoted.
- Not worse: the skill in domain, every task in domain, and the skill on every other split are not below the champion's
  by more than the margin. All have to be shown, each at alpha: a model that is worse by more in any of them passes all
  with a chance of alpha at most, so nothing is divided among them (an intersection-union test, Berger 1982,
  Technometrics 24, 295-300). Where fewer than `POWER` of equal models would pass, the rows are too few to ask for that,
  but for the skill in domain and tasks with their own margin. There the difference itself must not be below by more
  than the margin; and where that would be so by chance in more than `UNLUCKY` of equal models, it is only named.
- Clearly worse: any task on any split below by more than the margin beyond chance rejects, all chances together again
  (`holm`), lest many small splits turn down a good model. What is so on its own only leaves the verdict open.

Against the baselines, a first model or a new task has to be better than every one, so again nothing is divided.
"""

from collections.abc import Sequence
from statistics import NormalDist

from data_contracts.artifacts import Verdict
from tasks.evaluation.checks import Check
from tasks.evaluation.differences import Difference
from tasks.evaluation.multiplicity import domain_weights
from tasks.evaluation.policy import SKILL, GatePolicy
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.modeling.multiplicity import holm

# What trials of what is not worse are commonly planned for. At 0.5, where half an interval is as wide as the margin,
# 57 of 150 retrainings that are six points better on 250 rows labelled since, and as good elsewhere, were held up by a
# split of some hundred rows (three tasks, five splits; simulated as in docs/evaluation.md).
POWER = 0.8
# Of equal models, as many as would be held up on each such split by a difference that looks worse than it is.
UNLUCKY = 0.1


def baseline_checks(evidence: Sequence[Difference]) -> list[Check]:
    """Above every baseline on every task in domain, beyond chance."""
    return [
        Check(
            f"{d.in_words}, against the baseline {d.opponent}",
            d.shown,
            "above 0 beyond chance",
            d.low > 0,
            "REJECT" if d.high <= 0 else "INCONCLUSIVE",
        )
        for d in evidence
    ]


def champion_checks(evidence: Sequence[Difference], policy: GatePolicy, *, gained: bool = False) -> list[Check]:
    """Worse nowhere, and better on some split; `gained` says that a new task is a gain already."""
    inside = [d for d in evidence if d.task == SKILL and d.split == IN_DOMAIN]
    if not inside:
        limit = f"not below -{policy.margin:.3f}"
        return [Check("skill in domain, against the champion", "no labelled row", limit, False, "INCONCLUSIVE")]
    return [*_not_worse(evidence, policy), _better([d for d in evidence if d.task == SKILL], policy, gained)]


def clearly_worse(evidence: Sequence[Difference], weights: Sequence[float] | None, policy: GatePolicy) -> list[bool]:
    """Which of the differences are below their margin beyond chance, all taken together."""
    return [chance <= policy.alpha for chance in holm([d.chance_if_not_worse for d in evidence], weights)]


def _not_worse(evidence: Sequence[Difference], policy: GatePolicy) -> list[Check]:
    worse = clearly_worse(evidence, domain_weights([d.split for d in evidence]), policy)
    checks = []
    for d, is_worse in zip(evidence, worse, strict=True):
        margin = policy.margin_of(d.task)
        passed: bool | None = d.low >= -margin
        if is_worse or d.high < -margin or (not passed and _stands_in_the_way(d, policy)):
            passed = False
        elif not passed:
            passed = None
        verdict: Verdict = "REJECT" if is_worse else "INCONCLUSIVE"
        checks.append(Check(_against_champion(d), d.shown, f"not below -{margin:.3f}", passed, verdict))
    return checks


def _stands_in_the_way(difference: Difference, policy: GatePolicy) -> bool:
    """Whether a difference that may be below by more than the margin is one that matters, on rows that can tell."""
    inside = difference.split == IN_DOMAIN
    if inside and (difference.task == SKILL or difference.task in policy.margins):
        return True
    if not inside and difference.task != SKILL:
        return False
    margin, half = policy.margin_of(difference.task), (difference.high - difference.low) / 2
    # Half an interval is z standard errors, and equal models differ by more than -z' of them in all but p' of cases.
    quantile = NormalDist().inv_cdf
    error = half / quantile(1 - policy.alpha)
    can_be_shown = error * (quantile(1 - policy.alpha) + quantile(POWER)) <= margin
    can_be_seen = error * quantile(1 - UNLUCKY) <= margin
    return can_be_shown or (can_be_seen and difference.value < -margin)


def _better(skills: Sequence[Difference], policy: GatePolicy, gained: bool) -> Check:
    chances = holm([d.chance_if_not_better for d in skills], domain_weights([d.split for d in skills]))
    better = [d for d, chance in zip(skills, chances, strict=True) if chance <= policy.alpha]
    found = "; ".join(f"{d.in_words} {d.shown}" for d in better) or "on no split"
    if gained and not better:
        found = "a new task"
    limit = f"above 0 on some split, by chance in {policy.alpha:.3g} of all cases at most"
    return Check("better than the champion", found, limit, bool(better) or gained, "HOLD")


def _against_champion(difference: Difference) -> str:
    return f"{difference.in_words}, against the champion"
