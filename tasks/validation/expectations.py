"""Expectations that Great Expectations does not have, registered the way the library asks for."""

from collections.abc import Sequence
from typing import Any

from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics import ColumnMapMetricProvider, column_condition_partial

from tasks.validation.tags import tag_problem


class LegalTags(ColumnMapMetricProvider):  # type: ignore[misc]
    """Condition metric: each value's tags are a legal BIO sequence of known kinds, one tag a token."""

    condition_metric_name = "column_values.legal_bio_tags"
    condition_value_keys = ("kinds",)

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, kinds: Sequence[str], **_: Any) -> Any:  # noqa: N805
        return column.map(lambda value: tag_problem(value["tokens"], value["tags"], kinds) is None)


class ExpectColumnValuesToBeLegalBioTags(ColumnMapExpectation):  # type: ignore[misc]
    """Expect tokens with as many tags, in the BIO scheme, of the given kinds."""

    map_metric = "column_values.legal_bio_tags"
    success_keys = ("kinds", "mostly")
    kinds: list[str]
