"""Each view of a window: hand-computed distances, and z-scores that mean the same whatever the view."""

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from tasks.drift.seen import OfTask, Seen
from tasks.drift.shift import joined, memberships
from tasks.drift.statistics import (
    ConfidenceShift,
    DriftStatistic,
    EmbeddingDistance,
    EntropyShift,
    LabelMix,
    NoveltyShift,
    OutputDistance,
    View,
    fourier_features,
    mean_distances,
)
from tests.unit.drift.worlds import answering, draw, seen

KINDS: tuple[DriftStatistic, ...] = tuple(kind() for kind in get_args(get_args(DriftStatistic)[0]))


def only_view(statistic: DriftStatistic, reference: Seen, window: Seen) -> View:
    (view,) = statistic.views(joined(reference, window))
    return view


def z_of(statistic: DriftStatistic, reference: Seen, window: Seen) -> float:
    """The z of the window as it is."""
    view = only_view(statistic, reference, window)
    ours, theirs = view.features[: len(reference)], view.features[len(reference) :]
    difference = theirs.mean(axis=0) - ours.mean(axis=0)
    return float(view.z(difference[None], 1 / len(reference) + 1 / len(window))[0])


def z_of_permutations(view: View, rows: int, smaller: int, draws: int) -> NDArray[np.float64]:
    inside = memberships(rows, smaller, draws, np.random.default_rng(5))
    means = inside @ view.features / smaller - (1 - inside) @ view.features / (rows - smaller)
    return view.z(means, 1 / smaller + 1 / (rows - smaller))


@pytest.mark.parametrize("statistic", KINDS, ids=lambda statistic: statistic.kind)
def test_every_view_is_on_the_scale_of_its_own_chance(statistic: DriftStatistic) -> None:
    rows = draw(np.random.default_rng(3), 600)
    rows = Seen(rows.embeddings, rows.tasks, np.random.default_rng(4).gamma(3, size=600))
    view = only_view(statistic, rows.at(np.arange(500)), rows.at(np.arange(500, 600)))
    found = z_of_permutations(view, 600, 100, 600)
    assert abs(found.mean()) < 0.25
    assert 0.75 < found.std() < 1.3


def test_the_tail_of_a_kernel_distance_is_that_of_a_normal_distribution_whatever_its_freedom() -> None:
    random = np.random.default_rng(7)
    many = seen(random.normal(size=(600, 30)))
    view = only_view(EmbeddingDistance(), many.at(np.arange(500)), many.at(np.arange(500, 600)))
    found = z_of_permutations(view, 600, 100, 1500)
    assert found.mean() == pytest.approx(0, abs=0.15)
    assert found.std() == pytest.approx(1, abs=0.15)
    # Of a normal distribution one half lies on either side of 0, and 0.5% beyond 2.58.
    assert np.quantile(found, [0.005, 0.5, 0.995]) == pytest.approx([-2.58, 0, 2.58], abs=0.3)


@pytest.mark.parametrize("statistic", KINDS, ids=lambda statistic: statistic.kind)
def test_rows_that_are_all_alike_have_nothing_that_chance_would_not_do(statistic: DriftStatistic) -> None:
    def alike(rows: int) -> Seen:
        return seen(np.full((rows, 8), 0.37), [0.7] * rows, [[0.7, 0.3]] * rows, distances=[0.1] * rows)

    view = only_view(statistic, alike(500), alike(100))
    assert z_of_permutations(view, 600, 100, 50).max() < 0.5


def test_the_gap_of_confidences_is_in_standard_deviations_of_its_place() -> None:
    reference, window = seen(confidences=[0.1, 0.2, 0.3]), seen(confidences=[0.25, 0.9])
    # Up to 0.2 lie two of three rows of the reference and none of the window, and 2 of all 5.
    view = only_view(ConfidenceShift(), reference, window)
    difference = view.features[:3].mean(axis=0) - view.features[3:].mean(axis=0)
    assert np.abs(difference).max() == pytest.approx((2 / 3) / np.sqrt(0.4 * 0.6))


def test_a_gap_is_as_unusual_as_the_largest_of_eleven_to_either_side() -> None:
    # All ten confidences of the reference are below all five of the window: 1 / sqrt(2/3 * 1/3) / sqrt(1/10 + 1/5)
    # = 3.873, whose chance is 22 * 0.0000538 = 0.00118.
    found = z_of(ConfidenceShift(), seen(confidences=[0.1] * 10), seen(confidences=[0.9] * 5))
    assert found == pytest.approx(3.039, abs=0.002)
    # A chance of nearly 1 is none.
    assert z_of(ConfidenceShift(), seen(confidences=[0.1, 0.9]), seen(confidences=[0.1, 0.9])) == pytest.approx(
        -1.6449, abs=1e-4
    )


def test_ties_lie_on_the_same_side_of_every_cell() -> None:
    reference, window = seen(confidences=[0.5, 0.5, 0.5, 1.0]), seen(confidences=[0.5, 1.0, 1.0, 1.0])
    view = only_view(ConfidenceShift(), reference, window)
    assert view.features.shape == (8, 1)
    assert view.features[:, 0] == pytest.approx(np.array([1, 1, 1, 0, 1, 0, 0, 0]) / 0.5)


def test_each_of_64_cells_holds_as_many_rows() -> None:
    view = only_view(ConfidenceShift(), seen(confidences=np.arange(120)), seen(confidences=np.arange(120, 128)))
    assert view.features.shape == (128, 63)
    assert (view.features > 0).sum(axis=0).tolist() == list(range(2, 128, 2))
    # The first cell holds one row in 64.
    assert view.features[0, 0] == pytest.approx(1 / np.sqrt(1 / 64 * 63 / 64))


def test_entropy_and_novelty_are_looked_at_as_confidence_is() -> None:
    low, high = [[0.99, 0.01]] * 4, [[0.5, 0.5]] * 4
    far = z_of(ConfidenceShift(), seen(confidences=[0.1] * 4), seen(confidences=[0.9] * 4))
    assert far > 1
    assert z_of(EntropyShift(), seen(shares=low), seen(shares=high)) == pytest.approx(far)
    assert z_of(NoveltyShift(), seen(distances=[0.1] * 4), seen(distances=[0.9] * 4)) == pytest.approx(far)


def test_the_mix_of_labels_is_pearsons_chi_square() -> None:
    reference, window = answering(0, 0, 0, 1, of=3), answering(1, 1, of=3)
    # 3 and 1 against 0 and 2: 6 * (3 * 2 - 1 * 0)^2 / (4 * 2 * 3 * 3) = 3, of one degree of freedom.
    view = only_view(LabelMix(), reference, window)
    difference = view.features[4:].mean(axis=0) - view.features[:4].mean(axis=0)
    assert mean_distances(difference[None]) / (1 / 4 + 1 / 2) == pytest.approx([3])
    # Wilson and Hilferty: (3^(1/3) - 7/9) / sqrt(2/9).
    assert z_of(LabelMix(), reference, window) == pytest.approx(1.4096, abs=1e-3)
    # The third label, which no row has, adds nothing.
    assert only_view(LabelMix(), reference, window).features.shape == (6, 2)


def test_one_label_only_is_no_shift() -> None:
    assert z_of(LabelMix(), answering(0, 0, of=1), answering(0, of=1)) < 0


@pytest.mark.parametrize(("statistic", "kept"), [(EmbeddingDistance(features=4000), "embeddings"),
                                                 (OutputDistance(features=4000), "shares")])  # fmt: skip
def test_the_kernel_distance_is_that_of_a_gaussian_at_the_median_distance(statistic: DriftStatistic, kept: str) -> None:
    random = np.random.default_rng(37)
    x, y = random.normal(size=(30, 3)), random.normal(0.7, 1, size=(20, 3))
    both = np.concatenate([x, y])
    squares = ((both[:, None] - both) ** 2).sum(axis=2)
    kernel = np.exp(-squares / np.median(squares[np.triu_indices(50, k=1)]))
    exact = kernel[:30, :30].mean() + kernel[30:, 30:].mean() - 2 * kernel[:30, 30:].mean()
    features = only_view(statistic, seen(**{kept: x}), seen(**{kept: y})).features
    assert np.abs(features @ features.T - kernel).max() < 0.08
    difference = features[30:].mean(axis=0) - features[:30].mean(axis=0)
    assert mean_distances(difference[None]) == pytest.approx([exact], rel=0.1)


def test_features_are_the_same_each_time_and_hang_on_the_seed() -> None:
    rows = np.random.default_rng(1).normal(size=(20, 3))
    first, again, other = (fourier_features(rows, 16, seed) for seed in (7, 7, 8))
    assert first.shape == (20, 16)
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    assert (first**2).sum(axis=1) == pytest.approx(np.ones(20))


def test_every_kind_looks_at_the_tasks_that_it_can() -> None:
    both = Seen(
        np.zeros((3, 2), np.float32),
        {"intent": OfTask(np.ones(3), np.full((3, 2), 0.5, np.float32)), "topics": OfTask(np.ones(3))},
    )
    named = {view.name: view.task for statistic in KINDS for view in statistic.views(both)}
    assert named == {
        "embedding_distance": None,
        "output_distance/intent": "intent",
        "confidence_shift/intent": "intent",
        "confidence_shift/topics": "topics",
        "entropy_shift/intent": "intent",
        "label_mix/intent": "intent",
    }
