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
    """The share of bad rows that is allowed: the reference's and what is tolerated above, or what it may be at most.

    The latter is the upper end of the one-sided 95% interval of Clopper and Pearson (1934, Biometrika 26), so that a
    small reference, whose share is known only so well, raises no alarms.
    """
    highest = 1.0 if bad >= rows else float(beta.ppf(0.95, bad + 1, rows - bad))
    return min(0.99, max(highest, bad / rows + tolerated))


def log_bets(bad: int, rows: int, allowed: float) -> tuple[float, ...]:
    """Natural logarithms of the likelihood ratios of ODDS in one window, each an e-value under every smaller share."""
    logs = []
    for odds in ODDS:
        share = odds * allowed / (1 - allowed + odds * allowed)
        logs.append(bad * math.log(share / allowed) + (rows - bad) * math.log((1 - share) / (1 - allowed)))
    return tuple(logs)


def log_mean(logs: Sequence[float]) -> float:
    """Log of the mean of what these are the logs of."""
    return float(logsumexp(logs) - math.log(len(logs)))


def monitored(
    name: str, bad: int, rows: int, allowed: float, before: Sequence[float] = (0.0,) * len(ODDS), most: float = math.inf
) -> Monitor:
    """The monitor after a window: each bet has an e-CUSUM of its own, and their mean is the evidence.

    `before` are the bets until then. None is carried on with more than makes an evidence of `most` alone: what is
    enough for an alarm is enough, and more would keep the alarm up long after the harm is gone.
    """
    logs = log_bets(bad, rows, allowed)
    carried = [min(max(0.0, log), most + math.log(len(ODDS))) for log in before]
    bets = tuple(log + known for log, known in zip(logs, carried, strict=True))
    return Monitor(
        name=name,
        labelled=name.startswith(AUDITED),
        rows=rows,
        bad=bad,
        allowed=allowed,
        log_e=log_mean(logs),
        bets=bets,
        log_evidence=log_mean(bets),
    )


def monitors_before(looks: Sequence[Sequence[Monitor]]) -> dict[str, Monitor]:
    """Each monitor as the windows so far, oldest first, left it. One that a window told nothing is as it was."""
    return {monitor.name: monitor for look in looks for monitor in look}


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
