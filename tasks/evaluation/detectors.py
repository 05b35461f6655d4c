"""Detectors of texts that no label fits, each from what the model makes of a text; bigger is more in scope.

A kind is one frozen class: its settings, and `fit`, which gives the function from readings to (rows,) scores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import logsumexp

from data_contracts.errors import InputError
from tasks.modeling.calibration import shares_of

ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Readings:
    """What a model makes of some texts: label scores (rows, labels), and mean token states (rows, width)."""

    scores: NDArray[np.floating]
    states: NDArray[np.floating]


@dataclass(frozen=True)
class Fitting:
    """What a detector may learn from: states of rows with known labels, of training but none of those judged later.

    `states` (rows, width), `labels` (rows,) positions; `temperature` is the head's.
    """

    states: NDArray[np.floating]
    labels: NDArray[np.int64]
    temperature: float = 1.0


Scorer = Callable[[Readings], NDArray[np.float64]]


class MaximumSoftmax(BaseModel):
    """The largest probability, which is the answer's confidence (Hendrycks and Gimpel 2017, arXiv:1610.02136)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["maximum_softmax"] = "maximum_softmax"

    def fit(self, known: Fitting) -> Scorer:
        """By the head's temperature."""
        return lambda readings: shares_of(readings.scores, known.temperature).max(axis=1)


class MaximumLogit(BaseModel):
    """The largest label score (Hendrycks et al. 2022, arXiv:1911.11132)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["maximum_logit"] = "maximum_logit"

    def fit(self, known: Fitting) -> Scorer:
        """Nothing to learn."""
        return lambda readings: np.asarray(readings.scores, dtype=float).max(axis=1)


class Energy(BaseModel):
    """log sum exp of the label scores, the negative free energy at temperature 1 (Liu et al. 2020, arXiv:2010.03759).

    The same for every text where scores are log-probabilities already, as those of ordered labels are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["energy"] = "energy"

    def fit(self, known: Fitting) -> Scorer:
        """Nothing to learn."""
        return lambda readings: np.asarray(logsumexp(np.asarray(readings.scores, dtype=float), axis=1))


class Mahalanobis(BaseModel):
    """Less the squared distance to the nearest label's mean state, by one covariance (Lee et al. 2018, 1807.03888).

    It is shrunk (Ledoit and Wolf 2004): a few rows for each of many labels leave it singular.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["mahalanobis"] = "mahalanobis"

    def fit(self, known: Fitting) -> Scorer:
        """Means of the labels that occur, and the covariance around them."""
        from scipy.linalg import solve_triangular
        from sklearn.covariance import ledoit_wolf

        present, places = np.unique(known.labels, return_inverse=True)
        states = np.asarray(known.states, dtype=float)
        means = np.stack([states[places == place].mean(axis=0) for place in range(len(present))])
        covariance, _ = ledoit_wolf(states - means[places], assume_centered=True)
        # Rows that are one and the same have no spread at all.
        floor = 1e-9 * max(1.0, float(np.trace(covariance)) / len(covariance))
        root = np.linalg.cholesky(covariance + floor * np.eye(len(covariance)))

        def whiten(rows: NDArray[np.floating]) -> NDArray[np.float64]:
            return np.asarray(solve_triangular(root, np.asarray(rows, dtype=float).T, lower=True).T)

        white = whiten(means)

        def score(rows: NDArray[np.floating]) -> NDArray[np.float64]:
            return np.asarray(-_squared_distances(whiten(rows), white).min(axis=1))

        return lambda readings: _by_chunks(readings.states, score)


class NearestNeighbours(BaseModel):
    """Less the distance to the k-th nearest known row, of states of length one (Sun et al. 2022, arXiv:2204.06507)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["nearest_neighbours"] = "nearest_neighbours"
    neighbours: int = Field(10, gt=0)

    def fit(self, known: Fitting) -> Scorer:
        """The rows themselves."""
        bank = _of_length_one(known.states)
        place = min(self.neighbours, len(bank)) - 1

        def score(rows: NDArray[np.floating]) -> NDArray[np.float64]:
            found = _squared_distances(_of_length_one(rows), bank)
            return -np.sqrt(np.partition(found, place, axis=1)[:, place])

        return lambda readings: _by_chunks(readings.states, score)


Detector = Annotated[
    MaximumSoftmax | MaximumLogit | Energy | Mahalanobis | NearestNeighbours, Field(discriminator="kind")
]
# Each sees the label scores alone or the states of known rows; the last three of those need such rows.
OF_SCORES: Mapping[str, Detector] = {
    "maximum_softmax": MaximumSoftmax(),
    "maximum_logit": MaximumLogit(),
    "energy": Energy(),
}
OF_STATES: Mapping[str, Detector] = {
    "mahalanobis": Mahalanobis(),
    **{f"nearest_neighbours_{k}": NearestNeighbours(neighbours=k) for k in (1, 10, 50)},
}


def fit_detectors(known: Fitting) -> dict[str, Scorer]:
    """Every detector by its name; those that compare states are left out where no row is known."""
    kinds = {**OF_SCORES, **(OF_STATES if len(known.states) else {})}
    return {name: detector.fit(known) for name, detector in kinds.items()}


def scores_of(detector: str, scorer: Scorer, readings: Readings, place: str) -> NDArray[np.float64]:
    """(rows,) scores. Raises InputError where a number is none, for such rows can be put neither in scope nor out."""
    found = scorer(readings)
    lost = np.flatnonzero(~np.isfinite(found))
    if len(lost):
        raise InputError(
            f"detector {detector} on {place}: {len(lost)} of {len(found)} rows, the first is row {lost[0]}, have no "
            "finite score, so the model gave numbers that are none. Look for a training that diverged."
        )
    return found


def _by_chunks(
    states: NDArray[np.floating], score: Callable[[NDArray[np.floating]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Scores of so many rows at once that the distances to all known rows fit into memory."""
    parts: Sequence[NDArray[np.float64]] = [
        score(states[start : start + ROWS_AT_ONCE]) for start in range(0, len(states), ROWS_AT_ONCE)
    ]
    return np.concatenate([np.zeros(0), *parts])


def _squared_distances(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """(first, second) squared Euclidean distances."""
    found = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.asarray(np.maximum(found, 0.0))


def _of_length_one(states: NDArray[np.floating]) -> NDArray[np.floating]:
    rows = np.asarray(states, dtype=np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12)))
