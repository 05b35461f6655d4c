"""Layer C, harm: sequential tests that the model became worse, which may be looked at after every window, for ever.

Each counts rows that speak against the model. As long as their share is within what is allowed, the e-value of a window
is 1 at most on average, so the e-CUSUM, M = e * max(M before, 1), stays below any number for at least as many windows on average
(Podkopaev and Ramdas 2110.06177; Shin, Ramdas and Rinaldo 2203.03532, e-detectors). The mean of several such is one as
well, whatever they have to do with each other.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from scipy.special import logsumexp
from scipy.stats import beta

from data_contracts.drift import Monitor

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


def mean_evidence(evidence: Iterable[float]) -> float:
    """Log of the mean of some monitors' evidence, which is that of one monitor of them all."""
    logs = list(evidence)
    return float(logsumexp(logs) - math.log(len(logs))) if logs else 0.0


def alarms(evidence: Mapping[str, float], run_length: float) -> list[str]:
    """The monitors that raise the alarm, the most sure first: none while their mean is below the run length.

    Those whose evidence is less than a tenth of the largest are not named, since they are not why.
    """
    if mean_evidence(evidence.values()) < math.log(run_length):
        return []
    enough = max(evidence.values()) - math.log(10)
    return sorted((name for name, log in evidence.items() if log >= enough), key=lambda name: -evidence[name])
