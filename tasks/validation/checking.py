"""A contract compiled to a Great Expectations suite, and rows divided by it into accepted and quarantined."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pyarrow as pa
import pyarrow.parquet as pq
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.registry import get_expectation_impl

from data_contracts.dataset import DatasetContract, Property
from data_contracts.errors import InputError
from tasks.validation.expectations import ExpectColumnValuesToBeLegalBioTags
from tasks.validation.tags import tag_problem

Finding = dict[str, Any]


def compile_suite(contract: DatasetContract) -> gx.ExpectationSuite:
    """The contract's rules as expectations; each carries its rule in words in `meta.rule`."""
    expectations = [expectation for column in contract.columns for expectation in _expectations(column)]
    return gx.ExpectationSuite(name=f"{contract.name}-{contract.version}", expectations=expectations)


def check_snapshot(snapshot: Path, contract: DatasetContract, output: Path) -> tuple[dict[str, int], dict[str, int]]:
    """Writes the accepted rows of every split and `quarantine.jsonl`; returns accepted and quarantined rows a split.

    A line of the quarantine is {split, address, row, column, rule, value}; a row that breaks two rules has two lines.
    """
    suite = compile_suite(contract)
    findings: list[Finding] = [json.loads(line) for line in (snapshot / "problems.jsonl").open(encoding="utf-8")]
    accepted: dict[str, int] = {}
    for path in sorted(snapshot.glob("*.parquet")):
        table = pq.read_table(path)
        broken = _broken_rows(table, suite)
        findings += [{"split": path.stem, **finding} for of_row in broken.values() for finding in of_row]
        kept = table.filter(pa.array([position not in broken for position in range(table.num_rows)]))
        pq.write_table(kept, output / path.name)
        accepted[path.stem] = kept.num_rows
    with (output / "quarantine.jsonl").open("w", encoding="utf-8") as log:
        log.writelines(json.dumps(finding, ensure_ascii=False, default=str) + "\n" for finding in findings)
    lost = {(f["split"], f["address"], f["row"]) for f in findings}
    splits = {*accepted, *(split for split, _, _ in lost)}
    return accepted, {split: sum(1 for of, _, _ in lost if of == split) for split in sorted(splits)}


def enforce(contract: DatasetContract, rows: dict[str, int], quarantined: dict[str, int], quarantine: Path) -> None:
    """Raises InputError where a split lost more than the contract's budget, naming the first rows and rules."""
    over = {
        split: f"{split}: {lost} of {lost + rows.get(split, 0)} rows ({lost / (lost + rows.get(split, 0)):.1%})"
        for split, lost in quarantined.items()
        if lost and (lost > contract.quarantine_budget * (lost + rows.get(split, 0)) or not rows.get(split))
    }
    if not over:
        return
    findings = [f for f in map(json.loads, quarantine.open(encoding="utf-8")) if f["split"] in over]
    examples = [
        f"  {f['address']}, row {f['row']}, {f['column']}: {f['rule']}, found {f['value']}" for f in findings[:8]
    ]
    raise InputError(
        f"contract {contract.name} {contract.version} is broken: it lets {contract.quarantine_budget:.0%} of a split's "
        f"rows be quarantined\n  - " + "\n  - ".join(over.values()) + "\nfor example\n" + "\n".join(examples) + "\n"
        f"All of them are in {quarantine}. Mend the rows, or change the contract; the last good data stays in use."
    )


def _expectations(column: Property) -> list[Any]:
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
    if column.labels is not None:
        rule = f"one of {', '.join(column.labels)}"
        found.append(gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(column.labels), meta={"rule": rule}))
    if column.tag_kinds is not None:
        kinds = list(column.tag_kinds)
        found.append(
            ExpectColumnValuesToBeLegalBioTags(
                column=name, kinds=kinds, meta={"rule": "legal BIO tags", "kinds": kinds}
            )
        )
    return found + [_from_quality(column, entry.implementation, entry.description) for entry in column.quality]


def _from_quality(column: Property, implementation: dict[str, Any], description: str) -> Any:
    kind, arguments = implementation.get("type", ""), implementation.get("kwargs", {})
    try:
        expectation = get_expectation_impl(kind)
        return expectation(**{"column": column.name, **arguments}, meta={"rule": description or kind})
    except Exception as error:
        raise InputError(
            f"contract column {column.name}: Great Expectations makes no {kind!r} from {arguments}: {error}"
        ) from error


def _broken_rows(table: pa.Table, suite: gx.ExpectationSuite) -> dict[int, list[Finding]]:
    """{position of the row: what is wrong with it}."""
    if table.num_rows == 0:
        return {}
    frame = table.to_pandas()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = (
        context.data_sources.add_pandas("rows")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("rows")
        .get_batch(batch_parameters={"dataframe": frame.assign(_position=range(len(frame)))})
    )
    wanted = {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": ["_position"],
        "include_unexpected_rows": False,
    }
    broken: dict[int, list[Finding]] = defaultdict(list)
    for result in batch.validate(suite, result_format=wanted).results:
        config = result.expectation_config
        if result.exception_info.get("raised_exception") or "unexpected_index_list" not in result.result:
            if result.success:
                continue
            raise InputError(
                f"expectation {config.type} on {config.kwargs.get('column')} names no failing rows and failed: "
                f"{result.exception_info.get('exception_message') or result.result}"
            )
        for entry in result.result["unexpected_index_list"] or []:
            position, column = int(entry["_position"]), config.kwargs["column"]
            value = table.column(column)[position].as_py()
            rule = config.meta["rule"]
            if "kinds" in config.meta:
                rule = f"{rule}: {tag_problem(value['tokens'], value['tags'], config.meta['kinds'])}"
            broken[position].append(
                {
                    "address": frame["_address"].iloc[position],
                    "row": int(frame["_row"].iloc[position]),
                    "column": column,
                    "rule": rule,
                    "value": str(value)[:200],
                }
            )
    return broken
