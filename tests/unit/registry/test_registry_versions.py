import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from data_contracts.artifacts import Encoder, Judgement, ModelVersion, Reference, TrainedModel, Verdict
from data_contracts.errors import InputError
from tasks.registry.versions import Registry, RunRecord

RECORD = RunRecord(parameters={"epochs": 3}, metrics={"intent/test": 0.75}, files=())


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tracking database for all tests of the file, since a new one takes seconds; each test has its own pipeline."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def registry(address: str, request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    return Registry(address, str(request.node.name).replace("_", "-"), tmp_path / "artifacts")


def model(letter: str) -> TrainedModel:
    return TrainedModel(
        digest=letter * 64,
        parents=("5" * 64, "7" * 64),
        encoder=Encoder(digest="e" * 64, name="package:tiny"),
        max_tokens=32,
        tasks=("intent",),
        best_epoch=1,
        epochs=2,
        steps=10,
        validation_skill=0.5,
        curves="curves",
    )


def register(registry: Registry, letter: str, verdict: Verdict, record: RunRecord = RECORD) -> ModelVersion:
    judged = Judgement(digest="1" * 64, verdict=verdict, reasons=("so",), candidate=letter * 64, champion=None)
    return registry.register(model(letter), Reference(digest="8" * 64, model=letter * 64, rows=20), judged, record)


def aliases(registry: Registry) -> dict[int, tuple[str, ...]]:
    return {version.version: version.aliases for version in registry.versions()}


def test_a_pipeline_without_versions_has_no_champion(registry: Registry) -> None:
    assert registry.versions() == []
    assert registry.champion() is None
    assert registry.version_of("a" * 64) is None


def test_the_first_promotion_makes_a_champion(registry: Registry) -> None:
    made = register(registry, "a", "PROMOTE")
    assert (made.version, made.aliases) == (1, ("champion",))
    assert made.model == model("a")
    assert registry.champion() == made


def test_the_second_promotion_makes_the_first_champion_previous(registry: Registry) -> None:
    register(registry, "a", "PROMOTE")
    register(registry, "b", "PROMOTE")
    assert aliases(registry) == {2: ("champion",), 1: ("previous",)}
    register(registry, "c", "PROMOTE")
    assert aliases(registry) == {3: ("champion",), 2: ("previous",), 1: ()}


@pytest.mark.parametrize("verdict", ["HOLD", "REJECT", "INCONCLUSIVE"])
def test_without_a_promotion_a_version_is_challenger_and_no_more(registry: Registry, verdict: Verdict) -> None:
    register(registry, "a", verdict)
    assert registry.champion() is None
    register(registry, "b", "PROMOTE")
    register(registry, "c", verdict)
    assert aliases(registry) == {3: ("challenger",), 2: ("champion",), 1: ()}


def test_a_rollback_swaps_champion_and_previous_and_a_second_one_swaps_them_back(registry: Registry) -> None:
    for letter in "ab":
        register(registry, letter, "PROMOTE")
    now, before = registry.rollback()
    assert (now.version, before.version) == (1, 2)
    assert aliases(registry) == {2: ("previous",), 1: ("champion",)}
    registry.rollback()
    assert aliases(registry) == {2: ("champion",), 1: ("previous",)}


def test_there_is_nothing_to_roll_back_to_before_the_second_promotion(registry: Registry) -> None:
    with pytest.raises(InputError, match="no champion to roll back to"):
        registry.rollback()
    register(registry, "a", "PROMOTE")
    register(registry, "b", "HOLD")
    with pytest.raises(InputError, match="no previous champion to roll back to"):
        registry.rollback()
    assert aliases(registry) == {2: ("challenger",), 1: ("champion",)}


def test_a_model_is_found_by_its_digest_by_whoever_opens_the_registry(
    registry: Registry, address: str, tmp_path: Path
) -> None:
    register(registry, "a", "PROMOTE")
    made = register(registry, "b", "HOLD")
    opened = Registry(address, registry.pipeline, tmp_path)
    assert opened.version_of("b" * 64) == made
    assert opened.version_of("c" * 64) is None
    assert [version.version for version in opened.versions()] == [2, 1]
    assert made.judgement.verdict == "HOLD"
    assert made.reference.rows == 20


def test_pipelines_at_one_server_have_versions_of_their_own(registry: Registry, address: str, tmp_path: Path) -> None:
    register(registry, "a", "PROMOTE")
    other = Registry(address, f"{registry.pipeline}-2", tmp_path)
    assert other.versions() == []
    assert register(other, "b", "PROMOTE").version == 1
    assert aliases(registry) == {1: ("champion",)}


def test_the_run_of_a_version_keeps_parameters_metrics_and_the_report(
    registry: Registry, address: str, tmp_path: Path
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
