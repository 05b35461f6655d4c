import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient

from data_contracts.artifacts import Verdict
from data_contracts.errors import InputError
from tasks.modeling.history import EpochRecord
from tasks.registry import versions
from tasks.registry.promotions import PromotionLedger
from tasks.registry.versions import Registry, RunRecord
from tasks.storage.store import Store
from tests.unit.registry.conftest import Desk


def test_a_pipeline_without_versions_has_no_champion(desk: Desk) -> None:
    assert desk.registry.versions() == []
    assert desk.registry.champion() is None
    assert desk.registry.version_of("a" * 64) is None
    assert desk.registry.follow_ledger() is None


def test_a_version_that_does_not_exist_is_said_beside_those_that_do(desk: Desk) -> None:
    with pytest.raises(InputError, match="has no version 1; its versions are none"):
        desk.registry.version(1)
    for letter in "ab":
        desk.register(letter, "HOLD")
    with pytest.raises(InputError, match="has no version 7; its versions are 1, 2"):
        desk.registry.version(7)


@pytest.mark.parametrize(
    ("verdict", "alias"),
    [
        ("PROMOTE", ("challenger",)),
        ("HOLD", ("challenger",)),
        ("INCONCLUSIVE", ("challenger",)),
        ("REJECT", ()),
    ],
)
def test_a_version_is_registered_as_challenger_and_not_so_once_rejected(
    desk: Desk, verdict: Verdict, alias: tuple[str, ...]
) -> None:
    made = desk.register("a", verdict)
    assert (made.version, made.aliases) == (1, alias)
    assert made.model.digest == "a" * 64
    assert desk.registry.champion() is None


def test_another_judgement_takes_the_place_of_the_one_before_and_moves_the_challenger(
    desk: Desk, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text("<p>first</p>", encoding="utf-8")
    desk.register("a", "HOLD", 1, record=RunRecord({}, {}, (page,), rows="3" * 64))
    page.write_text("<p>second</p>", encoding="utf-8")
    again = desk.register("a", "REJECT", 2, against="b", record=RunRecord({}, {}, (page,), rows="4" * 64))
    assert again == desk.registry.version(1)
    assert again.judgement == desk.judgement("a", "REJECT", 2, against="b")
    assert (again.version, again.rows, again.aliases) == (1, "4" * 64, ())
    assert len(desk.registry.versions()) == 1
    (kept,) = (tmp_path / "artifacts").rglob("report.html")
    assert kept.read_text(encoding="utf-8") == "<p>second</p>"


def test_a_version_of_before_rows_were_kept_was_judged_on_those_it_was_made_from(desk: Desk) -> None:
    made = desk.register("a", "HOLD", record=RunRecord({}, {}, (), rows="4" * 64))
    assert made.rows == "4" * 64
    desk.registry._client.delete_model_version_tag(desk.registry.pipeline, "1", versions.ROWS)
    assert desk.registry.version(1).rows == "5" * 64


def test_of_two_versions_with_one_model_the_first_is_the_models(desk: Desk) -> None:
    first = desk.register("a", "HOLD")
    desk.registry.register(first.model, first.reference, first.judgement, RunRecord({}, {}, ()))
    assert [version.version for version in desk.registry.versions()] == [2, 1]
    found = desk.registry.version_of("a" * 64)
    assert found is not None
    assert found.version == 1


def test_a_model_is_found_by_its_digest_by_whoever_opens_the_registry(
    desk: Desk, address: str, store: Store, tmp_path: Path
) -> None:
    desk.register("a", "PROMOTE")
    made = desk.register("b", "HOLD")
    opened = Registry(address, desk.registry.pipeline, tmp_path, PromotionLedger(store, desk.registry.pipeline))
    assert opened.version_of("b" * 64) == made
    assert opened.version_of("c" * 64) is None
    assert [version.version for version in opened.versions()] == [2, 1]
    assert made.judgement.verdict == "HOLD"
    assert made.reference.rows == 20


def test_pipelines_at_one_server_have_versions_of_their_own(
    desk: Desk, address: str, store: Store, tmp_path: Path
) -> None:
    desk.release("a")
    name = f"{desk.registry.pipeline}-2"
    other = Desk(Registry(address, name, tmp_path, PromotionLedger(store, name)), store, desk.model)
    assert other.registry.versions() == []
    assert other.release("b").version.version == 1
    assert desk.aliases() == {1: ("champion",)}


def test_the_run_of_a_version_keeps_parameters_metrics_and_the_report(desk: Desk, address: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<p>good</p>", encoding="utf-8")
    made = desk.register("a", "PROMOTE", record=RunRecord({"epochs": 3}, {"intent/test": 0.75}, (page,)))
    run = MlflowClient(tracking_uri=address).get_run(made.run_id)
    assert run.data.params == {"epochs": "3"}
    assert run.data.metrics == {"intent/test": 0.75}
    assert run.info.status == "FINISHED"
    (kept,) = (tmp_path / "artifacts").rglob("report.html")
    assert kept.read_text(encoding="utf-8") == "<p>good</p>"


def test_the_run_of_a_version_has_the_curves_of_its_training_by_epoch(desk: Desk, address: str) -> None:
    epochs = [
        EpochRecord(step=5 * (n + 1), values={"mean_loss/intent": 2.0 - n, "validation/intent": 0.5 + n / 4})
        for n in range(2)
    ]
    made = desk.register("a", "PROMOTE", record=RunRecord({}, {"intent/test": 0.75}, (), epochs))
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
    desk: Desk, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "METRICS_AT_ONCE", 3)
    epochs = [EpochRecord(n, {"validation/skill": n / 8, "mean_loss/intent": float(n)}) for n in range(4)]
    made = desk.register("a", "PROMOTE", record=RunRecord({}, {}, (), epochs))
    shown = MlflowClient(tracking_uri=address).get_metric_history(made.run_id, "validation/skill")
    assert [point.value for point in shown] == [0.0, 0.125, 0.25, 0.375]


def test_a_tracking_server_that_is_not_there_is_an_error_that_names_the_variable_to_check(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as taken:
        # Bound and not listening, so that nobody answers there.
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError, match="MLFLOW_TRACKING_URI") as caught:
            Registry(address, "shop", tmp_path, PromotionLedger(store, "shop"))
    assert address in str(caught.value)
