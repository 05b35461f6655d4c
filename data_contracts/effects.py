"""How a change of one value is told, and whom it breaks: the vocabulary in which contracts are compared."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Party = Literal["producers", "consumers"]
Level = Literal["patch", "minor", "major"]


@dataclass(frozen=True)
class Effect:
    """Who has to do something because of a change, and which part of the version it raises."""

    breaks: tuple[Party, ...]
    level: Level


# Producers have to mend data that was accepted until now.
TIGHTER = Effect(("producers",), "major")
# Consumers meet what they did not meet until now.
WIDER = Effect(("consumers",), "minor")
# Consumers read something else under the same name, though the data stays as it is.
OTHER_MEANING = Effect(("consumers",), "major")
BOTH = Effect(("producers", "consumers"), "major")
NOTHING = Effect((), "patch")

Change = tuple[str, Effect]
Compare = Callable[[Any, Any], Iterator[Change]]


def with_effect(effect: Effect) -> Compare:
    """Compares values of which every change has the same effect."""

    def compare(before: Any, after: Any) -> Iterator[Change]:
        yield moved(before, after), effect

    return compare


def lowest(before: float | None, after: float | None) -> Iterator[Change]:
    """A lower limit: what is raised or new refuses more."""
    raised = before is None or (after is not None and after > before)
    yield moved(before, after), TIGHTER if raised else WIDER


def highest(before: float | None, after: float | None) -> Iterator[Change]:
    """An upper limit: what is lowered or new refuses more."""
    lowered = before is None or (after is not None and after < before)
    yield moved(before, after), TIGHTER if lowered else WIDER


def severity(*mild_to_severe: Any) -> Compare:
    """Compares choices that are given from the mildest to the most severe."""

    def compare(before: Any, after: Any) -> Iterator[Change]:
        stricter = mild_to_severe.index(after) > mild_to_severe.index(before)
        yield moved(before, after), TIGHTER if stricter else WIDER

    return compare


def given_or_not(changed: Effect) -> Compare:
    """Compares a rule that cannot be called tighter or wider than another, only new, gone or changed."""

    def compare(before: Any, after: Any) -> Iterator[Change]:
        effect = TIGHTER if before in (None, "") else WIDER if after in (None, "") else changed
        yield moved(before, after), effect

    return compare


def entries(one: str) -> Compare:
    """Compares lists of names, of which a model learns one answer each, in the order of the list."""

    def compare(before: Sequence[str] | None, after: Sequence[str] | None) -> Iterator[Change]:
        if before is None or after is None:
            yield moved(before, after), TIGHTER if before is None else WIDER
            return
        more, fewer = [name for name in after if name not in before], [name for name in before if name not in after]
        if more:
            yield f"{_count(more, one)} more: {_listed(more)}", WIDER
        if fewer:
            yield f"{_count(fewer, one)} fewer: {_listed(fewer)}", BOTH
        if [name for name in before if name in after] != [name for name in after if name in before]:
            yield f"the {one}s stand in another order", OTHER_MEANING

    return compare


def moved(before: Any, after: Any) -> str:
    """The change in words."""
    if before in (None, "", ()):
        return f"now {shown(after)}; was not given"
    if after in (None, "", ()):
        return f"no longer given; was {shown(before)}"
    return f"was {shown(before)}, now {shown(after)}"


def shown(value: Any) -> str:
    """A value as a reader of the YAML knows it, cut where it is long."""
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = str(value).lower() if isinstance(value, bool) else text
    return text if len(text) <= 100 else f"{text[:97]}..."


def _count(names: Sequence[str], one: str) -> str:
    return f"a {one}" if len(names) == 1 else f"{len(names)} {one}s"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
