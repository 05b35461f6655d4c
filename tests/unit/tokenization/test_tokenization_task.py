"""The step that publishes token ids, called without Prefect."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.artifacts import ValidatedSnapshot
from data_contracts.cleaning import Cleaning
from tasks.modeling.encoder import EncoderSettings
from tasks.modeling.task import locate_encoder
from tasks.storage.home import open_store
from tasks.tokenization.settings import Tokenization
from tasks.tokenization.task import tokenize


def test_tokens_are_published_under_snapshot_and_encoder(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    store = open_store()
    with store.draft() as draft:
        pq.write_table(pa.table({"text": ["hello world", "thanks"]}), draft / "train.parquet")
        digest = store.publish(draft)
    snapshot = ValidatedSnapshot(
        digest=digest,
        contract="support",
        contract_digest="0" * 64,
        rows={"train": 2},
        quarantined={},
        cleaning=Cleaning(unicode="NFC"),
    )

    encoder = locate_encoder.fn(EncoderSettings(name=str(tiny_encoder)))
    found = tokenize.fn(snapshot, encoder, Tokenization(max_tokens=16), ())

    assert found.parents == (snapshot.digest, encoder.digest)
    assert (found.rows, found.windows) == ({"train": 2}, {"train": 2})
    assert (found.tokens, found.truncated) == ({"train": 7}, {"train": 0})
    assert found.cleaning == Cleaning(unicode="NFC")
    published = pq.read_table(store.directory(found.digest) / "train.parquet").to_pydict()
    assert [len(ids) for ids in published["input_ids"]] == [4, 3]
    assert tokenize.fn(snapshot, encoder, Tokenization(max_tokens=16), ()).digest == found.digest
    # No text is longer than either limit, but a model that is trained on these tokens will meet some.
    assert tokenize.fn(snapshot, encoder, Tokenization(max_tokens=17), ()).digest != found.digest
