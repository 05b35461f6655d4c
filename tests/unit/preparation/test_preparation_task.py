"""The step that publishes prepared rows, called without Prefect."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.artifacts import ValidatedSnapshot
from data_contracts.cleaning import Cleaning
from data_contracts.errors import InputError
from tasks.preparation import task
from tasks.preparation.settings import Preparation
from tasks.preparation.task import prepare, prepared
from tasks.storage.home import open_store

CASING = Preparation.model_validate({"augment": [{"kind": "casing", "share": 1.0}]})


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ValidatedSnapshot:
    """Two published training rows and one to validate on."""
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    store = open_store()
    with store.draft() as draft:
        pq.write_table(pa.table({"text": ["Hello you", "Thanks"], "_id": ["a", "b"]}), draft / "train.parquet")
        pq.write_table(pa.table({"text": ["x"], "_id": ["c"]}), draft / "validation.parquet")
        digest = store.publish(draft)
    return ValidatedSnapshot(
        digest=digest,
        parents=("5" * 64,),
        contract="support",
        contract_digest="0" * 64,
        rows={"train": 2, "validation": 1},
        quarantined={"train": 1},
        cleaning=Cleaning(whitespace=True),
    )


def test_a_prepared_snapshot_is_published_under_the_one_it_was_made_from(snapshot: ValidatedSnapshot) -> None:
    found = prepare.fn(snapshot, CASING, "text", (), None, (), {})
    assert found.parents == (snapshot.digest,)
    assert found.rows == {"train": 4, "validation": 1}
    assert (
        found.model_copy(update={"digest": snapshot.digest, "parents": ("5" * 64,), "rows": snapshot.rows}) == snapshot
    )
    ids = pq.read_table(open_store().directory(found.digest) / "train.parquet").column("_id").to_pylist()
    assert ids == ["a", "b", "a~casing1", "b~casing1"]
    assert prepare.fn(snapshot, CASING, "text", (), None, (), {}).digest == found.digest


def test_settings_that_change_nothing_hand_the_snapshot_on_without_a_step(
    snapshot: ValidatedSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "prepare", None)
    assert prepared(snapshot, Preparation(), "text", ()) is snapshot


def test_the_step_is_told_apart_by_the_weights_of_its_translators(
    snapshot: ValidatedSnapshot, translators: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [shutil.copytree(folder, tmp_path / folder.name) for folder in translators]
    there, back = ({"name": str(folder)} for folder in folders)
    settings = Preparation.model_validate(
        {"augment": [{"kind": "back_translation", "forward": there, "backward": back}]}
    )
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(task, "prepare", lambda *inputs: seen.append(inputs[-1]) or snapshot)
    prepared(snapshot, settings, "text", ())
    shutil.copyfile(folders[0] / "model.safetensors", folders[1] / "model.safetensors")
    prepared(snapshot, settings, "text", ())
    assert [set(digests) for digests in seen] == [{str(folder) for folder in folders}] * 2
    before, after = seen
    assert (before[str(folders[0])], before[str(folders[1])]) != (after[str(folders[0])], after[str(folders[1])])
    assert before[str(folders[0])] == after[str(folders[0])]


def test_a_translator_that_is_not_there_ends_before_the_step(snapshot: ValidatedSnapshot) -> None:
    gone = {"name": "/nowhere"}
    settings = Preparation.model_validate(
        {"augment": [{"kind": "back_translation", "forward": gone, "backward": gone}]}
    )
    with pytest.raises(InputError, match=r"back_translation: .*/nowhere is not a folder"):
        prepared(snapshot, settings, "text", ())


def test_answers_in_the_second_text_keep_no_row_from_being_varied(
    snapshot: ValidatedSnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(task, "prepare", lambda *inputs: seen.append(inputs[4:6]) or snapshot)
    prepared(snapshot, CASING, "text", (), None, ("answer",))
    prepared(snapshot, CASING, "text", (), "context", ("answer",))
    assert seen == [(None, ("answer",)), ("context", ())]
