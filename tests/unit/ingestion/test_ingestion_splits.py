"""Splits by rule: the shares hold, no row moves when data grows, and one text never stands on both sides."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import TypeAdapter, ValidationError

from data_contracts.dataset import DatasetContract
from data_contracts.yaml_files import model_of
from tasks.ingestion.splits import SplitRule, Splits, StratifiedSplit

START = datetime(2026, 1, 1, tzinfo=UTC)
LABELS = ("common", "rare", "single")


@pytest.fixture(scope="module")
def contract() -> DatasetContract:
    columns = [
        {"name": "text", "logicalType": "string"},
        {"name": "label", "logicalType": "string"},
        {"name": "customer", "logicalType": "string"},
        {"name": "at", "logicalType": "timestamp"},
    ]
    content = {"apiVersion": "v3.0.2", "kind": "DataContract", "id": "t", "name": "t", "version": "1"}
    return model_of({**content, "schema": [{"name": "t", "properties": columns}]}, DatasetContract, "t")


def rows(count: int, start: int = 0) -> pa.Table:
    """Rows of which nine in ten are common, the others rare, and the very first has a label of its own."""
    numbers = range(start, start + count)
    return pa.table(
        {
            "text": [f"text number {n}" for n in numbers],
            "label": ["single" if n == 0 else "rare" if n % 10 == 0 else "common" for n in numbers],
            "customer": [f"customer {n % 7}" for n in numbers],
            "at": pa.array([START + timedelta(hours=n) for n in numbers], pa.timestamp("us", tz="UTC")),
        }
    )


def rule(kind: str, **settings: Any) -> Splits:
    made: Splits = TypeAdapter(Splits).validate_python({"kind": kind, **settings})
    return made


def placed(splits: Splits, table: pa.Table, contract: DatasetContract, lines: Any = None) -> dict[str, str]:
    """{text: split}."""
    names = splits.assign(table, contract, lines or {})
    return dict(zip(table.column("text").to_pylist(), names, strict=True))


@pytest.mark.parametrize(
    ("splits", "groups", "moments", "strata"),
    [
        (rule("random"), None, None, None),
        (rule("folds"), None, None, None),
        (rule("stratified", column="label"), None, None, "label"),
        (rule("grouped", column="customer"), "customer", None, None),
        (rule("time", column="at", validation_from=START, test_from=START + timedelta(days=1)), None, "at", None),
    ],
    ids=lambda of: of.kind if isinstance(of, SplitRule) else None,
)
def test_a_rule_says_what_its_column_is_to_others(
    splits: Splits, groups: str | None, moments: str | None, strata: str | None
) -> None:
    assert (splits.group_column, splits.moment_column, splits.strata) == (groups, moments, strata)


def test_a_random_split_has_its_shares_to_within_chance(contract: DatasetContract) -> None:
    counts = Counter(placed(rule("random", validation=0.1, test=0.2), rows(4000), contract).values())
    # Standard deviations of 19 and 25.
    assert abs(counts["validation"] - 400) < 80
    assert abs(counts["test"] - 800) < 100
    assert sum(counts.values()) == 4000


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "random"},
        {"kind": "grouped", "column": "customer", "validation": 0.3, "test": 0.3},
        {"kind": "folds", "folds": 4},
        {"kind": "time", "column": "at", "validation_from": START + timedelta(5), "test_from": START + timedelta(9)},
    ],
    ids=lambda settings: settings["kind"],
)
def test_no_row_moves_when_rows_are_added_or_come_in_another_order(
    contract: DatasetContract, settings: dict[str, Any]
) -> None:
    splits = rule(**settings)
    before = placed(splits, rows(300), contract)
    after = placed(splits, rows(900).take(np.arange(900)[::-1]), contract)
    assert {text: after[text] for text in before} == before
    assert len(set(before.values())) == 3


def test_another_seed_is_another_split(contract: DatasetContract) -> None:
    first, second = (placed(rule("random", seed=seed), rows(500), contract) for seed in (0, 1))
    assert first != second


def test_a_text_and_its_repeat_in_other_letters_stand_on_one_side_whatever_their_labels(
    contract: DatasetContract,
) -> None:
    table = rows(600)
    loud = table.set_column(0, "text", pa.array([f"Text, NUMBER {n}!" for n in range(600)]))
    relabelled = loud.set_column(1, "label", pa.array(["other"] * 600))
    splits = rule("random", validation=0.3, test=0.3)
    assert list(placed(splits, table, contract).values()) == list(placed(splits, relabelled, contract).values())


def test_a_group_is_never_divided(contract: DatasetContract) -> None:
    table = rows(700)
    names = rule("grouped", column="customer", validation=0.3, test=0.3).assign(table, contract, {})
    sides = {(customer, name) for customer, name in zip(table.column("customer").to_pylist(), names, strict=True)}
    assert len(sides) == 7
    assert len({name for _, name in sides}) > 1


def test_rows_without_a_group_go_by_their_texts_and_not_all_to_one_side(contract: DatasetContract) -> None:
    table = rows(700)
    customers = [None if place % 2 else name for place, name in enumerate(table.column("customer").to_pylist())]
    position = table.column_names.index("customer")
    table = table.set_column(position, "customer", pa.array(customers, table.column("customer").type))
    splits = rule("grouped", column="customer", validation=0.3, test=0.3)
    names = splits.assign(table, contract, {})
    counts = Counter(names[1::2])
    assert all(60 <= counts[split] <= 180 for split in ("train", "validation", "test"))
    by_text = rule("random", validation=0.3, test=0.3).assign(table, contract, {})
    assert names[1::2].tolist() == by_text[1::2].tolist()
    assert len({*zip(customers[::2], names[::2], strict=True)}) == len({*customers[::2]})


def test_a_stratified_split_has_its_shares_in_every_label_to_the_row(contract: DatasetContract) -> None:
    splits, table = StratifiedSplit(column="label", validation=0.1, test=0.2), rows(1000)
    lines = splits.lines(table.column("label").to_pylist(), splits.positions(table, contract), {})
    counts = Counter(zip(table.column("label").to_pylist(), splits.assign(table, contract, lines), strict=True))
    assert [counts["common", split] for split in ("train", "validation", "test")] == [630, 90, 180]
    # 99 rare rows: 20 for the test, 10 for the validation.
    assert [counts["rare", split] for split in ("train", "validation", "test")] == [69, 10, 20]
    assert counts["single", "train"] == 1


def test_lines_that_are_known_stay_when_data_grows_and_new_labels_get_their_own(contract: DatasetContract) -> None:
    splits = StratifiedSplit(column="label")
    small = rows(300, start=1)
    known = splits.lines(small.column("label").to_pylist(), splits.positions(small, contract), {})
    before = placed(splits, small, contract, known)
    large = rows(2000)
    lines = splits.lines(large.column("label").to_pylist(), splits.positions(large, contract), known)
    after = placed(splits, large, contract, lines)
    assert {label: lines[label] for label in known} == known
    assert set(lines) - set(known) == {"single"}
    assert {text: after[text] for text in before} == before
    fresh = splits.lines(large.column("label").to_pylist(), splits.positions(large, contract), {})
    assert fresh != lines, "without what is kept the lines would lie elsewhere, and rows would move"


@pytest.mark.parametrize("known", [1, 2, 3, 5, 12])
def test_lines_drawn_from_few_texts_divide_the_many_that_come_later_nearly_by_the_shares(
    contract: DatasetContract, known: int
) -> None:
    for seed in range(20):
        splits = StratifiedSplit(column="label", validation=0.1, test=0.2, seed=seed)
        few, many = (rows(number).set_column(1, "label", pa.array(["new"] * number)) for number in (known, 4000))
        lines = splits.lines(["new"] * known, splits.positions(few, contract), {})
        lines = splits.lines(["new"] * 4000, splits.positions(many, contract), lines)
        counts = Counter(splits.assign(many, contract, lines))
        assert 0.08 < counts["test"] / 4000 < 0.42
        assert 0.04 < counts["validation"] / 4000 < 0.22


def test_folds_are_disjoint_and_every_row_is_tested_once(contract: DatasetContract) -> None:
    tested: Counter[str] = Counter()
    for fold in range(5):
        of_fold = placed(rule("folds", folds=5, fold=fold), rows(400), contract)
        tested.update(text for text, split in of_fold.items() if split == "test")
        assert set(of_fold.values()) == {"train", "validation", "test"}
    assert len(tested) == 400
    assert set(tested.values()) == {1}


def test_a_time_split_learns_from_the_past(contract: DatasetContract) -> None:
    splits = rule("time", column="at", validation_from=START + timedelta(hours=6), test_from=START + timedelta(hours=8))
    assert list(placed(splits, rows(10), contract).values()) == ["train"] * 6 + ["validation"] * 2 + ["test"] * 2


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"kind": "random", "validation": 0.5, "test": 0.5}, "leave no rows for training"),
        ({"kind": "folds", "folds": 3, "fold": 3}, "counted from 0 to 2"),
        (
            {"kind": "time", "column": "at", "validation_from": START, "test_from": START},
            "validation_from has to lie before",
        ),
        ({"kind": "time", "column": "at", "validation_from": "2026-01-01T00:00:00", "test_from": START}, "timezone"),
        ({"kind": "stratified"}, "column"),
    ],
)
def test_a_rule_that_divides_nothing_is_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        rule(**settings)
