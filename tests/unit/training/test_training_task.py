"""The step that publishes a trained model, called without Prefect; and the step that asks it."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.artifacts import Encoder, TokenizedDataset, ValidatedSnapshot
from data_contracts.cleaning import Cleaning
from tasks.modeling.encoder import encoder_digest
from tasks.modeling.heads import AnyHead, heads_of
from tasks.modeling.task import answer_columns_of, answer_file, predict_rows, tag_columns_of
from tasks.storage.home import open_home, open_store
from tasks.tokenization.task import Tokenization, tokenization_of
from tasks.training import task
from tasks.training.recipe import Recipe
from tasks.training.task import Lesson, train


def publish(folder: Path, prefix: str = "") -> str:
    """The folder's Parquet files in the store, with row ids where `prefix` is given; gives the digest."""
    store = open_store()
    with store.draft() as draft:
        for path in folder.glob("*.json"):
            shutil.copyfile(path, draft / path.name)
        for path in folder.glob("*.parquet"):
            table = pq.read_table(path)
            if prefix:
                table = table.append_column("_id", pa.array([f"{prefix}-{row}" for row in range(table.num_rows)]))
            pq.write_table(table, draft / path.name)
        return store.publish(draft)


@pytest.mark.parametrize("checkpoint_steps", [1, 1000])
def test_a_model_is_published_answers_and_leaves_no_checkpoint(
    toy_splits: Path,
    tiny_encoder: Path,
    toy_heads: dict[str, AnyHead],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint_steps: int,
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    rows = {"train": 40, "validation": 12}
    snapshot = ValidatedSnapshot(
        digest=publish(toy_splits / "snapshot", prefix="row"),
        contract="toys",
        contract_digest="0" * 64,
        rows=rows,
        quarantined={},
    )
    encoder = Encoder(digest=encoder_digest(tiny_encoder), name=str(tiny_encoder))
    tokens = TokenizedDataset(
        digest=publish(toy_splits / "tokens"),
        encoder=encoder,
        max_tokens=24,
        rows=rows,
        windows=rows,
        tokens={},
        truncated={},
        cleaning=Cleaning(whitespace=True),
        pair_column="reply",
    )
    recipe = Recipe(epochs=1, rows_per_step=20, checkpoint_steps=checkpoint_steps, precision="fp32")

    model = train.fn(snapshot, tokens, Lesson(heads=toy_heads, recipe=recipe))

    assert model.cleaning == Cleaning(whitespace=True)
    assert model.parents == (snapshot.digest, tokens.digest)
    assert (model.tasks, model.epochs, model.steps) == (("intent", "places", "urgency"), 1, 2)
    assert heads_of(open_store().directory(model.digest))["urgency"].mean == pytest.approx(0.5)  # type: ignore[union-attr]
    assert list(open_home().curves.glob(f"{model.curves}/events.*"))
    assert list(open_home().scratch.glob("*")) == []

    # The pipeline of today may have other heads than a champion of yesterday.
    assert tag_columns_of(model) == ("places",)
    # A checkpoint, which is called as the curves are, is taken up whatever the devices hold, and not by other code,
    # nor where heads stand in another order, for the optimiser knows their weights by their place.
    elsewhere = recipe.model_copy(update={"tokens_per_batch": 64, "rows_per_batch": 4, "processes": 1})
    assert train.fn(snapshot, tokens, Lesson(heads=toy_heads, recipe=elsewhere)).curves == model.curves
    longer = recipe.model_copy(update={"epochs": 2})
    assert train.fn(snapshot, tokens, Lesson(heads=toy_heads, recipe=longer)).curves != model.curves
    turned = dict(reversed(toy_heads.items()))
    assert train.fn(snapshot, tokens, Lesson(heads=turned, recipe=recipe)).curves != model.curves
    monkeypatch.setattr(task, "code_components", lambda stage: {"code of": stage})
    assert train.fn(snapshot, tokens, Lesson(heads=toy_heads, recipe=recipe)).curves != model.curves

    predictions = predict_rows.fn(model, snapshot, tokens)
    assert predictions.rows == {"validation": 12, "train": 40}
    (tmp_path / "in.jsonl").write_text('{"text": "parcel  in Oslo", "reply": "in  Hue"}\n')
    assert answer_file.fn(model, str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl"), "text") == 1
    answered = json.loads((tmp_path / "out.jsonl").read_text())
    assert set(answered["predictions"]) == set(toy_heads)
    assert (answered["text"], answered["cleaned_text"]) == ("parcel  in Oslo", "parcel in Oslo")
    # What it has learnt to read it goes on reading, whatever the pipeline of today says.
    assert (answered["reply"], answered["cleaned_reply"]) == ("in  Hue", "in Hue")
    assert tokenization_of(model, "body") == Tokenization(text_column="body", pair_column="reply", max_tokens=24)
    assert answer_columns_of(model) == ()
