"""What graft aims at, beside what was measured."""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.drift_peers.scenarios import BENIGN_MIX, UNCHANGED
from tasks.evaluation.intervals import wilson_interval

SHIFT = "shift, p at most 0.05"
MIB = 1 << 20
MOST_FALSE = 0.1
Alarms = dict[str, list[bool]]  # by scenario, in the order of the draws


@dataclass(frozen=True)
class Aim:
    """One aim: what was found, and from `least` to `most` what is allowed."""

    text: str
    found: float
    least: float = float("-inf")
    most: float = float("inf")

    @property
    def allowed(self) -> str:
        """In words."""
        if self.least == float("-inf"):
            return f"at most {self.most:g}"
        return f"at least {self.least:g}" if self.most == float("inf") else f"{self.least:g} to {self.most:g}"

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.least <= self.found <= self.most


def window_aims(graft: dict[str, Any], peers: dict[str, dict[str, Any]]) -> Iterator[Aim]:
    """Of single windows: `graft` as its contestant wrote it, `peers` {library: its tally}."""
    ours = graft["detectors"][SHIFT]
    alarms = ours["alarms"]
    yield Aim("alarms of the shift test on unchanged windows, at 0.05", rate(alarms[UNCHANGED]), 0.03, 0.07)
    yield Aim("windows with 10% foreign text found", rate(alarms["foreign 10%"]), least=0.80)
    yield Aim("windows with 20% foreign text found", rate(alarms["foreign 20%"]), least=0.99)
    if "Evidently" in peers:
        ahead = found_beyond(alarms, [of["alarms"] for of in peers["Evidently"].values()], "foreign 10%")
        yield Aim("10% foreign text found beyond the best Evidently default (see found_beyond)", ahead, least=0)
    for name, most in ((UNCHANGED, 0.015), ("foreign 10%", 0.035), ("foreign 20%", 0.065)):
        errors = graft["accuracy_errors"]["by_threshold"][name]
        yield Aim(f"mean error of accuracy without labels, {name}", mean_error(errors), most=most)
    yield Aim("seconds a window", statistics.median(ours["seconds"]), most=0.2)


def life_aims(lives: dict[str, list[dict[str, Any]]]) -> Iterator[Aim]:
    """Of whole lives, as their contestant wrote them."""
    unchanged, benign = lives[UNCHANGED], lives[BENIGN_MIX]
    false = sum(life["retraining"] is not None for life in unchanged)
    yield Aim("false retrainings, 95% upper bound of lives", wilson_interval(false, len(unchanged))[1], most=0.05)
    for name, most in (("foreign 10%", 3), ("foreign 20%", 1)):
        yield Aim(f"looks until harm is found, median, {name}", middle_look(lives[name], "harm"), most=most)
    yield Aim(f"retrainings in lives of a {BENIGN_MIX}", sum(life["retraining"] is not None for life in benign), most=0)
    yield Aim(
        f"lives of a {BENIGN_MIX} in which the shift is reported", rate([bool(of["shift"]) for of in benign]), 1.0
    )


def memory_aims(rows: int, drawn: int, seconds: float, peak_bytes: int) -> Iterator[Aim]:
    """Of one window of so many rows, of which so many are drawn for the model."""
    of = f"a window of {rows:,} rows, {drawn:,} of them drawn"
    yield Aim(f"seconds, {of}", seconds, most=10)
    yield Aim(f"peak MiB, {of}", peak_bytes / MIB, most=1024)


def rate(alarms: list[bool]) -> float:
    """Share of windows that it alarmed on; NaN of none."""
    return sum(alarms) / len(alarms) if alarms else float("nan")


def found_beyond(ours: Alarms, theirs: Iterable[Alarms], scenario: str) -> float:
    """How much larger a share of the same windows we find than the best of theirs that tells anything.

    One that alarms on more than one unchanged window in ten finds all and tells nothing.
    """
    quiet = [of[scenario] for of in theirs if scenario in of and rate(of[UNCHANGED]) <= MOST_FALSE]
    return min((rate(ours[scenario][: len(of)]) - rate(of) for of in quiet), default=1.0)


def mean_error(errors: list[float]) -> float:
    """Mean of the sizes."""
    return statistics.mean(map(abs, errors))


def middle_look(lives: list[dict[str, Any]], layer: str) -> float:
    """The look by which half of the lives heard from the layer; infinite where they did not."""
    return statistics.median_high([life[layer] or float("inf") for life in lives])
