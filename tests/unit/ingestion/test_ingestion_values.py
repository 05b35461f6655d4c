"""Values of a file in the type that the contract gives their column."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from data_contracts.dataset import Property
from tasks.ingestion.values import convert, typed_column

MOMENT = datetime(2026, 1, 5, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("logical_type", "value", "typed"),
    [
        ("string", "", ""),
        ("number", 3, 3.0),
        ("number", "3.5", 3.5),
        ("number", float("nan"), None),
        ("number", "nan", None),
        ("integer", "-7", -7),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("boolean", False, False),
        ("boolean", "True", True),
        ("array", ["a", "b"], ["a", "b"]),
        ("array", '["a"]', ["a"]),
        ("timestamp", "2026-01-05T08:00:00Z", MOMENT),
        ("timestamp", "2026-01-05T15:00:00+07:00", MOMENT),
        ("timestamp", "2026-01-05 08:00", MOMENT),
        ("timestamp", MOMENT, MOMENT),
        ("object", {"tokens": ["a"], "tags": ["O"], "source": "x"}, {"tokens": ["a"], "tags": ["O"]}),
        ("object", '{"tokens": [], "tags": []}', {"tokens": [], "tags": []}),
    ],
)
def test_a_value_takes_the_type_of_its_column(logical_type: str, value: object, typed: object) -> None:
    column = Property.model_validate({"name": "x", "logicalType": logical_type})
    assert convert(value, column) == typed
    assert convert(None, column) is None


LABELS = [
    ("string", 0, "0"),
    ("string", True, "true"),
    ("string", 2.0, "2"),
    ("string", float("nan"), None),
    ("string", "0", "0"),
    ("array", [1, "2", False], ["1", "2", "false"]),
    ("array", "[1]", ["1"]),
]


@pytest.mark.parametrize(("logical_type", "value", "typed"), LABELS)
def test_labels_may_be_numbers_and_truths_in_the_file(logical_type: str, value: object, typed: object) -> None:
    rules = [{"property": "role", "value": "label"}, {"property": "labels", "value": ["0", "1", "true"]}]
    column = Property.model_validate({"name": "x", "logicalType": logical_type, "customProperties": rules})
    assert convert(value, column) == typed
    for values in ([value, None], pa.array([value, None]) if type(value) in (int, bool, float) else [value, None]):
        typed_values, mistakes = typed_column(values, column)
        assert (typed_values.to_pylist(), mistakes) == ([typed, None], {})


@pytest.mark.parametrize(("logical_type", "value"), [("string", 0.5), ("string", ["0"]), ("array", [None])])
def test_labels_are_nothing_else_in_the_file(logical_type: str, value: object) -> None:
    rules = [{"property": "role", "value": "label"}, {"property": "labels", "value": ["0", "1"]}]
    column = Property.model_validate({"name": "x", "logicalType": logical_type, "customProperties": rules})
    with pytest.raises(ValueError, match="expected"):
        convert(value, column)


def test_a_moment_without_zone_is_in_utc() -> None:
    found = convert("2026-01-05T08:00", Property(name="x", logical_type="timestamp"))
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("logical_type", "value", "said"),
    [
        ("number", "abc", "expected a number"),
        ("number", [1], "expected a number, not list"),
        ("integer", "1.5", "expected a whole number"),
        ("integer", "9" * 5000, "expected a whole number"),
        ("boolean", "maybe", "expected true or false"),
        ("timestamp", "05.01.2026", "expected a moment in ISO 8601, as 2026-08-10T09:30:00Z is one"),
        ("array", "a, b", "expected a list of text, in JSON where the file holds text"),
        ("object", "{", "expected an object with the lists `tokens` and `tags`, in JSON where the file holds text"),
        ("object", "[]", "expected an object with the lists `tokens` and `tags`"),
    ],
)
def test_a_mistake_says_what_was_expected(logical_type: str, value: object, said: str) -> None:
    _, mistakes = typed_column([value], Property.model_validate({"name": "x", "logicalType": logical_type}))
    assert mistakes == {0: said}


@pytest.mark.parametrize(
    ("logical_type", "value"),
    [
        ("string", 5),
        ("number", True),
        ("number", "high"),
        ("number", float("-inf")),
        ("integer", 1.0),
        ("integer", False),
        ("integer", 2**63),
        ("integer", "1_000"),
        ("number", "1_000"),
        ("number", "1,5"),
        ("boolean", "yes"),
        ("array", "a"),
        ("array", ["a", 1]),
        ("timestamp", 1767600000),
        ("timestamp", "05.01.2026"),
        ("object", "not json"),
        ("object", ["a"]),
        ("object", {"tokens": ["a"]}),
        ("object", {"tokens": ["a"], "tags": [0]}),
    ],
)
def test_a_value_of_another_type_is_not_bent_to_fit(logical_type: str, value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        convert(value, Property.model_validate({"name": "x", "logicalType": logical_type}))
