"""`graft label`: the rows of a window that people should label."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from data_contracts.errors import InputError
from data_contracts.labelling import AT_RANDOM, CHOSEN
from flows.options import DEBUG, PIPELINE
from flows.quarantine_commands import write_new
from flows.terminal import failures


def label(
    pipeline: PIPELINE,
    window: Annotated[str, typer.Option("--window", help="Name of a window that was watched, as in week_2.")],
    output: Annotated[Path, typer.Option("--output", help="JSON Lines file that is not there yet.")],
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
        write_new(output, (json.dumps(row, ensure_ascii=False) + "\n" for row in found))
        at_random = sum(row[CHOSEN] == AT_RANDOM for row in found)
        labels = ", ".join(column.name for column in plan.contract.columns if column.is_label)
        print(
            f"{len(found)} rows of {window} are in {output}: {at_random} drawn at random, which tell how good the "
            f"answers are, and {len(found) - at_random} that teach most."
        )
        print(f"To fill in: {labels}. A row may stay empty, and is then left out.")
        source = plan.data.fresh.source
        if source.kind != "json_lines" or source.columns or source.drop:
            print(f"`data.fresh` reads {source.kind} with columns of its own: bring the rows into that form first.")
        contract = plan.data.contract
        if contract.endswith((".yaml", ".yml")):
            # Given from the pipeline's folder, which is not where the command is run.
            contract = str((pipeline_path(pipeline).parent / contract).resolve())
        check = shlex.join(["graft", "contract", "check", contract, f"fresh_rows={output.resolve()}"])
        print(f"Look whether labels are right: {check}")
        there = ", behind those that are there already" if plan.data.fresh.has(window) else ""
        print(f"Then put the rows at {plan.data.fresh.address(window)}{there}")
