"""The rules that a row meets or breaks by itself, batch by batch, and those that need a whole column."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from great_expectations.data_context.types.base import ProgressBarsConfig
from numpy.typing import NDArray

from data_contracts.dataset import DatasetContract
from data_contracts.errors import InputError
from tasks.validation.checks import EXAMPLES, Finding, RuleResult
from tasks.validation.expectations import explanation
from tasks.validation.masking import is_private, kept_private, shown
from tasks.validation.suite import columns_of, compile_suite, is_row_wise

MOST_ROWS, MOST_BYTES = 262_144, 64 << 20
# It tells of its temporary folders.
logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
SHOWN = 200


class RowChecks:
    """A contract's suite run over the splits of a snapshot; `results` has a line for each rule and split."""

    def __init__(self, contract: DatasetContract) -> None:
        self._contract = contract
        suite = compile_suite(contract)
        # Great Expectations writes a `rendered_content` into what it is given, so each run gets its own.
        self._row_wise = [made for made in suite.expectations if is_row_wise(made)]
        self._whole = [made for made in suite.expectations if not is_row_wise(made)]
        self._definition = _batch_definition()
        self.results: list[RuleResult] = []
        self.failures: list[str] = []

    def check(self, path: Path, broken: NDArray[np.bool_]) -> Iterator[Finding]:
        """Findings of one split, whose rows are marked in `broken`: {id, file, row, column, rule, value}."""
        totals: dict[int, list[Any]] = {}
        start = 0
        for table in table_batches(path):
            for number, result in enumerate(self._validated(table, self._row_wise)):
                total = totals.setdefault(number, [result, 0, 0, []])
                positions = _positions(result)
                total[1] += int(result.result.get("element_count", 0)) - int(result.result.get("missing_count") or 0)
                # The type of a column, for one, is that of all of its rows or of none.
                if names_no_rows := not result.success and not positions:
                    self._fail(path, result)
                total[2] += len(positions) or names_no_rows
                found = [self._finding(table, position, result) for position in positions]
                total[3] = (total[3] + [finding["value"] for finding in found])[:EXAMPLES]
                broken[[start + position for position in positions]] = True
                yield from found
            start += table.num_rows
        self.results += [_result(path.stem, *total) for total in totals.values()]
        for expectation in self._whole:
            yield from self._check_whole(path, expectation, broken)

    def _check_whole(self, path: Path, expectation: Any, broken: NDArray[np.bool_]) -> Iterator[Finding]:
        """One expectation on all rows of its columns at once."""
        origin = ["_id", "_file", "_row"]
        columns = columns_of(expectation.configuration)
        table = pq.read_table(path, columns=[*columns, *origin] if columns else None)
        (result,) = self._validated(table, [expectation])
        if result.success:
            self.results.append(_result(path.stem, result, table.num_rows, 0, []))
            return
        if "unexpected_index_list" not in result.result:
            self.results.append(_result(path.stem, result, table.num_rows, 1, [self._fail(path, result)]))
            return
        positions = _positions(result)
        found = [self._finding(table, position, result) for position in positions]
        broken[positions] = True
        examples = [finding["value"] for finding in found[:EXAMPLES]]
        self.results.append(_result(path.stem, result, table.num_rows, len(positions), examples))
        yield from found

    def _fail(self, path: Path, result: Any) -> str:
        """Notes, once for each split, that a whole column or the table is not what it has to be; what was seen."""
        config = result.expectation_config
        seen = str(result.result.get("observed_value", result.result))[:SHOWN]
        told = f"{path.stem}, {', '.join(columns_of(config)) or 'the table'}: {config.meta['rule']} (observed: {seen})"
        if told not in self.failures:
            self.failures.append(told)
        return seen

    def _finding(self, table: pa.Table, position: int, result: Any) -> Finding:
        config = result.expectation_config
        columns = columns_of(config)
        value = table.column(columns[0])[position].as_py() if columns else None
        text = table.column(columns[1])[position].as_py() if len(columns) > 1 else None
        # What is wrong between a text and its tokens or answers is told in their own words, of which parts are cut.
        private = kept_private(columns[0], self._contract) if len(columns) > 1 else None
        untold = private is not None and (is_private(value, private) or is_private(text, private))
        why = None if untold else explanation(config.type, value, text, config.kwargs)
        return {
            "id": table.column("_id")[position].as_py(),
            "file": table.column("_file")[position].as_py(),
            "row": table.column("_row")[position].as_py(),
            "column": columns[0] if columns else "",
            "rule": f"{config.meta['rule']}: {why}" if why else config.meta["rule"],
            "value": shown(value, columns[0], self._contract)[:SHOWN] if columns else "",
        }

    def _validated(self, table: pa.Table, expectations: Sequence[Any]) -> list[Any]:
        if not expectations or table.num_rows == 0:
            return []
        own = table.drop_columns([name for name in ("_id", "_file", "_row") if name in table.column_names])
        frame = own.to_pandas()
        held_together = {name for rule in expectations if len(of := columns_of(rule.configuration)) > 1 for name in of}
        for name in set(own.column_names) - held_together:
            # As floating point, which pandas makes of whole numbers beside a missing one, large ones would be taken
            # alike. Rules on several columns cannot be asked of anything else.
            if pa.types.is_int64(own.schema.field(name).type) and own.column(name).null_count:
                frame[name] = own.column(name).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        if any(columns_of(expectation.configuration) for expectation in expectations):
            frame = frame.assign(_position=range(len(frame)))
        batch = self._definition.get_batch(batch_parameters={"dataframe": frame})
        wanted = {
            "result_format": "COMPLETE",
            "unexpected_index_column_names": ["_position"],
            "include_unexpected_rows": False,
        }
        suite = gx.ExpectationSuite(name="rows", expectations=list(expectations))
        results = list(batch.validate(suite, result_format=wanted).results)
        for result in results:
            if result.exception_info.get("raised_exception") or _raised(result.exception_info):
                config = result.expectation_config
                raise InputError(
                    f"expectation {config.type} on {config.kwargs.get('column', 'the table')} cannot be checked: "
                    f"{_raised(result.exception_info)}. Correct it in the contract."
                )
        return results


def table_batches(path: Path) -> Iterator[pa.Table]:
    """A Parquet file in tables of so many rows that the library's work for each batch, however small, does not count.

    Where rows are long there are fewer, so that memory does not grow with them.
    """
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        size = sum(group.total_byte_size for group in groups) / max(1, file.metadata.num_rows)
        for batch in file.iter_batches(max(1, min(MOST_ROWS, int(MOST_BYTES / max(1.0, size))))):
            yield pa.Table.from_batches([batch])


def _batch_definition() -> Any:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("rows")


def _raised(info: dict[str, Any]) -> str | None:
    """The message of an exception, which the library keeps by metric or at the top."""
    if info.get("raised_exception"):
        return str(info.get("exception_message"))
    nested = [entry for entry in info.values() if isinstance(entry, dict) and entry.get("raised_exception")]
    return str(nested[0].get("exception_message")) if nested else None


def _positions(result: Any) -> list[int]:
    return [int(entry["_position"]) for entry in result.result.get("unexpected_index_list") or []]


def _result(split: str, result: Any, checked: int, broken: int, examples: Sequence[str]) -> RuleResult:
    config = result.expectation_config
    kwargs = {key: value for key, value in config.kwargs.items() if key not in ("batch_id",)}
    return RuleResult(
        split=split,
        column=str(kwargs.get("column") or kwargs.get("column_B") or ", ".join(kwargs.get("column_list", []))),
        rule=config.meta["rule"],
        expectation=config.type,
        arguments=kwargs,
        checked=checked,
        broken=broken,
        examples=tuple(examples),
    )
