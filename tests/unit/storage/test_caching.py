"""Same inputs and code, no work: what a step's key is made of, and what a run says of it."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.context import FlowRunContext
from prefect.filesystems import LocalFileSystem
from prefect.results import ResultStore
from prefect.states import Completed
from pydantic import BaseModel

from data_contracts.artifacts import Encoder, Snapshot
from data_contracts.cleaning import Cleaning
from data_contracts.dataset import DatasetContract, load_contract
from tasks.storage import caching
from tasks.storage.caching import (
    REMEMBERED_RUNS,
    SameInputsAndCode,
    code_components,
    input_components,
    remember,
    what_changed,
)
from tasks.storage.home import open_store

STAGES = ("ingestion", "validation", "tokenization", "modeling", "training", "evaluation", "drift")
ONE, TWO = "1" * 64, "2" * 64


class Warmup(BaseModel):
    """Settings inside settings."""

    share: float = 0.1


class Settings(BaseModel):
    """Settings of a step."""

    epochs: int = 3
    labels: tuple[str, ...] = ("a", "b")
    warmup: Warmup = Warmup()
    stages: tuple[Warmup, ...] = ()
    floors: dict[str, float] = {}


def test_handles_count_by_digest_and_settings_leaf_by_leaf() -> None:
    encoder = Encoder(digest=ONE, parents=(TWO,), name="package:a")
    settings = Settings(stages=(Warmup(share=0.2), Warmup(share=0.3)), floors={"intent": 0.6})
    assert input_components({"encoder": encoder, "settings": settings, "column": "text", "until": None}) == {
        "encoder": "1" * 16,
        "settings.epochs": "3",
        "settings.labels": '["a", "b"]',
        "settings.warmup.share": "0.1",
        "settings.stages.0.share": "0.2",
        "settings.stages.1.share": "0.3",
        "settings.floors.intent": "0.6",
        "column": '"text"',
        "until": "null",
    }


def test_only_the_content_of_a_handle_counts() -> None:
    first = Encoder(digest=ONE, name="package:a")
    assert input_components({"x": first}) == input_components({"x": Encoder(digest=ONE, name="./folder")})
    assert input_components({"x": first}) != input_components({"x": Encoder(digest=TWO, name="package:a")})


def test_what_a_handle_hands_on_counts_though_its_directory_does_not_hold_it() -> None:
    rows = {"train": 3}
    plain, marked = (Snapshot(digest=ONE, rows=rows, cleaning=Cleaning(markup=markup)) for markup in (False, True))
    (difference,) = input_components({"snapshot": marked}).items() - input_components({"snapshot": plain}).items()
    assert difference == ("snapshot.cleaning.markup", "true")


@pytest.mark.parametrize(
    "changed",
    [
        Settings(epochs=4),
        Settings(labels=("b", "a")),
        Settings(warmup=Warmup(share=0.2)),
        Settings(stages=(Warmup(),)),
        Settings(floors={"intent": 0.0}),
    ],
    ids=["a number", "an order", "a nested value", "an added entry", "an added key"],
)
def test_every_leaf_of_the_settings_counts(changed: Settings) -> None:
    assert input_components({"settings": changed}) != input_components({"settings": Settings()})


def test_every_rule_of_a_contract_counts() -> None:
    contract = load_contract("support")
    original = input_components({"contract": contract})
    assert original == input_components({"contract": load_contract("support")})
    assert original != input_components({"contract": contract.without_labels()})
    assert any(name.startswith("contract.schema_.0.properties.0.quality.0.implementation") for name in original)


def test_moments_and_unordered_keys_have_one_text() -> None:
    moment = datetime(2026, 1, 5, tzinfo=UTC)
    assert input_components({"at": moment}) == {"at": '"2026-01-05 00:00:00+00:00"'}
    assert input_components({"x": {"b": 1, "a": 2}}) == input_components({"x": {"a": 2, "b": 1}})
    assert input_components({"x": {}}) == {"x": "{}"}


def test_what_changed_in_a_contract_is_said_by_the_names_of_columns_and_rules() -> None:
    def contract(*columns: dict[str, Any]) -> dict[str, str]:
        content = {
            "apiVersion": "v3.0.2",
            "kind": "DataContract",
            "id": "t",
            "name": "t",
            "version": "1.0.0",
            "status": "active",
            "schema": [{"name": "rows", "properties": columns}],
        }
        return input_components({"contract": DatasetContract.model_validate(content)})

    def text(across: str) -> dict[str, Any]:
        rules = [{"property": "role", "value": "text"}, {"property": "duplicates", "value": {"across": across}}]
        return {"name": "text", "logicalType": "string", "customProperties": rules}

    other, more = {"name": "other", "logicalType": "string"}, {"name": "more", "logicalType": "string"}
    across = "contract.schema_.rows.properties.text.custom_properties.duplicates.value.across"
    said = what_changed(contract(text("quarantine")), [contract(text("fail"))])
    assert said == f'{across} changed from "fail" to "quarantine"'
    # A column before it moves it, and changes nothing of it.
    said = what_changed(contract(other, text("fail")), [contract(text("fail"))])
    assert said.startswith("contract.schema_.rows.properties.other.")
    assert "changed from" not in said
    # Places tell where names do not.
    moved = what_changed(contract(other, more), [contract(more, other)])
    assert 'properties.0.name changed from "more" to "other"' in moved


def test_what_changed_is_said_against_the_most_similar_run() -> None:
    now = {"code tasks/a.py": "1", "epochs": "4", "snapshot": "s2"}
    far = {"code tasks/a.py": "0", "epochs": "3", "snapshot": "s1"}
    near = {**now, "epochs": "3"}
    assert what_changed(now, []) == "it has not run before"
    assert what_changed(now, [far, near]) == "epochs changed from 3 to 4"
    assert what_changed(now, [far]) == (
        "tasks/a.py changed, epochs changed from 3 to 4, snapshot changed from s1 to s2"
    )
    assert what_changed({"seed": "1"}, [{"epochs": "3"}]) == "epochs is gone, seed is new"
    assert what_changed(now, [now]) == "Prefect's record of its earlier result is gone"


def test_many_changes_are_counted_and_long_values_cut() -> None:
    assert what_changed({f"k{n}": "1" for n in range(7)}, [{}]) == (
        "k0 is new, k1 is new, k2 is new, k3 is new and 3 more"
    )
    assert what_changed({"labels": "b" * 90}, [{"labels": "a" * 90}]) == (
        f"labels changed from {'a' * 40} to {'b' * 40}"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_its_files_and_what_they_import_without_storage(stage: str) -> None:
    found = set(code_components(stage))
    folder = caching.ROOT / "tasks" / stage
    own = {
        f"code {path.relative_to(caching.ROOT).as_posix()}"
        for path in folder.rglob("*")
        if path.suffix in (".py", ".html")
    }
    assert f"code tasks/{stage}/task.py" in own
    assert own <= found
    assert "code data_contracts/artifacts.py" in found
    assert not [name for name in found if "storage" in name or "flows" in name]


def test_what_is_imported_over_corners_belongs_to_the_stage() -> None:
    # validation imports the contract, which imports the errors; training imports heads, which import scores.
    assert "code data_contracts/errors.py" in code_components("validation")
    assert "code tasks/modeling/scores.py" in code_components("training")
    for stage in ("evaluation", "drift"):
        assert {"code tasks/reporting/page.py", "code tasks/reporting/page.html"} <= set(code_components(stage))
    assert not [name for name in code_components("ingestion") if "modeling" in name]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small project in place of this one."""
    files = {
        "tasks/cooking/task.py": "from data_contracts.food import Food\nimport tasks.storage.store\n",
        "tasks/cooking/menu.html": "<h1>",
        "tasks/cooking/steps/stir.py": "import tasks.tools.spoon\nfrom tasks.tools import pot, missing\n",
        "tasks/tools/spoon.py": "",
        "tasks/tools/spoon.html": "<p>",
        "tasks/tools/other.html": "<p>",
        "tasks/tools/pot.py": "def lid() -> None:\n    import tasks.tools.handle\n",
        "tasks/tools/handle.py": "",
        "tasks/tools/fork.py": "",
        "tasks/storage/store.py": "",
        "data_contracts/food.py": "",
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source, encoding="utf-8")
    monkeypatch.setattr(caching, "ROOT", tmp_path)
    forget_sources()
    yield tmp_path
    forget_sources()


def forget_sources() -> None:
    """Reads source files anew, as a new process does."""
    code_components.cache_clear()
    caching._source_file.cache_clear()


def touched(project: Path, name: str) -> list[str]:
    """Components that a changed line in that file changes."""
    before = code_components("cooking")
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("\nx = 1\n")
    forget_sources()
    after = code_components("cooking")
    return [key for key in after if before.get(key) != after[key]]


@pytest.mark.parametrize(
    "name",
    [
        "tasks/cooking/task.py",
        "tasks/cooking/steps/stir.py",
        "tasks/cooking/menu.html",
        "tasks/tools/spoon.py",
        "tasks/tools/spoon.html",
        "tasks/tools/pot.py",
        "tasks/tools/handle.py",
        "data_contracts/food.py",
    ],
)
def test_a_change_in_a_file_of_the_stage_or_of_what_it_imports_counts(project: Path, name: str) -> None:
    assert touched(project, name) == [f"code {name}"]


@pytest.mark.parametrize("name", ["tasks/storage/store.py", "tasks/tools/fork.py", "tasks/tools/other.html"])
def test_a_change_in_storage_or_in_a_file_that_is_not_imported_does_not(project: Path, name: str) -> None:
    assert touched(project, name) == []


def test_a_new_file_in_the_stage_counts(project: Path) -> None:
    before = code_components("cooking")
    (project / "tasks/cooking/bake.py").touch()
    forget_sources()
    assert set(code_components("cooking")) - set(before) == {"code tasks/cooking/bake.py"}


class Step:
    """A step as Prefect would run it: asked for its key, then told how it ended; its results are kept."""

    def __init__(self, results: Path) -> None:
        self.results = ResultStore(result_storage=LocalFileSystem(basepath=str(results)), cache_result_in_memory=False)
        self.runs = 0

    def run(self, flow: str = "prepare-data", pipeline: str = "support", **inputs: Any) -> str:
        """Digest of the step's result, which is made anew only where nothing is kept under its key."""
        context: Any = SimpleNamespace(
            task=SimpleNamespace(name="tokenize"), task_run=SimpleNamespace(id=uuid4()), result_store=self.results
        )
        asking: Any = FlowRunContext
        with asking.model_construct(flow=SimpleNamespace(name=flow)):
            key = SameInputsAndCode(stage="tokenization").compute_key(context, inputs, {"pipeline": pipeline})
        assert key is not None
        if not self.results.exists(key):
            self.runs += 1
            with open_store().draft() as draft:
                (draft / "facts.txt").write_text(str(inputs), encoding="utf-8")
                self.results.write(Snapshot(digest=open_store().publish(draft), rows={}), key=key)
        made: Snapshot = self.results.read(key).result
        remember(context.task, context.task_run, Completed(data=made))
        return made.digest


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    return Step(tmp_path / "results")


def test_a_step_is_compared_with_those_of_its_own_pipeline_however_that_is_given(
    step: Step, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="graft.steps")
    for name in ("pairs", "topics"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pipeline.yaml").write_text(f"name: {name}\n", encoding="utf-8")
        step.run(pipeline=str(tmp_path / name / "pipeline.yaml"), column=f"the Prämisse of {name}")
    step.run(pipeline="topics", column="Satz")
    assert [record.getMessage().removeprefix("tokenize: running, because ") for record in caplog.records] == [
        "it has not run before",
        "it has not run before",
        'column changed from "the Prämisse of topics" to "Satz"',
    ]


def test_a_step_runs_again_only_when_an_input_changes(step: Step, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="graft.steps")
    assert step.run(epochs=3) == step.run(epochs=3)
    step.run(epochs=4)
    step.run(epochs=3)
    assert step.runs == 2
    assert [record.getMessage().removeprefix("tokenize: ") for record in caplog.records] == [
        "running, because it has not run before",
        "reused, because inputs, settings and code are those of an earlier run",
        "running, because epochs changed from 3 to 4",
        "reused, because inputs, settings and code are those of an earlier run",
    ]


def test_however_many_windows_came_in_between_what_nothing_changed_of_is_reused(
    step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    step.run(epochs=3)
    caplog.set_level(logging.INFO, logger="graft.steps")
    caplog.clear()
    for number in range(REMEMBERED_RUNS + 1):
        step.run("watch-drift", window=number)
    step.run(epochs=3)
    assert step.runs == 2 + REMEMBERED_RUNS
    said = [record.getMessage().removeprefix("tokenize: ") for record in caplog.records]
    # Of a window, what changed is said against other windows, not against what was trained on.
    assert said[:2] == ["running, because it has not run before", "running, because window changed from 0 to 1"]
    assert said[-1] == "reused, because inputs, settings and code are those of an earlier run"


def test_what_another_flow_made_is_reused(step: Step) -> None:
    assert step.run("backtest", window=1) == step.run("watch-drift", window=1)
    assert step.runs == 1


def test_a_result_that_is_gone_from_the_store_is_made_anew(step: Step, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="graft.steps")
    for runs in (1, 2, 3):
        digest = step.run(epochs=3)
        assert step.runs == runs
        assert open_store().holds(digest)
        (open_store().directory(digest) / "facts.txt").unlink()
        open_store().directory(digest).rmdir()
    assert f"running, because its result {digest[:12]} is gone from the store" in caplog.records[-1].getMessage()


def test_a_result_of_another_store_is_not_taken_for_one_of_this(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step.run(epochs=3)
    monkeypatch.setenv("GRAFT_STORE", str(tmp_path / "another"))
    digest = step.run(epochs=3)
    assert step.runs == 2
    assert open_store().holds(digest)
    step.run(epochs=3)
    assert step.runs == 2
    monkeypatch.delenv("GRAFT_STORE")
    step.run(epochs=3)
    assert step.runs == 2
