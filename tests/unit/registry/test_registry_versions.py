import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from data_contracts.artifacts import Judgement, ModelVersion, Reference, TrainedModel, Verdict
from data_contracts.errors import InputError
from tasks.modeling.history import EpochRecord
from tasks.registry import versions
from tasks.registry.versions import Registry, RunRecord

Register = Callable[..., ModelVersion]
RECORD = RunRecord(parameters={"epochs": 3}, metrics={"intent/test": 0.75}, files=())


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tracking database for all tests of the file, since a new one takes seconds; each test has its own pipeline."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def registry(address: str, request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return Registry(address, str(request.node.name).replace("_", "-"), tmp_path / "artifacts")


@pytest.fixture
def register(trained_model: Callable[[str], TrainedModel]) -> Register:
    """Registers the model whose digest is that letter, with a verdict."""

    def do(registry: Registry, letter: str, verdict: Verdict, record: RunRecord = RECORD) -> ModelVersion:
        judged = Judgement(digest="1" * 64, verdict=verdict, reasons=("so",), candidate=letter * 64, champion=None)
        reference = Reference(digest="8" * 64, model=letter * 64, rows=20)
        return registry.register(trained_model(letter * 64), reference, judged, record)

    return do


def aliases(registry: Registry) -> dict[int, tuple[str, ...]]:
    return {version.version: version.aliases for version in registry.versions()}


def test_a_pipeline_without_versions_has_no_champion(registry: Registry) -> None:
    assert registry.versions() == []
    assert registry.champion() is None
    assert registry.version_of("a" * 64) is None


def test_the_first_promotion_makes_a_champion(registry: Registry, register: Register) -> None:
    made = register(registry, "a", "PROMOTE")
    assert (made.version, made.aliases) == (1, ("champion",))
    assert made.model.digest == "a" * 64
    assert registry.champion() == made


def test_the_second_promotion_makes_the_first_champion_previous(registry: Registry, register: Register) -> None:
    register(registry, "a", "PROMOTE")
    register(registry, "b", "PROMOTE")
    assert aliases(registry) == {2: ("champion",), 1: ("previous",)}
    register(registry, "c", "PROMOTE")
    assert aliases(registry) == {3: ("champion",), 2: ("previous",), 1: ()}


@pytest.mark.parametrize(
    ("verdict", "alias"), [("HOLD", ("challenger",)), ("INCONCLUSIVE", ("challenger",)), ("REJECT", ())]
)
def test_without_a_promotion_a_version_is_challenger_at_most_and_not_once_rejected(
    registry: Registry, register: Register, verdict: Verdict, alias: tuple[str, ...]
) -> None:
    register(registry, "a", verdict)
    assert registry.champion() is None
    register(registry, "b", "PROMOTE")
    register(registry, "c", verdict)
    assert aliases(registry) == {3: alias, 2: ("champion",), 1: ()}


def test_a_rollback_swaps_champion_and_previous_and_a_second_one_swaps_them_back(
    registry: Registry, register: Register
) -> None:
    for letter in "ab":
        register(registry, letter, "PROMOTE")
    now, before = registry.rollback()
    assert (now.version, before.version) == (1, 2)
    assert aliases(registry) == {2: ("previous",), 1: ("champion",)}
    registry.rollback()
    assert aliases(registry) == {2: ("champion",), 1: ("previous",)}


def test_there_is_nothing_to_roll_back_to_before_the_second_promotion(registry: Registry, register: Register) -> None:
    with pytest.raises(InputError, match="no champion to roll back to"):
        registry.rollback()
    register(registry, "a", "PROMOTE")
    register(registry, "b", "HOLD")
    with pytest.raises(InputError, match="no previous champion to roll back to"):
        registry.rollback()
    assert aliases(registry) == {2: ("challenger",), 1: ("champion",)}


def test_a_model_is_found_by_its_digest_by_whoever_opens_the_registry(
    registry: Registry, register: Register, address: str, tmp_path: Path
) -> None:
    register(registry, "a", "PROMOTE")
    made = register(registry, "b", "HOLD")
    opened = Registry(address, registry.pipeline, tmp_path)
    assert opened.version_of("b" * 64) == made
    assert opened.version_of("c" * 64) is None
    assert [version.version for version in opened.versions()] == [2, 1]
    assert made.judgement.verdict == "HOLD"
    assert made.reference.rows == 20


def test_pipelines_at_one_server_have_versions_of_their_own(
    registry: Registry, register: Register, address: str, tmp_path: Path
) -> None:
    register(registry, "a", "PROMOTE")
    other = Registry(address, f"{registry.pipeline}-2", tmp_path)
    assert other.versions() == []
    assert register(other, "b", "PROMOTE").version == 1
    assert aliases(registry) == {1: ("champion",)}


def test_the_run_of_a_version_keeps_parameters_metrics_and_the_report(
    registry: Registry, register: Register, address: str, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text("<p>good</p>", encoding="utf-8")
    made = register(registry, "a", "PROMOTE", RunRecord({"epochs": 3}, {"intent/test": 0.75}, (page,)))
    run = MlflowClient(tracking_uri=address).get_run(made.run_id)
    assert run.data.params == {"epochs": "3"}
    assert run.data.metrics == {"intent/test": 0.75}
    assert run.info.status == "FINISHED"
    (kept,) = (tmp_path / "artifacts").rglob("report.html")
    assert kept.read_text(encoding="utf-8") == "<p>good</p>"


def test_the_run_of_a_version_has_the_curves_of_its_training_by_epoch(
    registry: Registry, register: Register, address: str
) -> None:
    epochs = [
        EpochRecord(step=5 * (n + 1), values={"mean_loss/intent": 2.0 - n, "validation/intent": 0.5 + n / 4})
        for n in range(2)
    ]
    made = register(registry, "a", "PROMOTE", RunRecord({}, {"intent/test": 0.75}, (), epochs))
    client = MlflowClient(tracking_uri=address)
    for name, values in (("mean_loss/intent", [2.0, 1.0]), ("validation/intent", [0.5, 0.75])):
        shown = client.get_metric_history(made.run_id, name)
        assert [(point.step, point.value) for point in shown] == list(zip((1, 2), values, strict=True))
    assert client.get_run(made.run_id).data.metrics == {
        "intent/test": 0.75,
        "mean_loss/intent": 1.0,
        "validation/intent": 0.75,
    }


def test_a_training_of_more_epochs_than_a_request_takes_is_shown_whole(
    registry: Registry, register: Register, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "METRICS_AT_ONCE", 3)
    epochs = [EpochRecord(n, {"validation/skill": n / 8, "mean_loss/intent": float(n)}) for n in range(4)]
    made = register(registry, "a", "PROMOTE", RunRecord({}, {}, (), epochs))
    shown = MlflowClient(tracking_uri=address).get_metric_history(made.run_id, "validation/skill")
    assert [point.value for point in shown] == [0.0, 0.125, 0.25, 0.375]


def test_a_tracking_server_that_is_not_there_is_an_error_that_names_the_variable_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:
        # Bound and not listening, so that nobody answers there.
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match="MLFLOW_TRACKING_URI") as caught:
            Registry(address, "shop", tmp_path)
    assert address in str(caught.value)
