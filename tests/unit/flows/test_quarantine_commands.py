"""`graft quarantine show` on a real store: what it says of rows that are kept out, and the command it ends with."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from tasks.storage.home import open_store

RULES = {"sentiment": "one of negative, neutral, positive: found `angry`", "urgency": "between 0 and 1"}


@pytest.fixture
def quarantine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticket: dict[str, Any]) -> Path:
    """A folder whose home keeps two rows of `support` out, each by another rule."""
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    store = open_store()
    with store.draft() as draft:
        for file in ("quarantine.jsonl", "quarantined.jsonl"):
            rows = [
                {
                    "id": f"{number:032}",
                    "split": "train",
                    "address": "rows.jsonl",
                    "row": number,
                    "column": column,
                    "rule": rule,
                    "value": "?",
                    "content": ticket,
                }
                for number, (column, rule) in enumerate(RULES.items(), start=1)
            ]
            (draft / file).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        digest = store.publish(draft)
    note = {"digest": digest, "contract": "c" * 64, "verdict": "PASS_WITH_QUARANTINE", "at": "2026-01-05T08:00:00"}
    store.write_note("checked/support", note)
    return tmp_path


def graft(*arguments: str) -> str:
    return CliRunner().invoke(app, list(arguments)).output


def test_the_command_to_readmit_rows_works_as_it_is_printed(quarantine: Path) -> None:
    said = graft("quarantine", "show", "support", "--output", "to mend.jsonl")
    before, _, command = said.strip().partition(", then: ")
    assert before == "2 rows are in to mend.jsonl; mend them"
    program, *arguments = shlex.split(command)
    assert program == "graft"
    assert graft(*arguments, "--dry-run") == (
        "0 rows would be readmitted; 2 rows are as they were and stay in quarantine\n"
    )


@pytest.mark.parametrize("filters", [("--rule", "nothing"), ("--split", "test")])
def test_a_filter_that_no_finding_passes_is_told_from_an_empty_quarantine(
    quarantine: Path, filters: tuple[str, str]
) -> None:
    said = graft("quarantine", "show", "support", *filters)
    assert "nothing is kept out" not in said
    assert said.splitlines() == [
        f"2 findings, but none with {filters[0].removeprefix('--')} {filters[1]!r}; there are:",
        "  - train, sentiment: one of negative, neutral, positive (1)",
        "  - train, urgency: between 0 and 1 (1)",
    ]
    assert graft("quarantine", "show", "support", *filters, "--output", "none.jsonl") == said
    assert not (quarantine / "none.jsonl").exists()


def test_a_filter_that_findings_pass_shows_these(quarantine: Path) -> None:
    said = graft("quarantine", "show", "support", "--rule", "ONE OF")
    assert "sentiment" in said
    assert "urgency" not in said
