"""How many rows of each task come when, and which."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from tasks.training import drawing
from tasks.training.drawing import apportion, cycled, draw_epoch
from tasks.training.sampling import AnnealedSampling


def test_one_part_is_divided_by_largest_remainder() -> None:
    # 4 rows: 2, 1.2 and 0.8 of them; the whole ones are 2, 1 and 0, and the last has the largest remainder.
    assert apportion([0.5, 0.3, 0.2], [4]).tolist() == [[2, 1, 1]]


def test_what_a_task_lacks_of_one_part_it_is_given_in_the_next() -> None:
    # Lacking: 1.2 and 0.8; then 1.4 and 0.6, 1.6 and 0.4, and 0.8 and 1.2 after the third part gave 2 and 0.
    assert apportion([0.6, 0.4], [2] * 5).tolist() == [[1, 1], [1, 1], [2, 0], [1, 1], [1, 1]]


def test_parts_of_different_sizes_each_have_their_rows_and_their_shares() -> None:
    # Lacking: 1.5 and 1.5; then 0.5 and 1.5 after 2 and 1 were given, 1 and 2, and 1 and 1.
    assert apportion([0.5, 0.5], [3, 2, 3, 2]).tolist() == [[2, 1], [1, 1], [1, 2], [1, 1]]


def test_a_share_of_less_than_a_row_a_part_is_met_in_turn() -> None:
    counts = apportion([0.9, 0.1], [2] * 10)
    assert counts.sum(axis=0).tolist() == [18, 2]
    assert np.flatnonzero(counts[:, 1]).tolist() == [2, 7]


@pytest.mark.parametrize("rows_per_part", [1, 2, 5, 16])
def test_all_parts_up_to_any_one_have_the_shares_within_a_row_or_so(rows_per_part: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        shares = random.dirichlet(np.full(8, 0.5))
        counts = apportion(shares.tolist(), [rows_per_part] * 200)
        assert counts.sum(axis=1).tolist() == [rows_per_part] * 200
        assert counts.min() >= 0
        away = counts.cumsum(axis=0) - np.outer(np.arange(1, 201) * rows_per_part, shares)
        assert away.max() < 1
        assert away.min() > -2


def test_thirds_are_not_lost_to_rounding() -> None:
    assert apportion([1 / 3, 1 / 3, 1 / 3], [3] * 1000).tolist() == [[1, 1, 1]] * 1000


def test_rows_are_cycled_through_without_replacement_from_any_place_on() -> None:
    rows = [10, 20, 30, 40, 50]
    whole = cycled(rows, 0, 23, [7]).tolist()
    assert [sorted(whole[at : at + 5]) for at in (0, 5, 10, 15)] == [rows] * 4
    assert len({tuple(whole[at : at + 5]) for at in (0, 5, 10, 15)}) > 1
    for start in (0, 1, 4, 5, 13):
        assert cycled(rows, start, 10, [7]).tolist() == whole[start : start + 10]
    assert cycled(rows, 3, 0, [7]).tolist() == []
    assert cycled(rows, 0, 23, [8]).tolist() != whole
    assert set(Counter(whole).values()) <= {4, 5}


def test_planning_an_epoch_apportions_it_and_the_one_before_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    apportioned = 0

    def counted(*arguments: Any) -> Any:
        nonlocal apportioned
        apportioned += 1
        return apportion(*arguments)

    monkeypatch.setattr(drawing, "apportion", counted)
    # Rows of no other test, which would be known already.
    labelled = {"a": range(311), "b": range(311, 350)}
    for epoch in range(20):
        before = apportioned
        draw_epoch(labelled, {}, AnnealedSampling(), rows_of_parts=(8, 8), seed=1, epoch=epoch, epochs=20)
        assert apportioned - before <= 2
