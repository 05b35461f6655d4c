"""Labels that a model knows: on a row that has another one no answer of it can be right."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.modeling.answers import read_labels
from tasks.modeling.heads import AnyHead


def read_known_labels(snapshot: Path, split: str, heads: Mapping[str, AnyHead]) -> dict[str, list[Any]]:
    """What `read_labels` gives, None in place of labels that the head does not know: those of a champion are older."""
    labels = read_labels(snapshot, split, heads)
    return {task: known_labels(labels[task], frozenset(head.labels)) for task, head in heads.items()}


def known_labels(labels: list[Any], known: frozenset[str] | None) -> list[Any]:
    """The labels, None in place of those that are not all among `known`; all of them where nothing is said of that."""
    if not known:
        return labels
    return [label if label is not None and set(_names_in(label)) <= known else None for label in labels]


def _names_in(label: Any) -> list[str]:
    if isinstance(label, dict):
        return list(label["tags"])
    return [label] if isinstance(label, str) else list(label)
