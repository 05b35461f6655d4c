"""The results table as a terminal, or a file that a run is written to, shows it."""

import io
from typing import Any

import pytest
from rich.console import Console

from flows import terminal

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
