"""What a verdict depends on beside the rows: the hour, and the data that was accepted before."""

from datetime import datetime, timedelta

from data_contracts.dataset import DatasetContract
from tasks.validation.checks import Checks


def late_failures(checks: Checks, contract: DatasetContract, last: Checks | None, now: datetime) -> list[str]:
    """Rules that are broken at this hour, or against the last accepted data (None where there is none)."""
    return [*_stale(checks, contract, now), *(_moved(checks, contract, last) if last else [])]


def total_variation(first: dict[str, int], second: dict[str, int]) -> float:
    """Half the summed distance of two distributions, given as counts: the share of rows that would have to move."""
    n, m = sum(first.values()), sum(second.values())
    return sum(abs(first.get(label, 0) / n - second.get(label, 0) / m) for label in {*first, *second}) / 2


def _stale(checks: Checks, contract: DatasetContract, now: datetime) -> list[str]:
    if contract.freshness is None:
        return []
    column, allowed = contract.freshness
    newest = checks.newest.get(column)
    if newest is None:
        return [f"freshness: no row of training says when it is from ({column})"]
    age = now - newest
    if age <= allowed:
        return []
    return [
        f"stale: the newest row of training is {_in_words(age)} old ({column} {newest:%Y-%m-%d %H:%M} UTC); "
        f"{_in_words(allowed)} are allowed"
    ]


def _moved(checks: Checks, contract: DatasetContract, last: Checks) -> list[str]:
    found = []
    for column in contract.columns:
        rule = column.rules.label_distribution
        now, then = checks.labels.get(column.name), last.labels.get(column.name)
        if rule is None or not now or not then:
            continue
        distance = total_variation(now, then)
        if distance > rule.maximum_distance:
            shifts = {
                label: now.get(label, 0) / sum(now.values()) - then.get(label, 0) / sum(then.values())
                for label in {*now, *then}
            }
            most = sorted(shifts.items(), key=lambda entry: (-abs(entry[1]), entry[0]))[:3]
            named = ", ".join(f"{label} {change:+.1%}" for label, change in most)
            found.append(
                f"{column.name}: the labels are distributed otherwise than in the last accepted data: distance "
                f"{distance:.3f}, {rule.maximum_distance} is allowed ({named})"
            )
    return found


def _in_words(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.1f} days"
