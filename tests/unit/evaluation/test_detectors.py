import numpy as np
import pytest
from numpy.typing import NDArray

from data_contracts.errors import InputError
from tasks.evaluation import detectors
from tasks.evaluation.detectors import (
    Energy,
    Fitting,
    Mahalanobis,
    MaximumLogit,
    MaximumSoftmax,
    NearestNeighbours,
    Readings,
    fit_detectors,
    scores_of,
)

NOTHING_KNOWN = Fitting(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
SCORES = np.log([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]])


def of_scores(scores: NDArray[np.float64]) -> Readings:
    return Readings(scores, np.zeros((len(scores), 2)))


def of_states(*states: tuple[float, ...]) -> Readings:
    return Readings(np.zeros((len(states), 3)), np.array(states, dtype=np.float32))


def known_states(rows: int = 300, width: int = 4) -> Fitting:
    """Two labels, ten apart along the first axis, with a spread of one and of three along the second."""
    random = np.random.default_rng(0)
    labels = np.arange(rows) % 2
    states = random.normal(size=(rows, width)) * [1, 3, *[1] * (width - 2)]
    states[:, 0] += 10 * labels
    return Fitting(states, labels)


def test_the_maximum_softmax_is_the_largest_probability_whatever_constant_a_row_lacks() -> None:
    score = MaximumSoftmax().fit(NOTHING_KNOWN)
    assert score(of_scores(SCORES + np.array([[3.0], [-50.0]]))) == pytest.approx([0.7, 0.5])


def test_the_maximum_softmax_is_the_confidence_by_the_temperature() -> None:
    score = MaximumSoftmax().fit(Fitting(NOTHING_KNOWN.states, NOTHING_KNOWN.labels, temperature=2.0))
    roots = np.sqrt([0.7, 0.2, 0.1])
    assert score(of_scores(SCORES))[0] == pytest.approx(roots[0] / roots.sum())


def test_logit_and_energy_see_the_size_of_the_scores_that_a_probability_does_not() -> None:
    scores = np.array([[4.0, 0.0, 0.0], [14.0, 10.0, 10.0]])
    assert MaximumLogit().fit(NOTHING_KNOWN)(of_scores(scores)) == pytest.approx([4, 14])
    energy = Energy().fit(NOTHING_KNOWN)(of_scores(scores))
    assert energy[0] == pytest.approx(np.log(np.exp(4) + 2))
    assert energy[1] - energy[0] == pytest.approx(10)
    assert np.ptp(MaximumSoftmax().fit(NOTHING_KNOWN)(of_scores(scores))) == pytest.approx(0)


def test_the_mahalanobis_distance_is_that_to_the_nearest_mean_by_the_spread_along_each_axis() -> None:
    known = known_states(rows=20_000)
    score = Mahalanobis().fit(known)
    middle = [float(known.states[known.labels == 1][:, axis].mean()) for axis in range(4)]
    shift = np.array([[0, 0, 0, 0], [2, 0, 0, 0], [0, 6, 0, 0], [0, 0, 0, 3]])
    found = score(of_states(*(tuple(row) for row in middle + shift)))
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found[1:] == pytest.approx([-4, -4, -9], rel=0.05)


def test_more_columns_than_rows_and_rows_that_are_one_and_the_same_still_have_a_distance() -> None:
    random = np.random.default_rng(1)
    few = Fitting(random.normal(size=(6, 40)), np.array([0, 0, 1, 1, 2, 2]))
    same = Fitting(np.ones((4, 3)), np.array([0, 0, 1, 1]))
    far, near = of_states((9.0,) * 40, (0.0,) * 40), of_states((1.0, 1.0, 1.0), (2.0, 1.0, 1.0))
    assert np.isfinite(Mahalanobis().fit(few)(far)).all()
    found = Mahalanobis().fit(same)(near)
    assert found[0] > found[1]


def test_the_nearest_neighbour_is_found_by_direction_and_the_kth_by_rank() -> None:
    known = Fitting(np.array([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]]), np.array([0, 1, 2]))
    readings = of_states((7.0, 0.0), (3.0, 3.0))
    one = NearestNeighbours(neighbours=1).fit(known)(readings)
    assert one == pytest.approx([0, -np.sqrt(2 - np.sqrt(2))], abs=1e-3)
    two = NearestNeighbours(neighbours=2).fit(known)(readings)
    assert two == pytest.approx([-np.sqrt(2), -np.sqrt(2 - np.sqrt(2))], abs=1e-3)


def test_more_neighbours_than_rows_are_all_rows() -> None:
    known = Fitting(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([0, 1]))
    assert NearestNeighbours(neighbours=50).fit(known)(of_states((3.0, 0.0))) == pytest.approx([-2])


@pytest.mark.parametrize("detector", [Mahalanobis(), NearestNeighbours(neighbours=3)])
def test_how_many_rows_are_compared_at_once_changes_nothing(
    detector: Mahalanobis | NearestNeighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = np.random.default_rng(3).normal(size=(11, 4))
    score, readings = detector.fit(known_states()), Readings(np.zeros((11, 2)), states)
    whole = score(readings)
    monkeypatch.setattr(detectors, "ROWS_AT_ONCE", 4)
    assert score(readings) == pytest.approx(whole, abs=1e-6)
    assert len(whole) == 11
    assert score(Readings(np.zeros((0, 2)), np.zeros((0, 4)))).shape == (0,)


def test_every_detector_ranks_a_text_like_those_known_above_one_far_from_all() -> None:
    near = Readings(np.array([[9.0, 0.0]]), np.array([[10.0, 0.0, 0.0, 0.0]]))
    far = Readings(np.array([[1.0, 0.9]]), np.array([[0.0, 0.0, 0.0, 90.0]]))
    found = fit_detectors(known_states())
    assert len(found) == 7
    for scorer in found.values():
        assert scorer(near)[0] > scorer(far)[0]


def test_detectors_of_states_are_left_out_where_no_row_is_known() -> None:
    assert list(fit_detectors(NOTHING_KNOWN)) == ["maximum_softmax", "maximum_logit", "energy"]


def test_a_score_that_is_no_number_is_refused_with_the_row_and_the_place() -> None:
    readings = of_scores(np.array([[1.0, 2.0], [np.nan, 0.0]]))
    with pytest.raises(InputError, match=r"energy on test: 1 of 2 rows, the first is row 1,"):
        scores_of("energy", Energy().fit(NOTHING_KNOWN), readings, "test")
