"""What a report calls splits and models, and in which order it shows them."""

from collections.abc import Iterable
from typing import TypeVar

from tasks.evaluation.calibration import Calibration
from tasks.evaluation.scoring import IN_DOMAIN, Score

BASELINES_BY_NAME = {"tfidf": "TF-IDF + LR", "majority": "majority", "zero_shot": "zero shot"}
Measured = TypeVar("Measured", Score, Calibration)


def by_task(found: Iterable[Measured]) -> list[Measured]:
    """Task by task in the order in which they are there, each in domain first."""
    shown = list(found)
    order = {task: number for number, task in enumerate(dict.fromkeys(of.task for of in shown))}
    return sorted(shown, key=lambda of: (order[of.task], of.split != IN_DOMAIN, of.split))


def place(split: str) -> str:
    """A split, for people."""
    return "in domain" if split == IN_DOMAIN else split


def opponent(model: str) -> str:
    """A model that graft's is held against, for people."""
    return BASELINES_BY_NAME.get(model, model)
