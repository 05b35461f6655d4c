"""Labels that a model knows: on a row that has another one no answer of it can be right."""

from typing import Any


def known_labels(labels: list[Any], known: frozenset[str] | None) -> list[Any]:
    """The labels, None in place of those that are not all among `known`; all of them where nothing is said of that."""
    if not known:
        return labels
    return [label if label is not None and set(_names_in(label)) <= known else None for label in labels]


def _names_in(label: Any) -> list[str]:
    if isinstance(label, dict):
        return list(label["tags"])
    return [label] if isinstance(label, str) else list(label)
