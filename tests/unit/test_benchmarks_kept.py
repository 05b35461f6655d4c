"""What benchmarks keep from one run for the next, and what they refuse."""

import json
import subprocess
import sys
import venv
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import measuring, quality, training
from benchmarks.drift_peers.arrays import file_of
from benchmarks.measuring import environment_of
from benchmarks.quality import kept_run, trained_model
from benchmarks.quality_peers import work
from benchmarks.training_peers import work as training_work
from tasks.storage import caching

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"epochs": 1, "rows": None, "recipe": {}, "seed": 13}


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for them, in which any package can be installed."""

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0)

    create = venv.create
    monkeypatch.setattr("benchmarks.measuring.ENVIRONMENTS", tmp_path)
    monkeypatch.setattr("benchmarks.measuring.venv.create", lambda folder, with_pip, clear: create(folder, clear=clear))
    monkeypatch.setattr("benchmarks.measuring.subprocess.run", run)
    return tmp_path


def test_an_environment_is_made_once(environments: Path) -> None:
    python = environment_of("peer", ["a-package-that-nobody-made==1"])
    made = Path(python).lstat().st_mtime_ns
    assert environment_of("peer", ["a-package-that-nobody-made==1"]) == python
    assert Path(python).lstat().st_mtime_ns == made


def test_an_environment_whose_making_was_interrupted_is_made_anew(
    environments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("benchmarks.measuring.subprocess.run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            environment_of("peer", ["a-package-that-nobody-made==1"])
    (half,) = environments.iterdir()
    (half / "left behind").touch()
    python = environment_of("peer", ["a-package-that-nobody-made==1"])
    assert Path(python).is_relative_to(half)
    assert not (half / "left behind").exists()


def test_other_packages_or_another_installation_of_graft_have_an_environment_of_their_own(
    environments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = environment_of("peer", ["a-package-that-nobody-made==1"])
    assert environment_of("peer", ["a-package-that-nobody-made==2"]) != one
    monkeypatch.setattr("benchmarks.measuring.sys.path", ["/elsewhere/site-packages"])
    assert environment_of("peer", ["a-package-that-nobody-made==1"]) != one


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data sets, of which CLINC150 and HWU64 have one training row."""
    folder = tmp_path / "datasets"
    for name in ("clinc150", "hwu64"):
        (folder / name).mkdir(parents=True)
        for split in ("train", "validation"):
            row = {"text": "hello there", "label": "greeting"}
            (folder / name / f"{split}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    monkeypatch.setattr(work, "DATASETS", folder)
    monkeypatch.setattr(training_work, "DATASETS", folder)
    return folder


def changed_row(sets: Path, _: pytest.MonkeyPatch) -> None:
    (sets / "clinc150" / "train.jsonl").write_text("{}\n", encoding="utf-8")


def changed_code(of: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def change(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = caching.code_components
        monkeypatch.setattr(
            caching, "code_components", lambda stage: {**before(stage), **({"x": "y"} if stage == of else {})}
        )

    return change


@pytest.mark.parametrize("change", [changed_row, changed_code("training"), changed_code("tokenization")])
def test_a_model_is_not_taken_up_where_its_rows_or_its_code_are_others(
    sets: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    before = work.name_of_run("graft", ["clinc150"], SETTINGS)
    assert work.name_of_run("graft", ["clinc150"], dict(SETTINGS)) == before
    change(sets, monkeypatch)
    assert work.name_of_run("graft", ["clinc150"], SETTINGS) != before


@pytest.mark.parametrize("change", [changed_row, changed_code("modeling"), changed_code("tokenization")])
def test_rows_that_a_model_saw_are_not_taken_up_where_they_or_the_code_are_others(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path, pytest.MonkeyPatch], None]
) -> None:
    before = file_of(tmp_path)
    assert file_of(tmp_path / ".") == before
    change(sets, monkeypatch)
    assert file_of(tmp_path) != before


def test_scores_are_kept_until_the_code_that_scores_is_another(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run(program: str, command: list[str]) -> None:
        ran.append(command[2].rpartition(".")[2])
        if "benchmarks.quality_peers.scores" in command:
            Path(command[5]).write_text(json.dumps({"clinc150": 0.5}), encoding="utf-8")

    monkeypatch.setattr(quality, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(quality, "run_contestant", run)
    monkeypatch.setattr("sys.argv", ["quality", "--tasks", "clinc150", "--seeds", "13"])
    quality.main()
    assert ran == ["graft", "scores"]
    quality.main()
    assert ran == ["graft", "scores"]
    changed_code("evaluation")(sets, monkeypatch)
    quality.main()
    assert ran == ["graft", "scores", "scores"]


def test_a_training_that_was_cut_short_goes_on_in_its_place(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []

    def cut_short(_: str, command: list[str]) -> None:
        places.append(Path(command[4]))
        work.empty_folder(places[-1] / "model")
        (places[-1] / "model" / "weights").touch()
        if len(places) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(quality, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(quality, "run_contestant", cut_short)
    with pytest.raises(KeyboardInterrupt):
        kept_run("graft", ["clinc150"], SETTINGS)
    kept = kept_run("graft", ["clinc150"], SETTINGS)
    assert places == [places[0], places[0]]
    assert (kept / "model" / "weights").exists()
    assert not places[0].exists()
    assert kept_run("graft", ["clinc150"], SETTINGS) == kept
    assert len(places) == 2


def test_more_rows_than_the_sets_have_are_refused(sets: Path) -> None:
    assert len(training_work.load_work(2, ("clinc150", "hwu64")).train) == 2
    with pytest.raises(SystemExit, match="3 training rows were asked for; clinc150, hwu64 have 2"):
        training_work.load_work(3, ("clinc150", "hwu64"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("data --repeats 0", "--repeats: 0 is too small; from 1 on"),
        ("training --rows -4", "--rows: -4 is too small; from 1 on"),
        ("scaling --rows 0", "--rows: 0 is too small; from 1 on"),
        ("drift --changed-lives 0", "--changed-lives: 0 is too small; from 1 on"),
        ("drift --model nowhere", "holds no model of graft"),
        ("evaluation --epochs 0", "--epochs: 0 is too small; from 1 on"),
        ("quality --recipe nonsense", "--recipe: no JSON"),
        ("quality --recipe [1]", "[1] is no JSON object"),
        ('quality --recipe {"seed":3}', "seed in it: they have options of their own"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(arguments: str, said: str) -> None:
    command = [sys.executable, "-m", *f"benchmarks.{arguments}".split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr


def test_an_environment_that_cannot_be_made_is_found_out_before_any_contestant_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def environment(name: str, _: list[str]) -> str:
        if name == "setfit":
            raise SystemExit("no environment for setfit")
        return sys.executable

    monkeypatch.setattr(training, "environment_of", environment)
    monkeypatch.setattr(training, "run_contestant", lambda name, _: pytest.fail(f"{name} ran"))
    monkeypatch.setattr("sys.argv", ["training", "--threads", "1"])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(SystemExit, match="no environment for setfit"):
        training.main()


def test_a_contestant_that_was_killed_is_told_by_its_signal() -> None:
    with pytest.raises(SystemExit, match="the peer failed with -9"):
        measuring.run_contestant("the peer", [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])


def test_a_model_of_other_tasks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"heads": {"mood": {}}}), encoding="utf-8")
    with pytest.raises(ArgumentTypeError, match="answers mood; it has to answer clinc150"):
        trained_model(str(tmp_path))


def test_no_number_below_the_least_is_taken() -> None:
    assert measuring.at_least(1)("1") == 1
    with pytest.raises(ArgumentTypeError, match="0 is too small; from 1 on"):
        measuring.at_least(1)("0")
