"""How often each row is shown."""

from collections import Counter

import pytest
from pydantic import ValidationError

from tasks.preparation.balancing import Oversample, Undersample
from tasks.preparation.settings import Preparation

LABELS = ["a"] * 12 + ["b"] * 5 + ["c"] * 2 + [None] * 3
IDS = [f"row-{number}" for number in range(len(LABELS))]


def shown(balance: Oversample | Undersample, seed: int = 13) -> dict[str, int]:
    """How often each id is shown."""
    return dict(zip(IDS, balance.times(IDS, LABELS, seed).tolist(), strict=True))


def rows_by_label(times: dict[str, int]) -> Counter[str | None]:
    """Rows of each label in the result."""
    return Counter(label for row_id, label in zip(IDS, LABELS, strict=True) for _ in range(times[row_id]))


@pytest.mark.parametrize(
    ("ratio", "b", "c"),
    [(1.0, 12, 12), (0.5, 6, 6), (0.4, 5, 5), (0.1, 5, 2), (0.26, 5, 4)],
)
def test_oversampling_brings_each_label_up_to_a_share_of_the_largest(ratio: float, b: int, c: int) -> None:
    # 0.26 * 12 is 3.12, so that four rows are wanted.
    times = shown(Oversample(column="label", ratio=ratio))
    assert rows_by_label(times) == {"a": 12, "b": b, "c": c, None: 3}


def test_oversampling_repeats_the_rows_of_a_label_evenly() -> None:
    times = shown(Oversample(column="label"))
    assert [times[row_id] for row_id in IDS[:12]] == [1] * 12
    # 12 rows of 5: two are shown three times.
    assert sorted(times[row_id] for row_id in IDS[12:17]) == [2, 2, 2, 3, 3]
    assert [times[row_id] for row_id in IDS[17:19]] == [6, 6]


@pytest.mark.parametrize(("ratio", "a", "b"), [(1.0, 2, 2), (0.5, 4, 4), (0.3, 6, 5), (0.1, 12, 5)])
def test_undersampling_brings_each_label_down_to_the_smallest_by_the_ratio(ratio: float, a: int, b: int) -> None:
    # 2 / 0.3 is 6.67, so that six rows are allowed.
    times = shown(Undersample(column="label", ratio=ratio))
    assert set(times.values()) <= {0, 1}
    assert rows_by_label(times) == {"a": a, "b": b, "c": 2, None: 3}


def test_shares_that_no_binary_number_is_are_counted_exactly() -> None:
    ids = [str(number) for number in range(67)]
    # Computed in binary, 0.28 * 25 is 7.000000000000001 and 7 / 0.14 is 49.99999999999999.
    assert Oversample(column="label", ratio=0.28).times(ids[:26], ["a"] * 25 + ["b"], 0).sum() == 25 + 7
    assert Undersample(column="label", ratio=0.14).times(ids, ["a"] * 60 + ["b"] * 7, 0).sum() == 50 + 7


@pytest.mark.parametrize("balance", [Oversample(column="label", ratio=0.6), Undersample(column="label", ratio=0.3)])
def test_a_row_fares_the_same_in_whatever_order_the_rows_come(balance: Oversample | Undersample) -> None:
    backwards = balance.times(IDS[::-1], LABELS[::-1], 13).tolist()
    assert dict(zip(IDS[::-1], backwards, strict=True)) == shown(balance)
    assert any(shown(balance, seed) != shown(balance) for seed in range(5))


def test_an_undersampled_row_that_is_dropped_stays_dropped_when_rows_of_its_label_come() -> None:
    balance = Undersample(column="label")
    before = shown(balance)
    more = balance.times([*IDS, "new-1", "new-2"], [*LABELS, "a", "a"], 13).tolist()
    kept = {row_id for row_id, times in zip(IDS[:12], more, strict=False) if times}
    assert kept <= {row_id for row_id in IDS[:12] if before[row_id]}


def test_numbers_and_truth_are_labels_too() -> None:
    assert Oversample(column="label").times(["x", "y", "z"], [1, 1, 0], 0).tolist() == [1, 1, 2]
    assert Undersample(column="label").times(["x", "y", "z"], [True, False, None], 0).tolist() == [1, 1, 1]


@pytest.mark.parametrize("balance", [Oversample(column="label"), Undersample(column="label")])
def test_rows_without_any_label_stay(balance: Oversample | Undersample) -> None:
    assert balance.times(["x", "y"], [None, None], 0).tolist() == [1, 1]
    assert balance.times([], [], 0).tolist() == []


def test_preparation_reads_its_kinds_from_settings() -> None:
    settings = Preparation.model_validate(
        {
            "balance": {"kind": "undersample", "column": "intent", "ratio": 0.25},
            "augment": [{"kind": "casing"}, {"kind": "typing_noise", "rate": 0.05, "share": 0.5, "copies": 2}],
        }
    )
    assert settings.balance == Undersample(column="intent", ratio=0.25)
    assert [variation.kind for variation in settings.augment] == ["casing", "typing_noise"]
    assert not settings.changes_nothing
    assert Preparation().changes_nothing
    assert not Preparation(balance=Oversample(column="intent")).changes_nothing


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"balance": {"kind": "oversample", "column": "intent", "ratio": 0}}, "greater than 0"),
        ({"balance": {"kind": "oversample", "column": "intent", "ratio": 1.5}}, "less than or equal to 1"),
        ({"balance": {"kind": "smote", "column": "intent"}}, "'oversample', 'undersample'"),
        ({"balance": {"kind": "undersample"}}, "column"),
        ({"augment": [{"kind": "casing", "share": 1.2}]}, "less than or equal to 1"),
        ({"augment": [{"kind": "casing", "copies": 0}]}, "greater than or equal to 1"),
        ({"augment": [{"kind": "casing", "rate": 0.1}]}, "Extra inputs"),
        ({"augment": [{"kind": "back_translation", "forward": {"name": "a"}}]}, "backward"),
        (
            {"augment": [{"kind": "casing"}, {"kind": "punctuation"}, {"kind": "casing"}]},
            "augment holds casing twice; give it once",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Preparation.model_validate(settings)
