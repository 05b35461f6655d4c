"""A contract compiled to a Great Expectations suite; each expectation carries its rule in words in `meta.rule`."""

import re
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.registry import get_expectation_impl

from data_contracts.dataset import DatasetContract, Property, Quality
from data_contracts.errors import InputError
from tasks.validation.expectations import (
    ExpectColumnListsToHoldKnownItems,
    ExpectColumnPairAnswersToStandInText,
    ExpectColumnPairTokensToStandInText,
    ExpectColumnValuesToBeLegalBioTags,
    ExpectColumnValuesToBeUndamagedText,
    ExpectColumnValuesToHaveTokens,
    ExpectColumnValuesToHoldNoPersonalData,
)

ROW_WISE = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
# Map expectations that look from one row to others, which may lie in another batch.
ACROSS_ROWS = {
    "expect_column_values_to_be_unique",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_be_decreasing",
    "expect_compound_columns_to_be_unique",
}


def compile_suite(contract: DatasetContract) -> gx.ExpectationSuite:
    """The contract's rules as expectations."""
    expectations = [made for column in contract.columns for made in _expectations(column, contract)]
    # A dot would be a folder of its own in the data docs, and a slash no name at all.
    name = re.sub(r"[./\\]", "_", f"{contract.name}-{contract.version}")
    return gx.ExpectationSuite(name=name, expectations=expectations)


def is_row_wise(expectation: Any) -> bool:
    """Whether a row alone decides if it meets the expectation, so that batches can be checked one by one."""
    allows_some = getattr(expectation, "mostly", 1) != 1
    return isinstance(expectation, ROW_WISE) and expectation.expectation_type not in ACROSS_ROWS and not allows_some


def columns_of(configuration: Any) -> list[str]:
    """Columns that an expectation looks at, the one that a finding names first; none for one about the table."""
    kwargs = {} if configuration.type.startswith("expect_table_") else configuration.kwargs
    pair = [kwargs["column_B"], kwargs["column_A"]] if kwargs.get("column_B") else []
    single = [kwargs["column"]] if kwargs.get("column") else []
    return [*single, *pair, *(kwargs.get("column_list") or [])]


def _expectations(column: Property, contract: DatasetContract) -> list[Any]:
    found = [*_from_odcs(column), *_from_rules(column, contract)]
    return found + [_from_quality(column, rule) for rule in column.quality]


def _from_odcs(column: Property) -> list[Any]:
    name, limits = column.name, column.logical_type_options
    found: list[Any] = []
    if column.required:
        found.append(gxe.ExpectColumnValuesToNotBeNull(column=name, meta={"rule": "required"}))
    if column.unique:
        found.append(gxe.ExpectColumnValuesToBeUnique(column=name, meta={"rule": "unique"}))
    if limits.min_length is not None or limits.max_length is not None:
        rule = f"{limits.min_length or 0} to {limits.max_length or 'any number of'} characters"
        found.append(
            gxe.ExpectColumnValueLengthsToBeBetween(
                column=name, min_value=limits.min_length, max_value=limits.max_length, meta={"rule": rule}
            )
        )
    if limits.pattern is not None:
        rule = f"matches {limits.pattern}"
        found.append(gxe.ExpectColumnValuesToMatchRegex(column=name, regex=limits.pattern, meta={"rule": rule}))
    if limits.minimum is not None or limits.maximum is not None:
        rule = f"between {limits.minimum} and {limits.maximum}"
        found.append(
            gxe.ExpectColumnValuesToBeBetween(
                column=name, min_value=limits.minimum, max_value=limits.maximum, meta={"rule": rule}
            )
        )
    return found


def _from_rules(column: Property, contract: DatasetContract) -> list[Any]:
    name, rules = column.name, column.rules
    found: list[Any] = []
    if rules.labels is not None:
        kind = ExpectColumnListsToHoldKnownItems if column.logical_type == "array" else gxe.ExpectColumnValuesToBeInSet
        rule = f"one of {', '.join(rules.labels)}"
        found.append(kind(column=name, value_set=list(rules.labels), **_called(rule)))
    if rules.tag_kinds is not None:
        kinds = list(rules.tag_kinds)
        found.append(ExpectColumnValuesToBeLegalBioTags(column=name, kinds=kinds, **_called("legal BIO tags")))
        text = contract.text_column_of(column)
        if text is not None:
            called = _called(f"tokens stand in {text}")
            found.append(ExpectColumnPairTokensToStandInText(column_A=text, column_B=name, **called))
    if rules.answers_in is not None:
        called = _called(f"answers stand in {rules.answers_in}")
        found.append(ExpectColumnPairAnswersToStandInText(column_A=rules.answers_in, column_B=name, **called))
    if column in contract.text_columns and rules.encoding_damage == "quarantine":
        found.append(ExpectColumnValuesToBeUndamagedText(column=name, **_called("undamaged text")))
    if rules.personal_data is not None and rules.personal_data.action == "quarantine":
        looked_for = {"kinds": list(rules.personal_data.kinds), "regions": list(rules.personal_data.regions)}
        called = _called("no personal data")
        found.append(ExpectColumnValuesToHoldNoPersonalData(column=name, **looked_for, **called))
    if rules.token_length is not None:
        limits = rules.token_length
        called = _called(f"{limits.minimum} to {limits.maximum} tokens of {limits.tokenizer}")
        found.append(ExpectColumnValuesToHaveTokens(column=name, **limits.model_dump(), **called))
    return found


def _called(rule: str) -> dict[str, Any]:
    """What an expectation of ours is called, in findings and in the data docs."""
    return {"meta": {"rule": rule}, "description": rule}


def _from_quality(column: Property, rule: Quality) -> Any:
    kind, arguments = rule.expectation, rule.implementation.get("kwargs", {})
    try:
        expectation = get_expectation_impl(kind)
        own = {"column": column.name} if "column" in expectation.__fields__ else {}
        return expectation(**{**own, **arguments}, meta={"rule": rule.description or kind})
    except Exception as error:
        raise InputError(
            f"contract column {column.name}: Great Expectations makes no {kind!r} from {arguments}: {error}"
        ) from error
