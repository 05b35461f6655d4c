"""What a window is, from what was measured of it and of those before: the triage."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from data_contracts.drift import AccuracyEstimate, DriftDecision, DriftVerdict, Monitor
from tasks.drift.measuring import Count, Measured
from tasks.drift.monitors import AUDITED, alarm_levels, alarms, monitored, monitors_before
from tasks.drift.policy import DriftPolicy


@dataclass(frozen=True)
class Triage:
    """Verdict, why, and the monitors after this window."""

    verdict: DriftVerdict
    reasons: tuple[str, ...]
    monitors: tuple[Monitor, ...] = ()


def triage(
    measured: Measured,
    before: Sequence[DriftDecision],
    policy: DriftPolicy,
    *,
    fresh_rows: int,
    audit: Mapping[str, Count] | None = None,
    told: Collection[str] = (),
) -> Triage:
    """The verdict on a window after those `before`, oldest first, of the same version.

    `audit` counts wrong answers among rows of the window that were labelled at random, by task. Labels that show harm
    decide; without them it takes harm, a shift that is no trifle, and rows to learn from. A pipeline with labels
    gives one half of the evidence to them, since no other monitor sees that the same texts mean something else now.
    `told` are monitors that raised the alarm for this window by an earlier decision on it: see `raised_by`.
    """
    if measured.problems:
        return Triage("BAD_DATA", tuple(measured.problems))
    counted = {**measured.counts, **{f"{AUDITED}{task}": count for task, count in (audit or {}).items()}}
    known = monitors_before([decision.monitors for decision in before])
    levels = alarm_levels([*known, *counted], policy.run_length)
    monitors = tuple(
        monitored(name, of.bad, of.rows, of.allowed, known[name].bets, levels[name])
        if name in known
        else monitored(name, of.bad, of.rows, of.allowed)
        for name, of in counted.items()
    )
    after = known | {monitor.name: monitor for monitor in monitors}
    # A monitor that this window told nothing raises no alarm for it.
    raised = [name for name in _alarms_of(after, policy) if name in counted or name in told]
    by_labels = [name for name in raised if name.startswith(AUDITED)]
    by_doubt = [name for name in raised if not name.startswith(AUDITED)]
    verdict, reasons = _verdict(measured, by_labels, by_doubt, policy, fresh_rows, audit or {})
    said = [*reasons, *_shift_in_words(measured, policy), *_estimates_in_words(measured.estimates)]
    return Triage(verdict, tuple(said), monitors)


def raised_by(window_digest: str, decisions: Sequence[DriftDecision], policy: DriftPolicy) -> set[str]:
    """Monitors that raised the alarm for a window when it was judged, whatever later windows have told them since.

    `decisions` are all of that version, oldest first.
    """
    found: set[str] = set()
    for number, decision in enumerate(decisions, start=1):
        if decision.window_digest == window_digest:
            after = monitors_before([earlier.monitors for earlier in decisions[:number]])
            found |= set(_alarms_of(after, policy)) & {monitor.name for monitor in decision.monitors}
    return found


def _alarms_of(monitors: Mapping[str, Monitor], policy: DriftPolicy) -> list[str]:
    evidence = {name: monitor.log_evidence for name, monitor in monitors.items()}
    return alarms(evidence, alarm_levels(monitors, policy.run_length))


def _verdict(
    measured: Measured,
    by_labels: list[str],
    by_doubt: list[str],
    policy: DriftPolicy,
    fresh_rows: int,
    audited: Collection[str],
) -> tuple[DriftVerdict, list[str]]:
    needed = policy.governor.minimum_fresh_rows
    shift = measured.shift
    shifted = shift is not None and shift.significant
    if by_labels:
        return "HARMFUL", [f"labels show that {_names(by_labels)} became worse"]
    if by_doubt:
        harm = f"the model doubts itself: {_names(by_doubt)}"
        if shift is None or not shifted:
            return "UNKNOWN", [f"{harm}; no shift is seen that would explain it: label some of the window"]
        if shift.effect < policy.smallest_effect:
            small = f"the shift is small (effect {shift.effect:.3f}, below {policy.smallest_effect})"
            return "UNKNOWN", [f"{harm}; {small}: label some of the window"]
        if fresh_rows < needed:
            few = f"{fresh_rows} freshly labelled rows of this window, {needed} are needed to learn from"
            return "UNKNOWN", [f"{harm}; {few}: label some of the window"]
        return "HARMFUL", [f"{harm}, the window has shifted, and {fresh_rows} labelled rows are there to learn from"]
    if shift is not None and shifted and shift.effect < policy.smallest_effect:
        return "QUIET", [f"the window differs from the reference by less than matters ({policy.smallest_effect})"]
    if shifted and (suspected := _suspected(measured, audited, policy)):
        return "UNKNOWN", [
            f"the window differs from the reference, and {suspected} may suffer: label some of the window"
        ]
    if shifted:
        return "BENIGN", [
            "the window differs from the reference, and no task is seen to suffer: nothing to retrain for"
        ]
    if shift is None:
        few = f"{measured.rows} good rows are too few to test for shift ({policy.minimum_rows}); they count for harm"
        return "UNKNOWN", [few]
    return "QUIET", ["the window looks like the reference"]


def _suspected(measured: Measured, audited: Collection[str], policy: DriftPolicy) -> str:
    """Tasks whose estimated accuracy falls by more than is tolerated, and than such estimates are off.

    Of `audited` ones labels have told more than an estimate.
    """
    found = {task: of for task, of in measured.estimates.items() if task not in audited}
    return ", ".join(
        task for task, of in found.items() if of.reference - of.by_threshold > max(of.error, policy.tolerated_drop)
    )


def _shift_in_words(measured: Measured, policy: DriftPolicy) -> list[str]:
    shift = measured.shift
    if shift is None:
        return []
    held = f"p = {shift.p_value:.4f}, held against {shift.level:.2g} (alpha {policy.alpha} over the model's life)"
    effect = f"effect {shift.effect:.3f} [{shift.effect_low:.3f}, {shift.effect_high:.3f}]"
    return [f"shift: {held}; {effect}"]


def _estimates_in_words(estimates: Mapping[str, AccuracyEstimate]) -> list[str]:
    return [
        f"estimated accuracy of {task} {found.by_threshold:.3f}, {found.by_threshold - found.reference:+.3f} from the "
        f"reference's {found.reference:.3f}; such estimates are off by {found.error:.3f} at most, 19 times in 20"
        for task, found in estimates.items()
    ]


def _names(monitors: Sequence[str]) -> str:
    words = {"out_of_scope": "texts unlike any it was tested on"}
    return ", ".join(words.get(name, name.partition("/")[2]) for name in monitors)
