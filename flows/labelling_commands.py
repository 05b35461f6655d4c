"""`graft label`: the rows of a window that people should label."""

import csv
import io
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from data_contracts.errors import InputError
from data_contracts.labelling import AT_RANDOM, CHOSEN
from flows.options import DEBUG, PIPELINE
from flows.quarantine_commands import write_new
from flows.terminal import failures


def label(
    pipeline: PIPELINE,
    window: Annotated[str, typer.Option("--window", help="Name of a window that was watched, as in week_2.")],
    output: Annotated[Path, typer.Option("--output", help="File that is not there yet, of JSON Lines, or .csv.")],
    rows: Annotated[int | None, typer.Option(min=1, help="Rows to label; by default `drift.label_rows`.")] = None,
    debug: DEBUG = False,
) -> None:
    """Write the rows of a window that are most worth labelling to a file, to be filled in and put at `data.fresh`."""
    with failures(debug):
        from flows.pipeline import open_pipeline, pipeline_path
        from tasks.drift.task_reports import find_rows_to_label

        plan = open_pipeline(pipeline)
        if plan.data.fresh is None:
            raise InputError(
                f"pipeline {plan.name} names no `data.fresh`, where labelled rows belong. Add it to the YAML."
            )
        count = rows or plan.drift.label_rows
        found = find_rows_to_label(plan.name, window, plan.contract, plan.tokenization.columns, count)
        source, kind = plan.data.fresh.source, "csv" if output.suffix.lower() == ".csv" else "json_lines"
        delimiter = source.delimiter if source.kind == "csv" else ","
        write_new(output, _as_csv(found, delimiter) if kind == "csv" else _as_json_lines(found))
        at_random = sum(row[CHOSEN] == AT_RANDOM for row in found)
        labels = ", ".join(column.name for column in plan.contract.columns if column.is_label)
        print(
            f"{len(found)} rows of {window} are in {output}: {at_random} drawn at random, which tell how good the "
            f"answers are, and {len(found) - at_random} that teach most."
        )
        print(f"To fill in: {labels}. A row may stay empty, and is then left out.")
        if source.kind != kind:
            print(f"`data.fresh` reads {source.kind}, and this is {kind}: bring the rows into that form first.")
        if source.columns or source.drop:
            print("`data.fresh` renames or drops columns: bring the rows into the form that it reads first.")
        contract = plan.data.contract
        if contract.endswith((".yaml", ".yml")):
            # Given from the pipeline's folder, which is not where the command is run.
            contract = str((pipeline_path(pipeline).parent / contract).resolve())
        read_so = ["--set-source", f"delimiter={json.dumps(delimiter)}"] if kind == "csv" and delimiter != "," else []
        check = shlex.join(["graft", "contract", "check", contract, f"fresh_rows={output.resolve()}", *read_so])
        print(f"Look whether labels are right: {check}")
        there = ", behind those that are there already" if plan.data.fresh.has(window) else ""
        print(f"Then put the rows at {plan.data.fresh.address(window)}{there}")


def _as_json_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _as_csv(rows: Sequence[Mapping[str, Any]], delimiter: str) -> Iterator[str]:
    """A header and the rows, an empty cell for what is missing."""
    for cells in ([list(rows[0])] if rows else []) + [list(row.values()) for row in rows]:
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(map(_cell, cells))
        yield line.getvalue()


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
