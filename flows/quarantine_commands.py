"""`graft quarantine`: what the contract kept out, for its owner to look at, mend and readmit."""

import itertools
import json
import shlex
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_contracts.errors import InputError, complain
from flows import terminal
from flows.options import DEBUG, PIPELINE

if TYPE_CHECKING:
    from data_contracts.dataset import DatasetContract

app = typer.Typer(
    help="Rows that broke their contract: look, mend, readmit.", no_args_is_help=True, rich_markup_mode="rich"
)
SPLIT = Annotated[str | None, typer.Option(help="Only rows of this split.")]
RULE = Annotated[str | None, typer.Option(help="Only findings whose rule holds this text.")]
NOTHING = "nothing is kept out"


@app.command("list")
def list_rules(pipeline: PIPELINE = "support", debug: DEBUG = False) -> None:
    """Count what lies in the quarantine of the latest check, by split, column and rule."""
    with terminal.failures(debug):
        from flows.pipeline import open_pipeline
        from tasks.validation.task import count_by_rule, latest_check, read_findings

        name = open_pipeline(pipeline).name
        note, folder = latest_check(name)
        print(f"{name}: {note['verdict']} on {note['at'][:16]} UTC ({folder})")
        terminal.show_rows(
            ("split", "column", "rule", "findings"),
            [tuple(map(str, row)) for row in count_by_rule(read_findings(folder))],
            NOTHING,
        )


@app.command()
def show(
    pipeline: PIPELINE = "support",
    split: SPLIT = None,
    rule: RULE = None,
    limit: Annotated[int, typer.Option(min=1, help="Findings to show.")] = 20,
    output: Annotated[Path | None, typer.Option(help="Write the rows here, as JSON Lines to mend and readmit.")] = None,
    debug: DEBUG = False,
) -> None:
    """Show findings with file, row, rule and value; or write their rows to a file, to be mended."""
    with terminal.failures(debug):
        from flows.pipeline import open_pipeline
        from tasks.validation.task import latest_check, read_findings, rows_to_mend

        name = open_pipeline(pipeline).name
        _, folder = latest_check(name)
        found: Iterator[dict[str, Any]] = (
            finding
            for finding in read_findings(folder)
            if split in (None, finding["split"]) and (rule or "").lower() in finding["rule"].lower()
        )
        first = next(found, None)
        if first is None:
            print(_why_nothing(folder, split, rule))
            return
        found = itertools.chain([first], found)
        if output is not None:
            rows = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows_to_mend(folder, found))
            count = write_new(output, rows)
            command = shlex.join(["graft", "quarantine", "readmit", str(output), "--pipeline", name])
            print(f"{count} rows are in {output}; mend them, then: {command}")
            return
        columns = ("split", "address", "row", "column", "rule", "value")
        shown = [tuple(str(finding[column]) for column in columns) for finding in itertools.islice(found, limit)]
        terminal.show_rows(columns, shown, NOTHING)
        if more := sum(1 for _ in found):
            print(f"{more} more; --limit shows them, --output writes the rows to a file")


@app.command()
def readmit(
    file: Annotated[Path, typer.Argument(help="Rows that `show --output` wrote, mended.")],
    pipeline: Annotated[str, typer.Option(help="Name of a pipeline, or the path of a YAML file.")] = "support",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the rows, and change nothing.")] = False,
    debug: DEBUG = False,
) -> None:
    """Let mended rows stand in for those they were, from the next run on. Rows that still break a rule are refused."""
    with terminal.failures(debug):
        from flows.pipeline import open_pipeline
        from tasks.ingestion.task import keep_corrections
        from tasks.validation.task import latest_check, read_mended

        plan = open_pipeline(pipeline)
        _, folder = latest_check(plan.name)
        mended, unchanged = read_mended(file, plan.contract, folder)
        _refuse_broken(mended, plan.contract)
        left = f"; {unchanged} rows are as they were and stay in quarantine" if unchanged else ""
        if dry_run or not mended:
            print(f"{len(mended)} rows would be readmitted{left}")
            return
        total = keep_corrections(plan.name, mended)
        print(f"{len(mended)} rows readmitted{left}; {total} mended rows in all.")
        print(f"`graft run {plan.name}` takes them up.")


def _why_nothing(folder: Path, split: str | None, rule: str | None) -> str:
    """What to say where no finding passes the filters: that there is none at all, or which there are."""
    from tasks.validation.task import count_by_rule, read_findings

    counts = count_by_rule(read_findings(folder))
    if not counts:
        return NOTHING
    asked = " and ".join(f"{name} {value!r}" for name, value in (("split", split), ("rule", rule)) if value)
    total = sum(count for *_, count in counts)
    known = [f"  - {of_split}, {column or 'row'}: {of_rule} ({count})" for of_split, column, of_rule, count in counts]
    return "\n".join([f"{total} findings, but none with {asked}; there are:", *known])


def _refuse_broken(mended: dict[str, Any], contract: "DatasetContract") -> None:
    """Raises InputError where a mended row breaks a rule that shows in the row itself."""
    if not mended:
        return
    from tasks.ingestion.task import JsonLines, PlannedFile, read_once
    from tasks.validation.task import check_once, read_findings

    with tempfile.TemporaryDirectory() as folder:
        rows, read, checked = Path(folder) / "rows.jsonl", Path(folder) / "read", Path(folder) / "checked"
        read.mkdir()
        checked.mkdir()
        complete = [{**dict.fromkeys(column.name for column in contract.columns), **row} for row in mended.values()]
        rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in complete), encoding="utf-8")
        planned = [PlannedFile(split="mended", source=JsonLines(path=str(rows)))]
        check_once(read, read_once(planned, contract, read), contract, checked)
        found = list(read_findings(checked))
    if found:
        ids = list(mended)
        lines = [f"{ids[f['row'] - 1]}, {f['column']}: {f['rule']}, found {f['value']}" for f in found]
        raise complain("mended rows still break the contract", lines, "Nothing was readmitted.")


def write_new(path: Path, lines: Iterable[str]) -> int:
    """Writes a file that is not there yet, whole or not at all; returns how many lines it has."""
    if path.exists():
        raise InputError(f"{path} exists already; name another file, or take it away.")
    draft, count = path.with_name(f".{path.name}.draft"), 0
    try:
        with draft.open("w", encoding="utf-8") as file:
            for count, line in enumerate(lines, start=1):  # noqa: B007
                file.write(line)
        draft.rename(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}. Choose another place.") from error
    finally:
        draft.unlink(missing_ok=True)
    return count
