"""What may import what, and what lies at the top: the rules of the design, read from the source.

Imports point down only: flows, then a stage's edge (tasks/<stage>/task.py, and task_*.py beside it where there is much
of it), then the other files of a stage, then data_contracts.
"""

import ast
import fnmatch
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("flows", "tasks", "data_contracts")
STAGES = {
    "ingestion",
    "validation",
    "preparation",
    "tokenization",
    "modeling",
    "training",
    "evaluation",
    "reporting",
    "drift",
    "registry",
    "shadow",
    "storage",
}
# What other stages use, and no flow runs.
WITHOUT_AN_EDGE = {"reporting", "storage"}
USERS_OF_REPORTING = {"evaluation", "drift", "validation"}
USERS_OF_THE_MODEL = {
    "validation",
    "preparation",
    "tokenization",
    "training",
    "evaluation",
    "drift",
    "registry",
    "shadow",
}
# What every edge may know of the model: what it is built from, not how it computes.
MODEL_IN_WORDS = {"tasks.modeling.settings", "tasks.modeling.heads", "tasks.modeling.encoder"}
# No flows: the command line, which starts the services of a home and shows what lies in its store, and what it notes.
COMMAND_LINE = {
    f"flows/{name}.py"
    for name in (
        *("__main__", "contract_commands", "drift_commands", "known_pipelines", "labelling_commands"),
        *("passport_commands", "preconditions", "processes", "quarantine_commands", "server", "services"),
        *("shadow_commands", "terminal", "version_commands"),
    )
}
# What it needs of the stages where no run is started, which importing their edges, and with them Prefect, would delay.
WITHOUT_A_RUN = [
    "tasks.storage.home",
    *(f"tasks.ingestion.{name}" for name in ("drafting", "endings", "plan")),
    "tasks.registry.promotions",
]
TOP_LEVEL = {
    *("flows", "tasks", "data_contracts", "tests", "prefect.yaml", "pyproject.toml", "README.md"),
    *("Makefile", "constraints.txt", "benchmarks", "docs"),
}


def source_files(*packages: str) -> list[str]:
    """Paths of the Python files, relative to the root."""
    found = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def imports_of(path: str, source: str) -> list[str]:
    """Everything that a file imports, wherever in it, as `module.name`; relative imports are made absolute."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = path.split("/")[: -node.level] if node.level else []
            module = ".".join([*package, *([node.module] if node.module else [])])
            names += [f"{module}.{alias.name}" for alias in node.names]
    return names


def is_below(name: str, modules: Iterable[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def is_edge(path: str) -> bool:
    return fnmatch.fnmatch(path, "tasks/*/task.py") or fnmatch.fnmatch(path, "tasks/*/task_*.py")


def knows_prefect(path: str) -> bool:
    return path.startswith("flows/") or is_edge(path) or path == "tasks/storage/caching.py"


def is_allowed(path: str, name: str) -> bool:
    """Whether the file at `path` may import `name`."""
    if is_below(name, ["prefect"]):
        return knows_prefect(path)
    if not is_below(name, PACKAGES):
        return True
    if path.startswith("flows/"):
        return flow_may(path, name)
    if path.startswith("tasks/"):
        return stage_may(path, name)
    return is_below(name, ["data_contracts"])


def flow_may(path: str, name: str) -> bool:
    if is_below(name, ["flows", "data_contracts"]) or names_an_edge(name):
        return True
    if path == "flows/pipeline.py" and is_setting(name):
        return True
    return path in COMMAND_LINE and is_below(name, WITHOUT_A_RUN)


def names_an_edge(name: str) -> bool:
    module = "/".join(name.split(".")[:3])
    return is_edge(f"{module}.py") and (ROOT / f"{module}.py").is_file()


def is_setting(name: str) -> bool:
    """Whether a stage defines it as a pydantic model, a constant or a type, and not as a function."""
    module, _, attribute = name.rpartition(".")
    file = ROOT / (module.replace(".", "/") + ".py")
    body = ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []
    origins = {alias.name: node.module for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    for node in body:
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
            return "BaseModel" in bases or any(is_setting(f"{origins.get(base, module)}.{base}") for base in bases)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == attribute for t in node.targets):
            return True
    return False


def stage_may(path: str, name: str) -> bool:
    stage = path.split("/")[1]
    below = ["data_contracts", f"tasks.{stage}"]
    below += ["tasks.modeling"] if stage in USERS_OF_THE_MODEL else []
    below += ["tasks.reporting"] if stage in USERS_OF_REPORTING else []
    below += ["tasks.storage", *MODEL_IN_WORDS] if is_edge(path) else []
    return is_below(name, below)


def test_every_package_and_stage_has_source_files() -> None:
    files = source_files(*PACKAGES)
    assert len(files) >= 75
    assert {path.split("/")[0] for path in files} == set(PACKAGES)
    assert {path.split("/")[1] for path in files if path.count("/") >= 2 and path.startswith("tasks/")} == STAGES
    assert [path for path in files if path.endswith("/task.py")] == [
        f"tasks/{stage}/task.py" for stage in sorted(STAGES - WITHOUT_AN_EDGE)
    ]
    assert sum(len(imports_of(path, (ROOT / path).read_text(encoding="utf-8"))) for path in files) > 300


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_down_only(package: str) -> None:
    assert [
        f"{path} imports {name}"
        for path in source_files(package)
        for name in imports_of(path, (ROOT / path).read_text(encoding="utf-8"))
        if not is_allowed(path, name)
    ] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("data_contracts/dataset.py", "from tasks.storage.store import Store"),
        ("data_contracts/dataset.py", "import flows"),
        ("tasks/ingestion/reading.py", "from flows.pipeline import load_pipeline"),
        ("tasks/ingestion/reading.py", "from prefect import task"),
        ("tasks/ingestion/reading.py", "def f():\n    import prefect.runtime"),
        ("tasks/ingestion/reading.py", "from tasks.storage.home import open_store"),
        ("tasks/ingestion/reading.py", "from ..storage.home import open_store"),
        ("tasks/ingestion/reading.py", "from tasks.modeling.heads import AnyHead"),
        ("tasks/ingestion/task.py", "from tasks.modeling.network import load_network"),
        ("tasks/training/loop.py", "from tasks.evaluation import scoring"),
        ("tasks/modeling/network.py", "from tasks.training.recipe import Recipe"),
        ("tasks/drift/task.py", "import tasks.registry.task"),
        ("tasks/drift/report.py", "from tasks.evaluation.pictures import reliability"),
        ("tasks/registry/card.py", "from tasks.reporting.page import Page"),
        ("tasks/reporting/page.py", "from tasks.modeling.heads import AnyHead"),
        ("flows/assess.py", "from tasks.modeling.network import load_network"),
        ("flows/assess.py", "from tasks.storage.home import open_store"),
        ("tasks/drift/history.py", "from prefect import task"),
        ("flows/pipeline.py", "from tasks.training.loop import fine_tune"),
        ("flows/pipeline.py", "from tasks.evaluation.gate import judge"),
        ("flows/pipeline.py", "from tasks.storage.store import Store"),
        ("flows/fine_tune.py", "from tasks.training.recipe import Recipe"),
    ],
)
def test_an_import_that_points_elsewhere_is_seen(path: str, source: str) -> None:
    assert [name for name in imports_of(path, source) if not is_allowed(path, name)] != []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("data_contracts/dataset.py", "from data_contracts.errors import InputError"),
        ("tasks/training/loop.py", "from tasks.modeling.network import save_network"),
        ("tasks/evaluation/metrics/accuracy/accuracy.py", "from tasks.modeling import scores"),
        ("tasks/drift/report.py", "from tasks.reporting.page import Page"),
        ("tasks/validation/task.py", "from tasks.storage.caching import cached_task"),
        ("tasks/ingestion/task.py", "from tasks.modeling.heads import AnyHead"),
        ("tasks/storage/caching.py", "from prefect import task"),
        ("flows/assess.py", "from tasks.modeling.task import predict_rows\nfrom prefect import flow"),
        ("flows/retrain.py", "from tasks.drift.task_retraining import finish"),
        ("tasks/drift/task_reports.py", "from tasks.storage.home import open_store\nfrom prefect import task"),
        ("flows/pipeline.py", "from tasks.training.recipe import Recipe"),
    ],
)
def test_an_import_that_points_down_is_let_pass(path: str, source: str) -> None:
    assert [name for name in imports_of(path, source) if not is_allowed(path, name)] == []


def test_the_top_level_holds_what_the_design_names_and_nothing_else() -> None:
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    found = {
        path.name
        for path in ROOT.iterdir()
        if not path.name.startswith(".") and not any(fnmatch.fnmatch(path.name, pattern) for pattern in ignored)
    }
    assert found >= TOP_LEVEL - {"benchmarks", "docs"}
    assert found - TOP_LEVEL == set()
    assert (ROOT / ".ci").is_dir()


def test_a_flow_opens_no_data() -> None:
    # Reading rows, tensors or objects is what the tasks are for.
    libraries = [
        "torch",
        "transformers",
        "pyarrow",
        "pandas",
        "numpy",
        "fsspec",
        "s3fs",
        "mlflow",
        "great_expectations",
    ]
    flows = [path for path in source_files("flows") if path not in COMMAND_LINE]
    assert len(flows) >= 9
    for path in flows:
        names = imports_of(path, (ROOT / path).read_text(encoding="utf-8"))
        assert [name for name in names if is_below(name, libraries)] == []
