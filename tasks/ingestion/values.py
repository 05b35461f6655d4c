"""Values as they stand in a file, to the type that the contract gives their column."""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.dataset import Property
from data_contracts.labelling import label_in_words
from tasks.ingestion.answers import ANSWERS, answer_of
from tasks.ingestion.answers import EXPECTED as ANSWER

T = TypeVar("T")
Values: TypeAlias = "Sequence[Any] | pa.Array"
TAGGED = pa.struct([("tokens", pa.list_(pa.string())), ("tags", pa.list_(pa.string()))])
MOMENT = pa.timestamp("us", tz="UTC")
ARROW_TYPES = {
    "string": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "timestamp": MOMENT,
    "array": pa.list_(pa.string()),
    "object": TAGGED,
}
# Which Python types convert as a whole; everything else goes value by value, where the strictness is.
AS_A_WHOLE: dict[str, set[type]] = {
    "string": {str},
    "number": {int, float},
    "integer": {int},
    "boolean": {bool},
    "timestamp": {str},
    "array": {list},
    "object": {dict},
}
TRUTHS = {"true": True, "false": False}
EXPECTED = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "timestamp": "a moment in ISO 8601, as 2026-08-10T09:30:00Z is one",
    "array": "a list of text",
    "object": "an object with the lists `tokens` and `tags`",
}


def arrow_type(column: Property) -> pa.DataType:
    """What a snapshot holds the column as."""
    return ANSWERS if column.rules.answers_in else ARROW_TYPES[column.logical_type]


def typed_column(values: Values, column: Property) -> tuple[pa.Array, dict[int, str]]:
    """The values in the column's type, and what is wrong by position; a value that does not fit is null.

    Whole columns are converted at once where that gives what `convert` gives value by value.
    """
    at_once = None
    if not column.rules.answers_in:
        at_once = _of_arrow(values, column) if isinstance(values, pa.Array) else _of_python(values, column)
    if at_once is not None:
        return at_once, {}
    typed: list[Any] = []
    mistakes: dict[int, str] = {}
    for position, value in enumerate(values.to_pylist() if isinstance(values, pa.Array) else values):
        try:
            typed.append(convert(value, column))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            mistakes[position] = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            typed.append(None)
    return pa.array(typed, type=arrow_type(column)), mistakes


def convert(value: Any, column: Property) -> Any:
    """The value in the column's type; None and NaN are None. Labels may be whole numbers and truths, too.

    Raises ValueError, saying what was expected; what was found is told beside it. A moment that no calendar has is an
    OverflowError.
    """
    if column.logical_type == "string" and column.labels is not None:
        value = label_in_words(value)
    if value is None:
        return None
    match column.logical_type:
        case "string" if isinstance(value, str):
            return value
        case "number" | "integer" if isinstance(value, str) and "_" in value:
            # Python would read it as 1_000 in a program.
            raise _expected(column, ", without an underscore between digits")
        case "number" | "integer" if isinstance(value, str) and "," in value:
            raise _expected(column, " without commas, which `number` under the source's `columns` can read")
        case "number" if isinstance(value, int | float | str) and not isinstance(value, bool):
            return _number(_parsed(value, float, column))
        case "integer" if isinstance(value, int | str) and not isinstance(value, bool):
            return _integer(_parsed(value, int, column))
        case "boolean" if isinstance(value, bool):
            return value
        case "boolean" if isinstance(value, str) and value.lower() in TRUTHS:
            return TRUTHS[value.lower()]
        case "boolean" if isinstance(value, str):
            raise _expected(column)
        case "timestamp" if isinstance(value, str | datetime):
            moment = _parsed(value, datetime.fromisoformat, column) if isinstance(value, str) else value
            # In UTC, as all are kept, a moment may lie in a year that there is no value for.
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        case "array":
            return _texts(_from_json(value, column), are_labels=column.labels is not None)
        case "object" if column.rules.answers_in:
            return answer_of(_from_json(value, column))
        case "object":
            return _tagged_tokens(_from_json(value, column))
    raise ValueError(f"expected {EXPECTED[column.logical_type]}, not {type(value).__name__}")


def are_in_calendar(moments: pa.Array) -> bool:
    """Whether Python has a value for all of them: none before the year 1 or after 9999."""
    years = pc.min_max(pc.year(moments)).as_py()
    return years["min"] is None or MINYEAR <= years["min"] <= years["max"] <= MAXYEAR


def _parsed(value: Any, parse: Callable[[Any], T], column: Property) -> T:
    """What a value stands for. Python's own words of what is none are those of its functions."""
    try:
        return parse(value)
    except ValueError:
        raise _expected(column) from None


def _expected(column: Property, form: str = "") -> ValueError:
    wanted = ANSWER if column.rules.answers_in else f"expected {EXPECTED[column.logical_type]}"
    return ValueError(f"{wanted}{form}")


def _from_json(value: Any, column: Property) -> Any:
    """What the JSON of a cell says; other values as they are."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        raise _expected(column, ", in JSON where the file holds text") from None
    if "\\u" in value:
        # Half of a surrogate pair can be escaped in JSON but is no text: nothing could write it down again.
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    return found


def _of_python(values: Sequence[Any], column: Property) -> pa.Array | None:
    if not set(map(type, values)) <= AS_A_WHOLE[column.logical_type] | {type(None)}:
        return None
    wanted = ARROW_TYPES[column.logical_type]
    try:
        if column.logical_type == "timestamp":
            return _usable(_moments(pa.array(values, type=pa.string())))
        if column.logical_type == "array" and not _are_texts(values):
            return None
        if column.logical_type == "object" and not _are_tagged(values):
            return None
        # A NaN is how some writers say that a value is missing.
        return _usable(pa.array(values, type=wanted, from_pandas=column.logical_type == "number"))
    except (pa.ArrowException, OverflowError):
        return None


def _of_arrow(values: pa.Array, column: Property) -> pa.Array | None:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    found, wanted = values.type, ARROW_TYPES[column.logical_type]
    fits = {
        "string": pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found),
        "number": pa.types.is_floating(found) or pa.types.is_integer(found),
        "integer": pa.types.is_integer(found),
        "boolean": pa.types.is_boolean(found),
        "timestamp": pa.types.is_timestamp(found),
        "array": found in (pa.list_(pa.string()), pa.large_list(pa.string())),
        "object": found == TAGGED,
    }[column.logical_type]
    if pa.types.is_null(found):
        return pa.nulls(len(values), wanted)
    try:
        typed = values.cast(wanted) if fits else None
    except pa.ArrowException:
        return None
    if typed is None or column.logical_type in ("array", "object"):
        # Lists may hold nulls, which only the look at each value finds.
        return typed if typed is not None and not _holds_nulls(typed) else None
    if column.logical_type == "number":
        typed = pc.if_else(pc.is_nan(typed), None, typed)
    return _usable(typed)


def _usable(values: pa.Array) -> pa.Array | None:
    """The values; None where one is infinite, or a moment that Python has no value for."""
    if pa.types.is_floating(values.type) and pc.any(pc.is_inf(values)).as_py():
        return None
    return None if pa.types.is_timestamp(values.type) and not are_in_calendar(values) else values


def _moments(texts: pa.Array) -> pa.Array:
    try:
        return texts.cast(MOMENT)
    except pa.ArrowInvalid:
        return texts.cast(pa.timestamp("us")).cast(MOMENT)


def _holds_nulls(values: pa.Array) -> bool:
    if pa.types.is_struct(values.type):
        return any(_holds_nulls(values.filter(values.is_valid()).field(name)) for name in ("tokens", "tags"))
    return bool(values.null_count or values.flatten().null_count)


def _are_texts(lists: Sequence[list[Any] | None]) -> bool:
    return set(map(type, itertools.chain.from_iterable(filter(None, lists)))) <= {str}


def _are_tagged(values: Sequence[dict[str, Any] | None]) -> bool:
    lists = [value.get(key) for value in values if value is not None for key in ("tokens", "tags")]
    return set(map(type, lists)) <= {list} and _are_texts(lists)


def _number(value: float) -> float | None:
    if math.isinf(value):
        raise ValueError("expected a finite number")
    # What wrote the file had no other way to say that the value is missing.
    return None if math.isnan(value) else value


def _integer(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise ValueError("expected an integer of 64 bits")
    return value


def _texts(value: Any, *, are_labels: bool) -> list[str]:
    if are_labels and isinstance(value, list):
        value = [label_in_words(entry) for entry in value]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"expected {EXPECTED['array']}")
    return value


def _tagged_tokens(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, dict) or not all(isinstance(value.get(key), list) for key in ("tokens", "tags")):
        raise ValueError(f"expected {EXPECTED['object']}")
    if not all(isinstance(item, str) for key in ("tokens", "tags") for item in value[key]):
        raise ValueError("tokens and tags have to be text")
    return {"tokens": value["tokens"], "tags": value["tags"]}
