"""Mistakes in what a run is given, which are answered before a server is started for it."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_contracts.artifacts import Promotion
from flows import server
from flows.__main__ import app
from flows.pipeline import load_pipeline
from flows.preconditions import check_backtest, check_prediction, check_watch
from tasks.registry.promotions import PromotionLedger
from tasks.storage.home import open_store

Refused = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with texts, answers and an empty folder, beside a home where nothing was promoted."""
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    for name in ("GRAFT_STORE", "MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "here"
    (here / "empty").mkdir(parents=True)
    for name in ("texts.jsonl", "answers.jsonl"):
        (here / name).write_text('{"text": "Where is my parcel?"}\n', encoding="utf-8")
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def promoted(folder: Path) -> None:
    """`support` has a champion."""
    entry = Promotion(
        number=1,
        id="first",
        kind="promote",
        version=1,
        model="a" * 64,
        previous=None,
        judgement="b" * 64,
        rows="c" * 64,
        by="the gate",
        reason="better",
        at=datetime(2026, 1, 5, tzinfo=UTC),
    )
    assert PromotionLedger(open_store(), "support").add(entry)


@pytest.fixture
def refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Runs a command that is to be refused with no server started; gives what it said."""

    def start(*arguments: object, **settings: object) -> None:
        raise AssertionError("a server was started")

    monkeypatch.setattr(server, "start_server", start)

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == 2, done.output
        return " ".join(done.output.split())

    return run


@pytest.mark.parametrize(
    ("given", "to", "said"),
    [
        ("gone.jsonl", "new.jsonl", "gone.jsonl does not exist"),
        ("empty", "new.jsonl", "empty is a folder. Give a file of rows with --input"),
        ("texts.jsonl", "empty", "empty is a folder. Give a file with --output"),
        ("texts.jsonl", "gone/new.jsonl", "gone does not exist, so new.jsonl cannot be written there"),
        ("texts.jsonl", "./texts.jsonl", "texts.jsonl is the input itself"),
        ("texts.jsonl", "answers.jsonl", "answers.jsonl exists already"),
    ],
)
def test_files_that_cannot_be_read_or_written(promoted: None, refused: Refused, given: str, to: str, said: str) -> None:
    assert said in refused("predict", "support", "--input", given, "--output", to)


def test_answers_are_written_over_only_when_that_is_asked_for_and_the_input_never(
    promoted: None, refused: Refused
) -> None:
    plan = load_pipeline("support")
    check_prediction(plan, "texts.jsonl", "new.jsonl", force=False)
    check_prediction(plan, "texts.jsonl", "answers.jsonl", force=True)
    check_prediction(plan, "s3://bucket/texts.jsonl", "s3://bucket/answers.jsonl", force=False)
    said = refused("predict", "support", "--input", "texts.jsonl", "--output", "texts.jsonl", "--force")
    assert "is the input itself" in said


def test_windows_that_are_not_there(promoted: None, refused: Refused, folder: Path) -> None:
    plan = load_pipeline("support")
    check_watch(plan, "week_2")
    check_watch(plan, None)
    assert "there is no window 'week_9'" in refused("watch", "support", "--window", "week_9")
    assert "names no `data.windows`" in refused("watch", "support", "--set", "data.windows=null")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--windows", "gone"), "gone is no folder"),
        (("--windows", "empty"), "empty holds no window"),
        (("--labels", "gone"), "gone is no folder"),
        (("--policy", "gone.yaml"), "gone.yaml cannot be read"),
        (("--policy", "odd.yaml"), "allpha: unknown key"),
        (("--output", "gone/page.html"), "gone does not exist"),
        (("--output", "empty"), "empty is a folder"),
    ],
)
def test_what_a_backtest_lacks(
    promoted: None, refused: Refused, folder: Path, arguments: tuple[str, str], said: str
) -> None:
    (folder / "odd.yaml").write_text("allpha: 0.01\n", encoding="utf-8")
    check_backtest(load_pipeline("support"), None, None, (), "page.html")
    assert said in refused("backtest", "support", *arguments)


def test_a_pipeline_without_a_champion(refused: Refused) -> None:
    for arguments in (
        ("predict", "support", "--input", "texts.jsonl", "--output", "new.jsonl"),
        ("watch", "support"),
        ("backtest", "support"),
    ):
        assert "pipeline support has no champion yet. `graft run support` trains" in refused(*arguments)
