import numpy as np
import pytest

from tasks.drift.slices import QUARTERS, length_quarters, moved_slices


def test_a_value_that_became_more_frequent_is_named_with_both_shares() -> None:
    found = moved_slices({"language": ["vi"] * 30 + ["en"] * 70}, {"language": ["vi"] * 20 + ["en"] * 380})
    assert [(moved.name, moved.window, moved.reference) for moved in found] == [
        ("language: en", 0.7, 0.95),
        ("language: vi", 0.3, 0.05),
    ]
    # 50 of 500 in all, so the spread is sqrt(0.1 * 0.9 * (1/100 + 1/400)) = 0.0335.
    assert found[1].z == pytest.approx(0.25 / 0.033541, rel=1e-4)
    assert found[0].z == pytest.approx(-found[1].z)


def test_what_chance_explains_is_not_listed() -> None:
    random, kinds = np.random.default_rng(7), [f"kind {number}" for number in range(20)]
    lists = [
        moved_slices({"of": random.choice(kinds, 400).tolist()}, {"of": random.choice(kinds, 1200).tolist()})
        for _ in range(100)
    ]
    # One list in twenty; each of its twenty slices by itself would be.
    assert sum(bool(found) for found in lists) <= 12


def test_columns_that_one_side_lacks_or_that_name_rows_are_not_compared() -> None:
    names = [f"row {number}" for number in range(60)]
    assert moved_slices({"id": names, "shop": ["x"] * 60}, {"id": ["row 1"] * 60}) == []
    assert moved_slices({"id": [names[0]] * 60}, {"id": ["other"] * 60})


def test_a_slice_of_a_handful_of_rows_is_not_compared_and_no_rows_say_nothing() -> None:
    for rows, named in ((4, ["kind: b"]), (5, ["kind: a", "kind: b"])):
        found = moved_slices({"kind": ["a"] * rows + ["b"] * 400}, {"kind": ["b"] * 4000})
        assert sorted(moved.name for moved in found) == named
    assert moved_slices({"kind": []}, {"kind": ["b"]}) == []


def test_texts_lie_in_the_quarter_of_the_references_lengths() -> None:
    reference = ["x" * length for length in range(1, 101)]
    assert length_quarters(["", "x" * 25, "x" * 26, "x" * 60, "x" * 500], reference) == [
        *(QUARTERS[0], QUARTERS[0], QUARTERS[1], QUARTERS[2], QUARTERS[3]),
    ]
