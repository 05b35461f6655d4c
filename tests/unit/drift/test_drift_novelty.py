import numpy as np
import pytest

from tasks.drift import novelty
from tasks.drift.novelty import beside, both_apart, nearest_distances, nearest_rows, scope_threshold
from tests.unit.drift.worlds import seen

ROUND = np.array([[2, 0], [0, 3], [-1, 0], [5, 5]], np.float32)


def test_a_distance_is_that_to_the_nearest_direction() -> None:
    found = nearest_distances(np.array([[7, 0], [0, -1], [1, 2]], np.float32), ROUND)
    # The second is a right angle from the nearest; the third, of direction (1, 2) / sqrt(5), is nearest to (1, 1).
    assert found == pytest.approx([0, np.sqrt(2), np.sqrt(2 - 2 * 3 / np.sqrt(10))], abs=1e-3)


def test_no_row_is_its_own_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [np.sqrt(2 - np.sqrt(2)), np.sqrt(2 - np.sqrt(2)), np.sqrt(2), np.sqrt(2 - np.sqrt(2))]
    assert nearest_rows(ROUND, ROUND, own=True)[0] == pytest.approx(wanted, abs=1e-3)
    # Piece by piece it is the same.
    monkeypatch.setattr(novelty, "ROWS_AT_ONCE", 3)
    assert nearest_rows(ROUND, ROUND, own=True)[0] == pytest.approx(wanted, abs=1e-3)


def test_a_text_that_comes_twice_is_near_itself() -> None:
    assert nearest_rows(ROUND[[0, 0]], ROUND[[0, 0]], own=True)[0] == pytest.approx([0, 0], abs=1e-3)


def test_without_a_bank_all_is_as_far_as_can_be() -> None:
    assert nearest_distances(ROUND, ROUND[:0]).tolist() == [2] * 4
    assert nearest_rows(ROUND[:1], ROUND[:1], own=True)[0].tolist() == [2]
    assert nearest_distances(ROUND[:1], ROUND[:1]) == pytest.approx([0], abs=1e-3)
    assert nearest_distances(ROUND[:0], ROUND).tolist() == []


def test_a_row_without_direction_is_a_number_too() -> None:
    assert nearest_distances(np.zeros((1, 2), np.float32), ROUND) == pytest.approx([np.sqrt(2)])


def test_a_twentieth_at_most_of_the_reference_is_beyond_its_own_threshold() -> None:
    distances = np.arange(1.0, 101)
    assert (distances > scope_threshold(distances)).sum() == 4
    assert scope_threshold(distances) == 96


def test_rows_that_others_are_held_against_are_in_neither_side(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    reference, window = (seen(random.normal(size=(rows, 4)), np.arange(rows)) for rows in (9, 5))
    ours, theirs = both_apart(reference, window)
    assert (len(ours), len(theirs)) == (5, 5)
    held = ours.tasks["intent"].confidences.astype(int)
    assert (np.diff(held) > 0).all()
    bank = reference.embeddings[np.setdiff1d(np.arange(9), held)]
    assert ours.distances == pytest.approx(nearest_distances(ours.embeddings, bank))
    assert theirs.distances == pytest.approx(nearest_distances(window.embeddings, bank))
    assert ours.distances.min() > 0.01
    monkeypatch.setattr(novelty, "MOST_BANK_ROWS", 2)
    assert len(both_apart(reference, window)[0]) == 7


def test_rows_are_beside_the_nearest_one_of_the_reference_and_none_of_its_own_beside_itself() -> None:
    reference = seen(embeddings=[[1, 0], [0, 1], [-1, 0], [-1, 0.1]])
    found = beside(seen(embeddings=[[5, 1], [-3, 0]]), reference)
    assert found.nearest is not None
    assert found.distances is not None
    assert found.nearest.tolist() == [0, 2]
    assert found.distances == pytest.approx(nearest_distances(found.embeddings, reference.embeddings))
    own = beside(reference, reference)
    assert own.nearest is not None
    assert own.nearest.tolist() == [1, 3, 3, 2]
