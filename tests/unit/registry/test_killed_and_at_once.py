"""Promotions of processes that are killed at any point, and of two that promote at once, on a real database."""

import multiprocessing
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModelAlias
from mlflow.store.tracking.dbmodels.models import SqlExperiment
from sqlalchemy import event
from sqlalchemy.orm import Session

from data_contracts.artifacts import TrainedModel, Verdict
from tasks.registry.promoting import rollback
from tests.unit.registry.release_process import (
    open_registry,
    opponent_in,
    release,
    release_and_die,
    release_at_once,
)

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.unit.registry.release_process"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, trained_model: Callable[[str], TrainedModel]) -> Path:
    """A home whose pipeline has version 1 as champion."""
    folder = tmp_path_factory.mktemp("home")
    registry = open_registry(folder)
    release(registry, trained_model("a" * 64), opponent_in(registry))
    return folder


def aliases_of_mlflow(home: Path) -> dict[str, int]:
    registry = open_registry(home)
    return {name: int(number) for name, number in registry._client.get_registered_model("shop").aliases.items()}


def test_a_run_killed_between_any_two_writes_leaves_one_champion_and_the_next_run_ends_what_it_began(
    home: Path, tmp_path: Path, trained_model: Callable[[str], TrainedModel]
) -> None:
    left = []
    for step in range(1, 30):
        copy = tmp_path / str(step)
        shutil.copytree(home, copy)
        process = PROCESSES.Process(target=release_and_die, args=(copy, trained_model("b" * 64), step))
        process.start()
        process.join(120)
        registry = open_registry(copy)
        champion = registry.champion()
        assert champion is not None
        entries = len(registry.ledger.entries())
        assert (champion.version, entries) in ((1, 1), (2, 2)), step
        shown = aliases_of_mlflow(copy)
        assert shown.pop("challenger", 2) == 2
        assert shown == ({"champion": 1} if entries == 1 else {"champion": 2, "previous": 1}), step
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        left.append(entries)
        assert not release(registry, trained_model("b" * 64), opponent_in(registry))
        assert [entry.version for entry in registry.ledger.entries()] == [1, 2]
        assert [version.aliases for version in registry.versions()] == [("champion",), ("previous",)]
    # Run, parameter, metric, end, version and challenger come before the entry; tag and aliases come after.
    assert left == [1] * 7 + [2] * 4


@pytest.mark.parametrize(("verdict", "aliases"), [("HOLD", ("challenger",)), ("REJECT", ())])
def test_a_version_that_does_not_win_is_challenger_whenever_its_run_was_killed(
    home: Path, tmp_path: Path, trained_model: Callable[[str], TrainedModel], verdict: Verdict, aliases: tuple[str, ...]
) -> None:
    model = trained_model("b" * 64)
    # A rejected version gets no alias, so that creating it and its run are all the writes.
    for step in range(5, 30):
        copy = tmp_path / str(step)
        shutil.copytree(home, copy)
        process = PROCESSES.Process(target=release_and_die, args=(copy, model, step, verdict))
        process.start()
        process.join(120)
        registry = open_registry(copy)
        release(registry, model, opponent_in(registry), verdict)
        assert [version.aliases for version in registry.versions()] == [aliases, ("champion",)], step
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert step == (7 if verdict == "HOLD" else 6)


def test_a_version_that_lost_its_place_is_no_challenger_when_its_run_is_run_again(
    home: Path, tmp_path: Path, trained_model: Callable[[str], TrainedModel]
) -> None:
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    registry = open_registry(copy)
    release(registry, trained_model("b" * 64), opponent_in(registry))
    rollback(registry, None, "ann", "", datetime.now(UTC))
    assert registry.complete(registry.version(2)).aliases == ("previous",)
    release(registry, trained_model("c" * 64), opponent_in(registry))
    rollback(registry, 1, "ann", "", datetime.now(UTC))
    assert registry.complete(registry.version(2)).aliases == ()
    assert aliases_of_mlflow(copy) == {"champion": 1, "previous": 3}


def test_two_runs_that_promote_at_once_come_one_after_the_other_and_the_later_judges_again(
    home: Path, tmp_path: Path, trained_model: Callable[[str], TrainedModel]
) -> None:
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    together, answers = PROCESSES.Barrier(2), PROCESSES.Queue()
    processes = [
        PROCESSES.Process(target=release_at_once, args=(copy, trained_model(letter * 64), together, answers))
        for letter in "bc"
    ]
    for process in processes:
        process.start()
    judged = dict(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(judged.values()) == [1, 2]
    registry = open_registry(copy)
    entries = registry.ledger.entries()
    assert [entry.model[0] for entry in entries] == ["a", *sorted("bc", key=lambda letter: judged[letter])]
    assert [(entry.number, entry.previous) for entry in entries[1:]] == [(2, 1), (3, entries[1].version)]
    # The later one was judged against the champion that it replaced, not against the one before.
    champion = registry.champion()
    assert champion is not None
    assert champion.judgement.champion == entries[1].model
    assert aliases_of_mlflow(copy) == {"champion": entries[2].version, "previous": entries[1].version}


@contextmanager
def between_look_and_insert(kind: type, act: Callable[[], object]) -> Iterator[None]:
    """Acts once, as another process may: after MLflow has found no row of that kind, and before it makes one."""
    waiting = [act]

    def come_first(session: Session, *_: Any) -> None:
        if waiting and any(isinstance(row, kind) for row in session.new):
            waiting.pop()()

    event.listen(Session, "before_flush", come_first)
    try:
        yield
    finally:
        event.remove(Session, "before_flush", come_first)
    assert not waiting


def test_an_alias_that_two_runs_set_at_the_same_moment_is_set_by_both(
    home: Path, tmp_path: Path, trained_model: Callable[[str], TrainedModel]
) -> None:
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    registry = open_registry(copy)
    other = MlflowClient(tracking_uri=f"sqlite:///{copy / 'mlflow.db'}")
    with between_look_and_insert(
        SqlRegisteredModelAlias, lambda: other.set_registered_model_alias("shop", "challenger", "1")
    ):
        release(registry, trained_model("b" * 64), opponent_in(registry))
    assert [version.aliases for version in registry.versions()] == [("champion",), ("previous",)]


def test_the_experiment_that_two_first_runs_make_at_the_same_moment_is_of_both(
    tmp_path: Path, trained_model: Callable[[str], TrainedModel]
) -> None:
    registry = open_registry(tmp_path)
    other = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    place = (tmp_path / "artifacts").as_uri()
    with between_look_and_insert(SqlExperiment, lambda: other.create_experiment("shop", artifact_location=place)):
        release(registry, trained_model("b" * 64), opponent_in(registry))
    (version,) = registry.versions()
    assert version.aliases == ("champion",)
    assert other.get_run(version.run_id).info.experiment_id == other.get_experiment_by_name("shop").experiment_id
