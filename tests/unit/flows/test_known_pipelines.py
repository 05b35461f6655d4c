"""A pipeline whose YAML is anywhere, and the commands that graft prints with its name."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from data_contracts.errors import InputError
from flows.__main__ import app
from flows.pipeline import PIPELINES, find_pipeline, load_pipeline, open_pipeline

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a pipeline to a file, `write("rooms/hotel_pipe.yaml", "hotel")`, beside a home that knows none."""
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((PIPELINES / "support.yaml").read_text(encoding="utf-8"))

    def to(file: str, name: str) -> Path:
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({**content, "name": name}), encoding="utf-8")
        return path

    return to


def graft(*arguments: str) -> str:
    return CliRunner().invoke(app, list(arguments)).output


def test_a_pipeline_that_was_opened_by_its_path_is_found_by_its_name(write: Write) -> None:
    path = write("rooms/hotel_pipe.yaml", "hotel")
    with pytest.raises(InputError, match="no pipeline 'hotel'"):
        load_pipeline("hotel")
    assert open_pipeline("rooms/hotel_pipe.yaml").name == "hotel"
    assert load_pipeline("hotel", ["training.epochs=7"]) == load_pipeline(str(path), ["training.epochs=7"])


def test_a_name_that_was_set_for_one_run_alone_is_not_kept(write: Write) -> None:
    write("rooms/hotel_pipe.yaml", "hotel")
    assert open_pipeline("rooms/hotel_pipe.yaml", ["name=trial"]).name == "trial"
    with pytest.raises(InputError, match="no pipeline 'trial'"):
        load_pipeline("trial")


def test_of_two_files_of_one_name_the_one_that_was_opened_last_is_meant(write: Write) -> None:
    for folder in ("rooms", "beds"):
        open_pipeline(str(write(f"{folder}/hotel.yaml", "hotel")))
    found = load_pipeline("hotel").data.train
    assert found is not None
    assert found == load_pipeline("beds/hotel.yaml").data.train


def test_a_name_in_the_repository_is_that_pipeline_whatever_else_is_called_so(write: Write) -> None:
    open_pipeline(str(write("rooms/support.yaml", "support")))
    assert load_pipeline("support") == load_pipeline(str(PIPELINES / "support.yaml"))


def test_a_pipeline_is_there_with_mistakes_and_gone_when_nothing_is_called_so(write: Write) -> None:
    path = write("rooms/hotel_pipe.yaml", "hotel")
    assert find_pipeline("hotel") is None
    open_pipeline(str(path))
    assert (find_pipeline("hotel"), find_pipeline("support")) == (str(path), "support")
    path.write_text("name: [", encoding="utf-8")
    assert find_pipeline("hotel") == str(path)
    write("rooms/hotel_pipe.yaml", "inn")
    assert find_pipeline("hotel") is None
    path.unlink()
    assert find_pipeline("hotel") is None


def test_a_file_that_went_away_or_changed_its_name_is_named(write: Write) -> None:
    path = write("rooms/hotel_pipe.yaml", "hotel")
    open_pipeline(str(path))
    write("rooms/hotel_pipe.yaml", "inn")
    with pytest.raises(InputError, match=rf"{path}, which was given last for pipeline 'hotel', is called 'inn' now"):
        load_pipeline("hotel")
    path.unlink()
    with pytest.raises(InputError, match=rf"no pipeline 'hotel' .*, nor is {path} there any more"):
        load_pipeline("hotel")


def test_the_commands_that_an_answer_ends_with_are_about_the_pipeline_that_was_asked_for(write: Write) -> None:
    path = str(write("rooms/hotel_pipe.yaml", "hotel"))
    window = ("--window", "week_1")
    for arguments in (
        ("models", path),
        ("models", path, "--history"),
        ("rollback", path),
        ("promote", path, "3", "--reason", "why not"),
        ("verify", path),
        ("quarantine", "show", path),
        ("drift", path),
        ("label", path, *window, "--output", "rows.jsonl"),
        ("rebaseline", path, *window, "--reason", "why not"),
        ("shadow", path),
    ):
        commands = re.findall(r"`graft ([^`]+)`", graft(*arguments))
        assert commands, arguments
        for command in commands:
            assert "hotel" in command.split()
    assert load_pipeline("hotel").name == "hotel"
