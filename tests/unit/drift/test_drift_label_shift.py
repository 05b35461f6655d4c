import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.drift.label_shift import estimate_label_shares
from tasks.drift.seen import OfTask

USUAL = np.array([0.5, 0.3, 0.2])


def rows_of(counts: tuple[int, ...], sure: float = 0.9999) -> OfTask:
    """Rows of each label, so many, with that probability for it."""
    labels = np.repeat(np.arange(len(counts)), counts)
    shares = np.full((len(labels), len(counts)), (1 - sure) / (len(counts) - 1), np.float32)
    shares[np.arange(len(labels)), labels] = sure
    return OfTask(np.full(len(labels), sure), shares)


def calibrated(random: np.random.Generator, rows: int, mix: NDArray[np.float64], apart: float) -> OfTask:
    """Rows with the true probabilities under the usual mix: of label y the score is normal around that of y."""
    labels = random.choice(3, size=rows, p=mix)
    scores = apart * np.eye(3)[labels] + random.normal(size=(rows, 3))
    weighted = USUAL * np.exp(apart * scores)
    shares = (weighted / weighted.sum(axis=1, keepdims=True)).astype(np.float32)
    return OfTask(shares.max(axis=1).astype(float), shares)


def test_well_separated_labels_are_found_as_they_are() -> None:
    found = estimate_label_shares(rows_of((50, 30, 20)), rows_of((20, 10, 170)))
    assert found == pytest.approx([0.1, 0.05, 0.85], abs=0.01)
    assert found.sum() == pytest.approx(1)


def test_of_unsure_answers_more_is_found_than_their_mean_says() -> None:
    random = np.random.default_rng(3)
    mix = np.array([0.1, 0.2, 0.7])
    reference, window = calibrated(random, 20_000, USUAL, 1.5), calibrated(random, 20_000, mix, 1.5)
    assert window.shares is not None
    assert np.abs(window.shares.mean(axis=0) - mix).max() > 0.1
    assert estimate_label_shares(reference, window) == pytest.approx(mix, abs=0.03)


def test_where_nothing_moved_shares_are_those_of_the_reference() -> None:
    reference = calibrated(np.random.default_rng(5), 500, USUAL, 1.5)
    assert reference.shares is not None
    assert estimate_label_shares(reference, reference) == pytest.approx(reference.shares.mean(axis=0), abs=1e-4)


def test_a_label_that_the_reference_lacks_can_still_be_found() -> None:
    reference = OfTask(np.ones(4), np.array([[1, 0, 0], [0, 1, 0]] * 2, np.float32))
    window = OfTask(np.ones(2), np.array([[1, 0, 0], [0, 0, 1]], np.float32))
    assert estimate_label_shares(reference, window) == pytest.approx([0.5, 0, 0.5], abs=0.01)


def test_a_task_of_several_labels_a_text_has_no_shares() -> None:
    with pytest.raises(ValueError, match="one label"):
        estimate_label_shares(OfTask(np.ones(2)), rows_of((1, 1)))
