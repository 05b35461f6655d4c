"""Expectations that Great Expectations does not have, registered the way the library asks for."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import pandas as pd
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation, ColumnPairMapExpectation
from great_expectations.expectations.metrics import ColumnMapMetricProvider, column_condition_partial
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnPairMapMetricProvider,
    column_pair_condition_partial,
)

from tasks.modeling.encoder import encoder_folder
from tasks.modeling.words import spans_of
from tasks.validation.encoding_damage import damage_in, damaged
from tasks.validation.personal_data import Kind, find_personal_data
from tasks.validation.tags import tag_problem

TEXTS_AT_ONCE = 8192


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


class UndamagedText(ColumnMapMetricProvider):  # type: ignore[misc]
    """Condition metric: each text came through all conversions of its encoding."""

    condition_metric_name = "column_values.undamaged_text"

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, **_: Any) -> Any:  # noqa: N805
        return pd.Series([damage is None for damage in damaged(column.tolist())], index=column.index, dtype=bool)


class ExpectColumnValuesToBeUndamagedText(ColumnMapExpectation):  # type: ignore[misc]
    """Expect text without replacement characters, control characters and letters read in another encoding."""

    map_metric = "column_values.undamaged_text"


class NoPersonalData(ColumnMapMetricProvider):  # type: ignore[misc]
    """Condition metric: each text holds no personal data of the given kinds."""

    condition_metric_name = "column_values.no_personal_data"
    condition_value_keys = ("kinds", "regions")

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, kinds: Sequence[Kind], regions: Sequence[str], **_: Any) -> Any:  # noqa: N805
        return column.map(lambda text: not find_personal_data(text, kinds, regions))


class ExpectColumnValuesToHoldNoPersonalData(ColumnMapExpectation):  # type: ignore[misc]
    """Expect text without e-mail addresses, telephone numbers and the like."""

    map_metric = "column_values.no_personal_data"
    success_keys = ("kinds", "regions", "mostly")
    kinds: list[str]
    regions: list[str]


class TokenCount(ColumnMapMetricProvider):  # type: ignore[misc]
    """Condition metric: each text has so many pieces, special tokens included."""

    condition_metric_name = "column_values.token_count"
    condition_value_keys = ("tokenizer", "minimum", "maximum")

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, tokenizer: str, minimum: int, maximum: int, **_: Any) -> Any:  # noqa: N805
        counts = token_counts(column.tolist(), tokenizer)
        return pd.Series([minimum <= count <= maximum for count in counts], index=column.index, dtype=bool)


class ExpectColumnValuesToHaveTokens(ColumnMapExpectation):  # type: ignore[misc]
    """Expect text of a number of pieces between two limits, as the named tokenizer counts them."""

    map_metric = "column_values.token_count"
    success_keys = ("tokenizer", "minimum", "maximum", "mostly")
    tokenizer: str
    minimum: int
    maximum: int


class KnownItems(ColumnMapMetricProvider):  # type: ignore[misc]
    """Condition metric: each list holds allowed items, none of them twice."""

    condition_metric_name = "column_values.known_items"
    condition_value_keys = ("value_set",)

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, value_set: Sequence[str], **_: Any) -> Any:  # noqa: N805
        return column.map(lambda items: item_problem(items, value_set) is None)


class ExpectColumnListsToHoldKnownItems(ColumnMapExpectation):  # type: ignore[misc]
    """Expect lists of items of a set, none of them twice."""

    map_metric = "column_values.known_items"
    success_keys = ("value_set", "mostly")
    value_set: list[str]


class TokensInText(ColumnPairMapMetricProvider):  # type: ignore[misc]
    """Condition metric: the tokens of column B stand in the text of column A, one after the other."""

    condition_metric_name = "column_pair_values.tokens_in_text"
    condition_domain_keys = (
        "batch_id",
        "table",
        "column_A",
        "column_B",
        "row_condition",
        "condition_parser",
        "ignore_row_if",
    )
    condition_value_keys = ()

    @column_pair_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_A: Any, column_B: Any, **_: Any) -> Any:  # noqa: N803, N805
        fine = [alignment_problem(t, v) is None for t, v in zip(column_A, column_B, strict=True)]
        return pd.Series(fine, index=column_A.index, dtype=bool)


class ExpectColumnPairTokensToStandInText(ColumnPairMapExpectation):  # type: ignore[misc]
    """Expect the tokens of column B to be parts of the text in column A, in their order."""

    map_metric = "column_pair_values.tokens_in_text"
    success_keys = ("mostly",)
    domain_keys = ("batch_id", "column_A", "column_B", "ignore_row_if")
    # A text or tags that are missing are the business of `required`.
    ignore_row_if: str = "either_value_is_missing"


class AnswersInText(ColumnPairMapMetricProvider):  # type: ignore[misc]
    """Condition metric: the answers of column B stand in the text of column A, each where it is said to begin."""

    condition_metric_name = "column_pair_values.answers_in_text"
    condition_domain_keys = TokensInText.condition_domain_keys
    condition_value_keys = ()

    @column_pair_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_A: Any, column_B: Any, **_: Any) -> Any:  # noqa: N803, N805
        fine = [answer_problem(t, v) is None for t, v in zip(column_A, column_B, strict=True)]
        return pd.Series(fine, index=column_A.index, dtype=bool)


class ExpectColumnPairAnswersToStandInText(ColumnPairMapExpectation):  # type: ignore[misc]
    """Expect the answers of column B to be parts of the text in column A, where they are said to begin."""

    map_metric = "column_pair_values.answers_in_text"
    success_keys = ("mostly",)
    domain_keys = ("batch_id", "column_A", "column_B", "ignore_row_if")
    # A text that is missing holds no answer.
    ignore_row_if: str = "both_values_are_missing"


def explanation(kind: str, value: Any, text: Any, kwargs: dict[str, Any]) -> str | None:
    """What exactly is wrong with a value that broke an expectation of ours; None for the library's own."""
    match kind:
        case "expect_column_values_to_be_legal_bio_tags":
            return tag_problem(value["tokens"], value["tags"], kwargs["kinds"])
        case "expect_column_pair_tokens_to_stand_in_text":
            return alignment_problem(text, value)
        case "expect_column_pair_answers_to_stand_in_text":
            return answer_problem(text, value)
        case "expect_column_values_to_be_undamaged_text":
            return damage_in(value)
        case "expect_column_values_to_have_tokens":
            return f"found {token_counts([value], kwargs['tokenizer'])[0]}"
        case "expect_column_values_to_hold_no_personal_data":
            return ", ".join(
                sorted({found.kind for found in find_personal_data(value, kwargs["kinds"], kwargs["regions"])})
            )
        case "expect_column_lists_to_hold_known_items":
            return item_problem(value, kwargs["value_set"])
    return None


def alignment_problem(text: str | None, value: Any) -> str | None:
    """Which token does not stand where it should, or None."""
    try:
        spans_of(value["tokens"], text or "")
    except ValueError as error:
        return str(error)
    return None


def answer_problem(text: str | None, value: Any) -> str | None:
    """Which answer does not stand where it should, or None."""
    for answer, start in zip(value["text"], value["start"], strict=True) if isinstance(value, dict) else ():
        if not isinstance(text, str):
            return f"there is no text for {answer!r} to stand in"
        if start >= len(text):
            return f"{answer!r} begins at character {start} of a text of {len(text)}"
        if (found := text[start : start + len(answer)]) != answer:
            return f"{answer!r} does not stand at character {start}, where the text says {found!r}"
    return None


def item_problem(items: Sequence[str], known: Sequence[str]) -> str | None:
    """Which item is not allowed or stands twice, or None."""
    unknown = [item for item in items if item not in known]
    if unknown:
        return f"{unknown[0]!r} is not allowed"
    twice = [item for item in items if list(items).count(item) > 1]
    return f"{twice[0]!r} stands twice" if twice else None


def token_counts(texts: Sequence[str], tokenizer: str) -> list[int]:
    """Pieces of each text, special tokens included, on all cores."""
    loaded, counts = _tokenizer(tokenizer), list[int]()
    # An encoded text takes a thousand times the room of its count.
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        counts += [len(encoded.ids) for encoded in loaded.encode_batch_fast(list(texts[start : start + TEXTS_AT_ONCE]))]
    return counts


@cache
def _tokenizer(name: str) -> Any:
    from tokenizers import Tokenizer

    loaded = Tokenizer.from_file(str(encoder_folder(name, None) / "tokenizer.json"))
    loaded.no_truncation()
    loaded.no_padding()
    return loaded
