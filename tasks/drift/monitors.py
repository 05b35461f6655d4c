"""Layer C, harm: sequential tests that the model became worse, which may be looked at after every window, for ever.

Each counts rows that speak against the model. As long as their share is within what is allowed, the e-value of a window
is 1 at most on average, so the e-CUSUM, M = e * max(M before, 1), takes at least N windows on average to reach N
(Podkopaev and Ramdas 2110.06177; Shin, Ramdas and Rinaldo 2203.03532, e-detectors). The mean of several such does so as
well, whatever they have to do with each other.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from scipy.special import logsumexp
from scipy.stats import beta

from data_contracts.drift import Monitor

# Monitors of labels are called so, before the task.
AUDITED = "audit/"
# What is bet on: that the odds of a bad row are so many times those allowed. Small bets see small harm, in time.
ODDS = (1.25, 1.5, 2.0, 3.0, 5.0)


def allowed_share(bad: int, rows: int, tolerated: float) -> float:
    """The share of bad rows that is allowed: what the reference's may be at most (97.5%), and what is tolerated above.

    The upper end of the interval of Clopper and Pearson (1934, Biometrika 26), so a small reference raises no alarms.
    """
    highest = 1.0 if bad >= rows else float(beta.ppf(0.975, bad + 1, rows - bad))
    return min(0.99, highest + tolerated)


def log_e_value(bad: int, rows: int, allowed: float) -> float:
    """Natural logarithm of the evidence in one window that more than the allowed share of rows are bad.

    The mean of the likelihood ratios of ODDS, each of which is an e-value under every smaller share, too.
    """
    if not rows:
        return 0.0
    logs = []
    for odds in ODDS:
        share = odds * allowed / (1 - allowed + odds * allowed)
        logs.append(bad * math.log(share / allowed) + (rows - bad) * math.log((1 - share) / (1 - allowed)))
    return float(logsumexp(logs) - math.log(len(ODDS)))


def monitored(name: str, bad: int, rows: int, allowed: float, before: float, *, labelled: bool = False) -> Monitor:
    """The monitor after a window; `before` is its log evidence until then, 0 where there is none."""
    log_e = log_e_value(bad, rows, allowed)
    return Monitor(
        name=name,
        labelled=labelled,
        rows=rows,
        bad=bad,
        allowed=allowed,
        log_e=log_e,
        log_evidence=log_e + max(0.0, before),
    )


def evidence_before(looks: Sequence[Sequence[Monitor]]) -> dict[str, float]:
    """{monitor: log evidence} after the windows so far, oldest first. One that did not look is as it was."""
    return {monitor.name: monitor.log_evidence for look in looks for monitor in look}


def alarms(evidence: Mapping[str, float], levels: Mapping[str, float]) -> list[str]:
    """The monitors that raise the alarm, the most sure first: of a family whose mean evidence is enough for one.

    `levels` are those of `alarm_levels`. Those whose evidence is less than a tenth of their family's largest are not
    named, since they are not why.
    """
    raised = []
    for labelled in (True, False):
        family = [name for name in evidence if name.startswith(AUDITED) is labelled]
        # The mean is enough where the sum is as much as one monitor alone would need.
        if not family or logsumexp([evidence[name] for name in family]) < levels[family[0]]:
            continue
        enough = max(evidence[name] for name in family) - math.log(10)
        raised += [name for name in family if evidence[name] >= enough]
    return sorted(raised, key=lambda name: -evidence[name])


def alarm_levels(names: Iterable[str], run_length: float) -> dict[str, float]:
    """The log evidence at which each monitor, the others having none, raises the alarm.

    Labels have one half of what may be erred by, if there are any, since no other monitor sees that the same texts mean
    something else now; within its family each monitor has the same.
    """
    families = [[name for name in set(names) if name.startswith(AUDITED) is labelled] for labelled in (True, False)]
    each = run_length * sum(bool(family) for family in families)
    return {name: math.log(each * len(family)) for family in families for name in family}
