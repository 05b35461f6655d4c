"""The results table as a terminal, or a file that a run is written to, shows it."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from data_contracts.artifacts import CrossValidation
from flows import terminal
from flows.server import SILENCE
from tasks.storage.home import open_store

ROWS: list[dict[str, Any]] = [
    {
        "task": "which_department_answers",
        "split": split,
        "metric": "expected_calibration_error",
        "graft": 0.1234,
        "low": 0.0321,
        "high": 0.9876,
        "tfidf": tfidf,
        "majority": 0.0567,
        "rows": 4321,
    }
    for split, tfidf in (("in domain", 0.2345), ("a_domain_with_a_long_name", None))
]


def shown(width: int) -> list[str]:
    """Lines of the table in a terminal of so many columns."""
    console = Console(file=io.StringIO(), width=width)
    console.print(terminal.results_table("support", ROWS))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("width", [75, 80, 160])
def test_in_a_narrow_terminal_names_are_cut_and_numbers_never(width: int) -> None:
    lines = shown(width)
    assert max(map(len, lines)) <= width
    whole, without = (line.split() for line in lines if "4321" in line)
    assert whole[-5:] == ["0.123", "0.03–0.99", "0.234", "0.057", "4321"]
    assert without[-4:] == ["0.123", "0.03–0.99", "0.057", "4321"]


def test_a_task_is_named_once_and_its_splits_below_it() -> None:
    first, second = (line for line in shown(160) if "4321" in line)
    assert first.split()[:3] == ["which_department_answers", "in", "domain"]
    assert second.split()[0] == "a_domain_with_a_long_name"


def test_a_file_has_no_width_that_anything_is_cut_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal.open_console().print(terminal.results_table("support", ROWS))
    written = capsys.readouterr().out
    assert "a_domain_with_a_long_name" in written
    assert "expected_calibration_error" in written


VERSIONS = [
    ("3", "challenger", "d9644df8bf06", "urgency, against the champion: -0.066 [-0.092, -0.042]; not passed"),
    ("2", "champion", "e22e60eb6caf", "the [first] that is better"),
]


@pytest.fixture
def rows_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], str]:
    """What a terminal of so many columns shows of VERSIONS."""

    def shown(width: int) -> str:
        console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
        monkeypatch.setattr(terminal, "open_console", lambda: console)
        terminal.show_rows(("version", "aliases", "model", "why"), VERSIONS, "none")
        return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    return shown


@pytest.mark.parametrize("width", [64, 80, 200])
def test_a_table_breaks_long_texts_and_leaves_digests_whole(rows_in: Callable[[int], str], width: int) -> None:
    lines = rows_in(width).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[1].split() == ["version", "aliases", "model", "why"]
    assert lines[3].split()[:3] == ["3", "challenger", "d9644df8bf06"]
    words = [word for row in VERSIONS for word in row[3].split()]
    assert [word for line in lines[3:] for word in line.split() if word in words] == words


def test_where_texts_have_no_room_each_row_is_a_paragraph(rows_in: Callable[[int], str]) -> None:
    assert rows_in(50).splitlines() == [
        *("version: 3", "  aliases: challenger", "  model: d9644df8bf06"),
        "  why: urgency, against the champion: -0.066 [-0.092, -0.042]; not passed",
        *("version: 2", "  aliases: champion", "  model: e22e60eb6caf", "  why: the [first] that is better"),
    ]


def test_scores_over_folds_have_three_digits_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    store = open_store()
    with store.draft() as draft:
        (draft / "table.json").write_text('[{"task": "mood", "mean": 0.9, "deviation": 0.0, "rows": 1200}]')
        digest = store.publish(draft)
    terminal.show_folds("shop", CrossValidation(digest=digest, parents=(), folds=3, means={"mood": 0.9}), "page")
    assert ["mood", "0.900", "0.000", "1200"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_command_that_needs_no_server_tells_nobody_that_it_ran(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in {*SILENCE, "CI"}}
    ours, its = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "flows", "drift", "support"],
        env=kept | {"HOME": str(tmp_path), "GRAFT_HOME": str(tmp_path / "graft")},
        cwd=Path(__file__).parents[3],
        # Prefect tells its maker, and that it does so, where somebody sits at a terminal.
        stdin=its,
        stdout=its,
        stderr=its,
        check=False,
    )
    os.close(its)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert (done.returncode, shown.count("was judged yet"), "anonymous usage" in shown) == (0, 1, False)
    assert not (tmp_path / ".prefect" / ".sdk_telemetry").exists()


@pytest.mark.parametrize(("free", "code", "said"), [(0, 2, "is full (RuntimeError: 500)"), (1 << 30, 1, "a fault of")])
def test_what_fails_on_a_full_disk_is_no_fault_of_grafts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, free: int, code: int, said: str
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path))
    monkeypatch.setattr(terminal.shutil, "disk_usage", lambda root: SimpleNamespace(free=free))
    with pytest.raises(SystemExit) as ended, terminal.failures(debug=False):
        raise RuntimeError("500")
    assert ended.value.code == code
    assert said in capsys.readouterr().err
