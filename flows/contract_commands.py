"""`graft contract`: a contract drafted from data, data checked by a contract, and contracts compared."""

import itertools
import re
import shlex
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from data_contracts.errors import InputError
from data_contracts.splits import FRESH, OWN_SPLITS, TRAIN
from flows.options import DEBUG
from flows.terminal import failures

if TYPE_CHECKING:
    from data_contracts.dataset import DatasetContract
    from tasks.ingestion.plan import PlannedFile

app = typer.Typer(help="Draft, check and compare data contracts.", no_args_is_help=True)
CONTRACT = Annotated[str, typer.Argument(help="Name of a contract in data_contracts/datasets, or a YAML file.")]
KIND = Annotated[
    str | None, typer.Option(help="Kind of source, as in a pipeline, where the file's ending does not tell.")
]
SETTINGS = Annotated[
    list[str] | None,
    typer.Option("--set-source", help="A setting of the source, as in --set-source delimiter=';'. Repeatable."),
]
LABEL_HELP = (
    "A column to learn. Repeatable. Others whose texts look like classes, few and often repeated, are drafted as "
    "labels all the same; take the role out of those that are known beforehand."
)
SPLIT_AND_FILE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)=(.+)")
SHOWN = 10


@app.command()
def init(
    file: Annotated[str, typer.Argument(help="Rows to draft from: a path, an address, or a pattern of shards.")],
    name: Annotated[str | None, typer.Option(help="Name of the contract; the file's, if not given.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where the YAML goes; the terminal, if not given.")] = None,
    kind: KIND = None,
    labels: Annotated[list[str] | None, typer.Option("--label", help=LABEL_HELP)] = None,
    text: Annotated[str | None, typer.Option(help="The column of text that is learned from.")] = None,
    settings: SETTINGS = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output file.")] = False,
    debug: DEBUG = False,
) -> None:
    """Draft a contract from data, with comments that say what its owner has to settle."""
    with failures(debug):
        from tasks.ingestion.drafting import draft_of_source
        from tasks.ingestion.endings import source_of

        if output is not None and output.exists() and not force:
            raise InputError(f"{output} exists already. Choose another --output, or replace it with --force.")
        source = source_of(file, kind, _settings(settings))
        draft = draft_of_source(name or _name_of(file), source, labels or (), text)
        if output is None:
            print(draft, end="")
            return
        try:
            output.write_text(draft, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{output} cannot be written: {error}. Choose another --output.") from error
        read_so = [("--kind", kind)] if kind else []
        read_so += [("--set-source", setting) for setting in settings or ()]
        command = shlex.join(["graft", "contract", "check", str(output), file, *itertools.chain(*read_so)])
        print(f"The draft is in {output}. See what it says of the data: {command}")


@app.command()
def check(
    contract: CONTRACT,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files to check, of split `train`; SPLIT=FILE names another, fresh_... one of rows labelled since."
        ),
    ] = None,
    pipeline: Annotated[str | None, typer.Option(help="Check all labelled sources of this pipeline.")] = None,
    kind: KIND = None,
    settings: SETTINGS = None,
    debug: DEBUG = False,
) -> None:
    """Look for mistakes in a contract and, given files or a pipeline, in the data. Exits with 2 on FAIL."""
    with failures(debug):
        from data_contracts.dataset import load_contract

        loaded = load_contract(contract)
        if not files and pipeline is None:
            from flows.contract_tables import show_contract

            show_contract(loaded)
            return
        planned = _files_of(files or [], kind, _settings(settings))
        planned += _files_of_pipeline(pipeline) if pipeline else []
        verdict = _check_data(planned, loaded)
        if verdict == "FAIL":
            raise SystemExit(2)


@app.command()
def diff(
    before: CONTRACT,
    after: CONTRACT,
    pipelines: Annotated[
        list[str] | None, typer.Option("--pipeline", help="A pipeline of your own that may use it. Repeatable.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 where somebody is broken.")] = False,
    debug: DEBUG = False,
) -> None:
    """Say what changed between two contracts, whom each change breaks, and which version that asks for."""
    with failures(debug):
        from data_contracts.dataset import load_contract
        from data_contracts.difference import differences, level_of, version_advice
        from flows.contract_effects import Change, broken_pipelines
        from flows.contract_tables import show_differences

        old, new = load_contract(before), load_contract(after)
        found = differences(old, new)
        if not found:
            print(f"{before} and {after} say the same")
            return
        show_differences(found)
        for name, effects in broken_pipelines(Change((before, after), old, new, found), pipelines or ()).items():
            print(f"breaks pipeline {name}:" if effects else f"pipeline {name} is not affected")
            print("".join(f"  - {effect}\n" for effect in effects), end="")
        print(f"version: {version_advice(old.version, new.version, level_of(found))}")
        if exit_code and any(difference.breaks for difference in found):
            raise SystemExit(1)


def _check_data(planned: "Sequence[PlannedFile]", contract: "DatasetContract") -> str:
    """Reads and checks files in a folder that is gone afterwards; shows what was found, and gives the verdict."""
    from flows.contract_tables import show_rows, show_verdict
    from tasks.ingestion.task import read_once
    from tasks.validation.task import check_once, one_line, read_findings

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows, output = Path(folder, "rows"), Path(folder, "checked")
        rows.mkdir()
        output.mkdir()
        sources = read_once(planned, contract, rows)
        checks = check_once(rows, sources, contract, output)
        findings = read_findings(output)
        first = [one_line(finding) for finding in itertools.islice(findings, SHOWN)]
        more = sum(1 for _ in findings)
    verdict = checks.verdict(contract)
    show_verdict(contract, verdict, checks.reasons(contract))
    show_rows(checks.rows, checks.quarantined, first, more)
    print(f"{time.monotonic() - started:.1f} s")
    return verdict


def _files_of(given: Sequence[str], kind: str | None, settings: dict[str, Any]) -> "list[PlannedFile]":
    from tasks.ingestion.endings import source_of
    from tasks.ingestion.plan import PlannedFile

    planned = []
    for entry in given:
        # A file may have a name of that form itself.
        match = None if Path(entry).exists() else SPLIT_AND_FILE.fullmatch(entry)
        split, address = (match[1], match[2]) if match else (TRAIN, entry)
        # Rows that people label are read as a retraining reads them.
        held_out = split if split.startswith(FRESH) else None
        planned.append(PlannedFile(split=split, source=source_of(address, kind, settings), held_out_split=held_out))
    return planned


def _files_of_pipeline(name: str) -> "list[PlannedFile]":
    """All labelled files of a pipeline, fresh ones too; rows that its rule divides among splits are checked as one."""
    from flows.pipeline import load_pipeline
    from tasks.ingestion.plan import planned_files

    data = load_pipeline(name).data
    planned = planned_files(data, tuple(data.fresh.known()) if data.fresh else (), None)
    return [file.model_copy(update={"split": file.split or "undivided"}) for file in planned]


def _settings(given: list[str] | None) -> dict[str, Any]:
    """Settings of a source; `a.b=c` sets a key of `a`, and what stands behind `=` is read as YAML."""
    settings: dict[str, Any] = {}
    for entry in given or []:
        key, equals, text = entry.partition("=")
        *parents, last = key.split(".")
        target: Any = settings
        for parent in parents:
            target = target.setdefault(parent, {}) if isinstance(target, dict) else None
        if not equals or not last or not isinstance(target, dict):
            raise InputError(f"--set-source {entry!r} is not of the form KEY=VALUE, as in delimiter=';'")
        try:
            target[last] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InputError(f"--set-source {entry!r}: {text!r} is not a YAML value: {error}") from error
    return settings


def _name_of(address: str) -> str:
    """What a file is called without its endings; of one that is called by its split, its folder."""
    path = PurePosixPath(address)
    name = path.name.split(".")[0]
    return path.parent.name if (name in OWN_SPLITS or "*" in name) and path.parent.name else name
