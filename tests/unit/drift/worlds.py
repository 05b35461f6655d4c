"""A small world of texts of three labels as a model sees them, and windows of it that may have moved."""

from typing import Any

import numpy as np

from tasks.drift.novelty import beside
from tasks.drift.quality import TextFacts
from tasks.drift.reference import Frozen
from tasks.drift.seen import OfTask, Seen

USUAL = (0.5, 0.3, 0.2)
WIDTH = 8


def seen(
    embeddings: Any = None, confidences: Any = None, shares: Any = None, right: Any = None, distances: Any = None
) -> Seen:
    """Rows of one task, `intent`; what is not given does not vary."""
    rows = len(next(v for v in (embeddings, confidences, shares, distances) if v is not None))
    return Seen(
        np.zeros((rows, 2), np.float32) if embeddings is None else np.asarray(embeddings, np.float32),
        {
            "intent": OfTask(
                np.ones(rows) if confidences is None else np.asarray(confidences, float),
                None if shares is None else np.asarray(shares, np.float32),
                None if right is None else np.asarray(right, float),
            )
        },
        None if distances is None else np.asarray(distances, float),
    )


def answering(*labels: int, of: int) -> Seen:
    """Rows that are answered with those labels, of so many."""
    return seen(shares=np.eye(of)[list(labels)])


def draw(
    random: np.random.Generator,
    rows: int,
    *,
    moved: float = 0.0,
    mix: tuple[float, ...] = USUAL,
    outliers: int = 0,
    doubt: float = 0.0,
) -> Seen:
    """Rows of the world: moved along the first coordinate, of other shares of the labels, so many of them unlike any
    other, or answered with more doubt (0 as usual, 1 without any idea)."""
    labels = random.choice(len(mix), size=rows, p=mix)
    embeddings = 4 * np.eye(WIDTH)[labels] + random.normal(0, 0.7, size=(rows, WIDTH))
    embeddings[:, 0] += moved
    embeddings[:outliers] = 12 * np.eye(WIDTH)[-1] + random.normal(size=(outliers, WIDTH))
    scores = (1 - doubt) * (3 * np.eye(len(mix))[labels] + random.normal(size=(rows, len(mix))))
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    confidences = shares.max(axis=1)
    return seen(embeddings, confidences, shares, (random.random(rows) < confidences).astype(float))


def among_themselves(reference: Seen) -> Seen:
    """The rows with how far each is from its nearest other."""
    return beside(reference, reference)


def usual_texts(rows: int) -> TextFacts:
    """Texts of 10 to 19 tokens, all known, none twice."""
    return TextFacts(10 + np.arange(rows) % 10, np.zeros(rows), np.zeros(rows, bool))


def frozen(reference: Seen) -> Frozen:
    """A reference of those rows, of usual texts."""
    return Frozen(among_themselves(reference), usual_texts(len(reference)))
