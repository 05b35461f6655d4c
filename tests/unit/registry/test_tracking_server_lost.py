"""A tracking server or a store that goes away in the middle: a clear message, the champion untouched, on later."""

import logging
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data_contracts.artifacts import Promotion, TrainedModel
from data_contracts.errors import InputError
from flows.server import free_port
from tasks.registry.promotions import PromotionLedger
from tasks.registry.versions import Registry
from tasks.storage.store import Store
from tests.unit.registry.conftest import Desk
from tests.unit.registry.release_process import open_registry, opponent_in, release

START_SECONDS = 120


class Server:
    """A tracking server of its own process on a database that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        command += ["--artifacts-destination", (self.folder / "artifacts").as_uri()]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "server.log").read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "the tracking server does not come up"
            time.sleep(0.2)

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    started = Server(tmp_path)
    started.start()
    yield started
    started.kill()


def test_a_server_that_dies_before_or_after_the_entry_leaves_one_champion_and_the_next_run_goes_on(
    server: Server,
    tmp_path: Path,
    trained_model: Callable[[str], TrainedModel],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = open_registry(tmp_path, server.url)
    assert not release(registry, trained_model("a" * 64), opponent_in(registry))

    # It dies after the candidate was judged and before its version is registered.
    opponent = opponent_in(registry)
    server.kill()
    with pytest.raises(InputError, match=f"tracking server cannot be used .*{server.port}.* Check MLFLOW_TRACKING_URI"):
        release(registry, trained_model("b" * 64), opponent)
    assert [entry.version for entry in registry.ledger.entries()] == [1]
    with pytest.raises(InputError, match="tracking server cannot be used"):
        open_registry(tmp_path, server.url)

    # The next run goes on, and this time the server dies right after the entry was written.
    server.start()
    registry = open_registry(tmp_path, server.url)
    add = registry.ledger.add

    def add_and_kill(entry: Promotion) -> bool:
        added = add(entry)
        server.kill()
        return added

    monkeypatch.setattr(registry.ledger, "add", add_and_kill)
    with caplog.at_level(logging.WARNING):
        assert not release(registry, trained_model("b" * 64), opponent_in(registry))
    assert "the promotion holds, but MLflow's aliases still show the champion before" in caplog.text
    assert [entry.version for entry in registry.ledger.entries()] == [1, 2]

    server.start()
    registry = open_registry(tmp_path, server.url)
    champion = registry.champion()
    assert champion is not None
    assert (champion.version, champion.model.digest) == (2, "b" * 64)
    kept = registry._client.get_registered_model("shop").aliases
    assert {name: int(number) for name, number in kept.items()} == {"champion": 2, "previous": 1}


def test_a_store_that_is_gone_promotes_nobody(desk: Desk, address: str, s3_bucket: str, tmp_path: Path) -> None:
    import boto3

    client = boto3.client("s3")
    bucket = Store(f"s3://{s3_bucket}/graft", cache=tmp_path / "cache")
    name = f"{desk.registry.pipeline}-s3"
    remote = Desk(Registry(address, name, tmp_path / "artifacts", PromotionLedger(bucket, name)), bucket, desk.model)
    remote.release("a")
    assert remote.champions() == [1]
    keys = [{"Key": entry["Key"]} for entry in client.list_objects_v2(Bucket=s3_bucket)["Contents"]]
    client.delete_objects(Bucket=s3_bucket, Delete={"Objects": keys})
    client.delete_bucket(Bucket=s3_bucket)
    with pytest.raises(InputError, match=f"the store s3://{s3_bucket}/graft cannot be used"):
        remote.release("b")
    assert remote.aliases_of_mlflow() == {"champion": 1, "challenger": 2}
