"""What a run shows in the terminal: the steps as they go, and the results at the end."""

import contextlib
import json
import logging
import shutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from tqdm import tqdm

from data_contracts.errors import InputError
from flows import OWN_LOGGERS
from tasks.storage.home import Home, open_home, open_store

if TYPE_CHECKING:
    from data_contracts.artifacts import (
        CrossValidation,
        ModelVersion,
        Promotion,
        Release,
        TokenizedDataset,
        ValidatedSnapshot,
    )
    from data_contracts.drift import DriftDecision

FILE_COLUMNS = 200
# Letters of a cell that is no text, and the least that a text is legible in.
SHORT = 20
# Bytes that are free on it.
A_FULL_DISK = 1 << 20
COLOURS = {"PROMOTE": "green", "HOLD": "yellow", "INCONCLUSIVE": "yellow", "REJECT": "red"}


def say(line: str) -> None:
    """One line on stderr, above whatever bar is showing."""
    tqdm.write(line, file=sys.stderr)


@contextlib.contextmanager
def failures(debug: bool) -> Iterator[None]:
    """Ends the program with 2 for the user's mistakes and 1 for ours, with one readable message."""
    try:
        yield
    except InputError as error:
        if debug:
            traceback.print_exc()
        print(f"graft: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("\ngraft: stopped; what was finished is kept, and the next run goes on from there", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if debug:
            traceback.print_exc()
        summary = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
        if (full := _full_home()) is not None:
            remedy = "Free some space, or set GRAFT_HOME to another disk, and run again."
            print(f"graft: the disk of {full} is full ({summary}). {remedy}", file=sys.stderr)
            raise SystemExit(2) from None
        print(f"graft: {summary}\nThis is a fault of graft's; --debug shows where.", file=sys.stderr)
        raise SystemExit(1) from None


def _full_home() -> Path | None:
    """The home where its disk is full: a server whose database finds no room says no more than that it failed."""
    with contextlib.suppress(InputError, OSError):
        root = open_home().root
        return root if shutil.disk_usage(root).free < A_FULL_DISK else None
    return None


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    """A table of plain text, or what to say where there are no rows; nothing of it is cut.

    Where a terminal leaves too little room for long texts, each row is a paragraph with a line a column.
    """
    if not rows:
        print(nothing)
        return
    console = open_console()
    if console.is_terminal and _is_too_narrow(console.width, columns, rows):
        for row in rows:
            told = [f"{title}: {cell}" for title, cell in zip(columns, row, strict=True) if cell]
            console.print("\n  ".join(told), highlight=False, markup=False, soft_wrap=True)
        return
    table = Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def show_steps() -> None:
    """Lets the steps of a run, and what the stages log, appear in the terminal."""
    handler = _StepLines()
    for name in OWN_LOGGERS:
        logging.getLogger(name).addHandler(handler)


def show_prepared(name: str, snapshot: "ValidatedSnapshot", tokens: "TokenizedDataset", page: str) -> None:
    """What is ready to be learned from, and what was left behind."""
    columns = ("split", "rows", "quarantined", "tokens", "cut off")
    rows = [
        (
            split,
            str(count),
            str(snapshot.quarantined.get(split, 0)),
            str(tokens.tokens[split]),
            str(tokens.truncated[split]),
        )
        for split, count in sorted(snapshot.rows.items())
    ]
    show_rows(columns, rows, "no rows")
    if any(snapshot.quarantined.values()):
        print(f"The quarantined rows: graft quarantine show {name}")
    print(f"Run:    {page}")


def show_folds(name: str, found: "CrossValidation", page: str) -> None:
    """Every metric over the folds."""
    table = json.loads((open_store().directory(found.digest) / "table.json").read_text(encoding="utf-8"))
    print(f"{name}: {found.folds} folds of the rows in domain, each judged by a model that has not seen it")
    rows = [[f"{of:.3f}" if isinstance(of, float) else str(of) for of in row.values()] for row in table]
    show_rows(tuple(table[0]), rows, "no scores")
    print(f"Run:    {page}")


def show_release(name: str, released: "Release", page: str, seconds: float) -> None:
    """The results table, the verdict and why, the version, and where everything is."""
    home, store = open_home(), open_store()
    report = store.directory(released.report.digest)
    console = open_console()
    console.print(results_table(name, json.loads((report / "table.json").read_text(encoding="utf-8"))))
    show_verdict(console, released)
    _show_places(report, released, page, home)
    print(f"{seconds:.0f} s")


def open_console() -> Console:
    """The terminal in its own width; a file or a pipe has none, so nothing is cut to fit it."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_COLUMNS)


def results_table(name: str, rows: list[dict[str, Any]]) -> Table:
    """Every task in and out of domain beside the baselines."""
    table = Table(title=f"{name}: every task, in and out of domain", box=box.SIMPLE_HEAD, padding=0)
    # In a narrow terminal names are cut, numbers never: rich takes the room first from columns that may wrap.
    for header in ("task", "split", "metric"):
        table.add_column(header, overflow="ellipsis")
    for header, width in {"graft": 6, "95%": 11, "TF-IDF": 6, "majority": 8, "rows": 4}.items():
        table.add_column(header, justify="right", no_wrap=True, min_width=width)
    before = None
    for row in rows:
        if before not in (None, row["task"]):
            table.add_section()
        interval = "" if row["low"] is None else f"{row['low']:.2f}–{row['high']:.2f}"
        style = "bold" if row["split"] == "in domain" else None
        task = "" if before == row["task"] else row["task"]
        behind = row["tfidf"] is not None and row["graft"] is not None and row["graft"] < row["tfidf"]
        ours = f"[yellow]{_number(row['graft'])}[/]" if behind else _number(row["graft"])
        numbers = [ours, interval, _number(row["tfidf"]), _number(row["majority"]), str(row["rows"])]
        metric = row["metric"].removeprefix("out_of_scope_")
        table.add_row(task, row["split"], metric, *numbers, style=style)
        before = row["task"]
    return table


def show_verdict(console: Console, released: "Release") -> None:
    """Verdict, reasons, and what became of the version."""
    verdict, version = released.judgement.verdict, released.version
    console.print(f"\nGate: [bold {COLOURS[verdict]}]{verdict}[/]", highlight=False)
    for reason in released.judgement.reasons:
        console.print(f"  - {reason}", highlight=False, markup=False)
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    console.print(
        f"Model: {version.pipeline} version {version.version}{aliases}, {version.model.digest[:12]}", highlight=False
    )
    if released.outcome:
        console.print(f"  {released.outcome}", highlight=False, markup=False)


def show_backtest(rows: Sequence[Sequence[str]], report: Path, output: str, page: str) -> None:
    """What each policy makes of the windows, and where the picture is."""
    columns = ("policy", "harmful", "unknown", "benign", "bad data", "quiet", "delay (windows)", "retrainings", "hours")
    show_rows(columns, rows, "no policy was replayed")
    shutil.copyfile(report / "report.html", output)
    print(f"Page: {output}   Run: {page}")


def show_decision(name: str, decision: "DriftDecision", page: str) -> None:
    """What a window was found to be, what happens now, and where the report is."""
    from tasks.drift.task_reports import latest_report

    print(f"\n{decision.window} against version {decision.model_version}: {decision.verdict}")
    for reason in decision.reasons:
        print(f"  - {reason}")
    if decision.retrain and page.startswith("graft up"):
        print("Retraining is decided, but no server stays up to start it: `graft up`, whose `reconcile` sees to it.")
    elif decision.retrain:
        print("Retraining is decided: the server's trigger starts `retrain` on the cpu pool. What became of it:")
        print(f"  graft drift {name}")
    elif decision.verdict == "UNKNOWN":
        print(f"Rows most worth labelling: graft label {name} --window {decision.window} --output FILE")
    elif decision.verdict == "BENIGN":
        print(f"If so it is from now on: graft rebaseline {name} --window {decision.window} --reason TEXT")
    if (report := latest_report(name, decision.window)) is not None:
        print(f"Report: {open_store().directory(report.digest) / 'report.html'}")
    print(f"Run:    {page}")


def show_versions(name: str, versions: "list[ModelVersion]", promotions: "list[Promotion]") -> None:
    """A pipeline's versions, newest first, each with how it came to be champion last, if it did."""
    latest = {entry.version: entry for entry in promotions}
    rows = [
        (
            str(found.version),
            ", ".join(found.aliases),
            found.judgement.verdict,
            f"{found.model.validation_skill:.3f}",
            found.model.digest[:12],
            found.judgement.reasons[0],
            how_promoted(latest[found.version]) if found.version in latest else "",
        )
        for found in versions
    ]
    columns = ("version", "aliases", "verdict", "validation skill", "model", "why", "made champion")
    show_rows(columns, rows, f"{name} has no versions yet. `graft run {name}` makes the first.")


def show_promotions(name: str, promotions: "list[Promotion]") -> None:
    """The ledger of promotions, newest first."""
    rows = [
        (
            str(entry.number),
            f"{entry.at:%Y-%m-%d %H:%M}",
            entry.kind,
            str(entry.version),
            str(entry.previous or ""),
            entry.by,
            entry.reason,
        )
        for entry in reversed(promotions)
    ]
    columns = ("entry", "at (UTC)", "what", "champion", "before", "by", "why")
    show_rows(columns, rows, f"{name} had no champion yet. `graft run {name}` trains and judges a first model.")


def how_promoted(entry: "Promotion") -> str:
    """What a person reads of an entry where the gate's own promotions need no words."""
    return f"{entry.kind} by {entry.by}{f': {entry.reason}' if entry.reason and entry.kind != 'promote' else ''}"


def _show_places(report: Path, released: "Release", page: str, home: Home) -> None:
    print(f"Report: {report / 'report.html'}")
    print(f"Curves: tensorboard --logdir {home.curves / released.version.model.curves}")
    print(f"Run:    {page}")


def _is_too_narrow(width: int, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    texts = sum(of > SHORT for of in widths)
    # Beside each column stand two blanks, and one between it and the next.
    return width - 3 * len(widths) - sum(of for of in widths if of <= SHORT) < texts * SHORT


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


class _StepLines(logging.Handler):
    """Steps with a mark, everything else indented below them."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"{'●' if record.name == 'graft.steps' else '   '} {record.getMessage()}")
