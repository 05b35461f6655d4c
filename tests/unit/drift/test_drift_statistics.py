from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.drift.reference import Seen
from tasks.drift.statistics import (
    ConfidenceShift,
    DriftStatistic,
    EmbeddingDistance,
    estimated_accuracy,
    permutation_p_value,
)

BOTH: tuple[DriftStatistic, ...] = (EmbeddingDistance(features=32), ConfidenceShift())


def seen(embeddings: Any = None, confidences: Any = None, right: Any = None) -> Seen:
    """Rows of one classifier, `intent`; what is not given does not vary."""
    rows = len(next(values for values in (confidences, embeddings) if values is not None))
    return Seen(
        np.zeros((rows, 2), np.float32) if embeddings is None else np.asarray(embeddings, np.float32),
        {"intent": np.ones(rows) if confidences is None else np.asarray(confidences, float)},
        {} if right is None else {"intent": np.asarray(right, float)},
    )


def draw(random: np.random.Generator, rows: int, *, shift: float = 0.0) -> Seen:
    return seen(random.normal(shift, 1, size=(rows, 4)), np.clip(random.normal(0.9 - shift / 5, 0.1, rows), 0, 1))


def truth(reference: Seen, window: Seen) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(len(reference.embeddings)), np.ones(len(window.embeddings))])[None]


# The p-value


class Given:
    """A statistic whose value for the truth and for each permutation is given."""

    kind: Literal["given"] = "given"

    def __init__(self, *values: float) -> None:
        self.values = np.array(values)

    def draws(self, reference: Seen, window: Seen, membership: NDArray[np.float64]) -> NDArray[np.float64]:
        assert len(membership) == len(self.values)
        return self.values


@pytest.mark.parametrize(
    ("values", "p_value"), [((9, 1, 2, 3, 4), 1 / 5), ((3, 1, 2, 3, 4), 3 / 5), ((0, 1, 2, 3, 4), 5 / 5)]
)
def test_the_p_value_is_that_of_k_permutations_as_far_as_the_truth_or_farther(
    values: tuple[float, ...], p_value: float
) -> None:
    rows = seen([[0], [1], [2]])
    statistics: Any = (Given(*values),)
    found, scores = permutation_p_value(statistics, rows, rows, permutations=4, seed=0)
    assert found == p_value
    assert scores == pytest.approx({"given_z": (values[0] - np.mean(values)) / np.std(values)})


def test_one_statistic_far_out_is_enough_whatever_the_units_of_the_others() -> None:
    rows = seen([[0], [1], [2]])
    quiet, loud = Given(500, 100, 900, 400, 600), Given(0.009, 0.001, 0.002, 0.001, 0.002)
    statistics: Any = (quiet, loud)
    assert permutation_p_value(statistics, rows, rows, permutations=4, seed=0)[0] == 1 / 5


@pytest.mark.parametrize("statistics", [BOTH[:1], BOTH[1:], BOTH], ids=["embeddings", "confidences", "both"])
def test_windows_like_the_reference_have_p_values_spread_evenly(statistics: tuple[DriftStatistic, ...]) -> None:
    random = np.random.default_rng(23)
    found = np.sort(
        [
            permutation_p_value(statistics, draw(random, 50), draw(random, 25), permutations=99, seed=number)[0]
            for number in range(100)
        ]
    )
    # Kolmogorov and Smirnov: 100 even draws stray farther than 0.163 in one case of a hundred.
    assert np.abs(found - (np.arange(100) + 0.5) / 100).max() < 0.163
    assert (found <= 0.05).sum() <= 12


@pytest.mark.parametrize("statistics", [BOTH[:1], BOTH[1:], BOTH], ids=["embeddings", "confidences", "both"])
def test_a_shifted_window_has_the_smallest_p_value_there_is(statistics: tuple[DriftStatistic, ...]) -> None:
    random = np.random.default_rng(29)
    reference, window = draw(random, 100), draw(random, 50, shift=1.5)
    p_value, scores = permutation_p_value(statistics, reference, window, permutations=199, seed=1)
    assert p_value == 1 / 200
    assert all(score > 3 for score in scores.values())


def test_the_same_window_has_the_same_p_value() -> None:
    random = np.random.default_rng(31)
    reference, window = draw(random, 40), draw(random, 20)
    first, second = (permutation_p_value(BOTH, reference, window, permutations=99, seed=3) for _ in range(2))
    assert first == second


# Confidence shift


def test_the_shift_of_confidences_is_the_largest_gap_of_their_distributions() -> None:
    reference, window = seen(confidences=[0.1, 0.2, 0.3]), seen(confidences=[0.25, 0.9])
    # Up to 0.2 lie two of three rows of the reference and none of the window.
    assert ConfidenceShift().draws(reference, window, truth(reference, window)) == pytest.approx([2 / 3])


def test_the_shift_is_that_of_the_classifier_that_shifted_most() -> None:
    reference = Seen(np.zeros((2, 1), np.float32), {"a": np.array([0.1, 0.9]), "b": np.array([0.1, 0.2])}, {})
    window = Seen(np.zeros((2, 1), np.float32), {"a": np.array([0.1, 0.9]), "b": np.array([0.8, 0.9])}, {})
    assert ConfidenceShift().draws(reference, window, truth(reference, window)) == pytest.approx([1.0])


def test_equal_confidences_are_no_shift() -> None:
    reference, window = seen(confidences=[1.0] * 60), seen(confidences=[1.0] * 30)
    assert ConfidenceShift().draws(reference, window, truth(reference, window)) == [0]
    assert permutation_p_value(BOTH[1:], reference, window, permutations=99, seed=0)[0] == 1


# Embedding distance


def test_the_distance_of_embeddings_is_that_of_a_gaussian_kernel_at_the_median_distance() -> None:
    random = np.random.default_rng(37)
    reference, window = seen(random.normal(size=(30, 3))), seen(random.normal(0.7, 1, size=(20, 3)))
    x, y = (rows.embeddings.astype(float) for rows in (reference, window))
    both = np.concatenate([x, y])
    squares = np.array([[((a - b) ** 2).sum() for b in both] for a in both])
    kernel = np.exp(-squares / np.median(squares[np.triu_indices(50, k=1)]))
    exact = kernel[:30, :30].mean() + kernel[30:, 30:].mean() - 2 * kernel[:30, 30:].mean()
    found = EmbeddingDistance(features=20_000).draws(reference, window, truth(reference, window))
    assert found == pytest.approx([exact], rel=0.05)


def test_the_distance_of_rows_to_themselves_is_nothing_and_grows_with_the_shift() -> None:
    rows = np.random.default_rng(41).normal(size=(40, 3))
    reference = seen(rows)
    found = [
        float(EmbeddingDistance().draws(reference, window, truth(reference, window))[0])
        for window in (seen(rows), seen(rows + 0.5), seen(rows + 1))
    ]
    assert found[0] == pytest.approx(0, abs=1e-12)
    assert found[0] < found[1] < found[2]


# Estimated accuracy


def test_the_estimated_accuracy_is_the_share_of_rows_above_the_confidence_that_the_reference_fails_below() -> None:
    tenths = [step / 10 for step in range(1, 11)]
    reference = seen(confidences=tenths, right=[0, 1, 0, 1, 1, 1, 1, 1, 1, 1])
    window = seen(confidences=[0.05, 0.2, 0.5, 0.9, 0.95])
    # Two of ten answers are wrong, so the threshold lies between 0.2 and 0.3.
    assert estimated_accuracy(reference, window, "intent") == (0.8, 3 / 5)
    assert estimated_accuracy(reference, reference, "intent") == (0.8, 0.8)


def test_reference_rows_without_a_label_do_not_count_as_mistakes() -> None:
    nothing = float("nan")
    reference = seen(confidences=[0.9, 0.8, 0.7, 0.6, 0.1, 0.1], right=[1, 1, 1, 0, nothing, nothing])
    known, estimated = estimated_accuracy(reference, seen(confidences=[0.95, 0.65, 0.3, 0.75]), "intent")
    # The threshold is the first quartile of 0.6, 0.7, 0.8 and 0.9: 0.675.
    assert (known, estimated) == (0.75, 0.5)
