"""A saved model's answers for tokenized splits, on disk and back."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.modeling.answers import Answers, read_answers, read_embeddings, read_ids, read_labels, write_answers
from tasks.modeling.calibration import shares_of
from tasks.modeling.heads import AnyHead, MultiLabelHead, SingleLabelHead
from tasks.modeling.label_scores import read_label_scores
from tasks.modeling.predicting import predict_splits
from tasks.tokenization.encoding import encode_splits
from tasks.tokenization.settings import Tokenization


def test_answers_come_back_as_they_were_written(heads: dict[str, AnyHead], tmp_path: Path) -> None:
    found = Answers(
        answers={"intent": ["refund", "praise"], "places": [["O", "B-PLACE"], []], "urgency": [0.25, 1.0]},
        confidences={"intent": [0.5, 0.75], "places": [1.0, 1.0], "urgency": [1.0, 1.0]},
    )
    write_answers(tmp_path / "test.parquet", ["a", "b"], found)
    assert read_answers(tmp_path / "test.parquet", heads) == found
    assert read_ids(tmp_path, "test") == ["a", "b"]


@pytest.mark.parametrize("lists", [[["b", "a"], []], [[], []]])
def test_lists_of_labels_come_back_and_so_do_lists_that_are_all_empty(lists: list[list[str]], tmp_path: Path) -> None:
    head = MultiLabelHead(column="topics", labels=("a", "b"))
    found = Answers({"topics": list(lists)}, {"topics": [0.5, 0.25]})
    write_answers(tmp_path / "test.parquet", ["x", "y"], found)
    assert read_answers(tmp_path / "test.parquet", {"topics": head}) == found


def test_labels_are_read_by_task_from_the_column_of_its_head(heads: dict[str, AnyHead], tmp_path: Path) -> None:
    tags = [{"tokens": ["Oslo"], "tags": ["B-PLACE"]}, None]
    pq.write_table(pa.table({"intent": [None, "refund"], "tags": tags, "urgency": [0.1, 0.2]}), tmp_path / "v.parquet")
    assert read_labels(tmp_path, "v", heads) == {"intent": [None, "refund"], "places": tags, "urgency": [0.1, 0.2]}


def test_every_split_asked_for_is_answered_with_an_embedding_for_each_row(
    saved_network: Path, heads: dict[str, AnyHead], tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("snapshot", "tokens", "predictions")]
    snapshot, tokens, output = folders
    for folder in folders:
        folder.mkdir()
    texts = ["my parcel", "Oslo is far away" * 5, "thanks"]
    for split, of_split in {"test": texts, "vietnamese": texts[::-1], "train": texts}.items():
        pq.write_table(
            pa.table({"_id": [f"{split}-{text}" for text in of_split], "text": of_split}), snapshot / f"{split}.parquet"
        )
    settings = Tokenization(max_tokens=16, beyond="windows", window_overlap=4)
    encode_splits(snapshot, saved_network / "encoder", settings, ("tags",), output=tokens)

    assert pq.read_metadata(tokens / "test.parquet").num_rows == 4
    assert predict_splits(saved_network, snapshot, tokens, ["test", "vietnamese"], output) == {
        "test": 3,
        "vietnamese": 3,
    }

    assert {path.name for path in output.iterdir()} == {
        "test.parquet", "test.npy", "test.intent.scores.npy",
        "vietnamese.parquet", "vietnamese.npy", "vietnamese.intent.scores.npy",
    }  # fmt: skip
    assert read_ids(output, "test") == [f"test-{text}" for text in texts]
    assert read_answers(output / "vietnamese.parquet", heads).answers["urgency"] == pytest.approx(
        read_answers(output / "test.parquet", heads).answers["urgency"][::-1]
    )
    scores = read_label_scores(output, "test", "intent")
    found = read_answers(output / "test.parquet", heads)
    assert [heads["intent"].labels[at] for at in scores.argmax(axis=1)] == found.answers["intent"]
    assert shares_of(scores).max(axis=1) == pytest.approx(found.confidences["intent"])
    embeddings = read_embeddings(output / "test.npy")
    assert embeddings.shape == (3, 32)
    assert np.array_equal(embeddings[::-1], read_embeddings(output / "vietnamese.npy"))


def test_of_a_sampled_split_some_rows_are_answered_and_none_that_was_made_from_another(
    saved_network: Path, heads: dict[str, AnyHead], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, tokens, whole, some = (tmp_path / name for name in ("snapshot", "tokens", "whole", "some"))
    for folder in (snapshot, tokens, whole, some):
        folder.mkdir()
    # Every second text takes several windows of 16 tokens.
    texts = [f"parcel {number} " + "is far away " * (10 * (number % 2)) for number in range(12)]
    ids = [f"r{number}" for number in range(9)] + ["r0~oversample1", "r1~typing1", "r2~typing1"]
    pq.write_table(pa.table({"_id": ids, "text": texts}), snapshot / "train.parquet")
    settings = Tokenization(max_tokens=16, beyond="windows", window_overlap=4)
    encode_splits(snapshot, saved_network / "encoder", settings, ("tags",), output=tokens)
    monkeypatch.setattr("tasks.modeling.predicting.SAMPLED_ROWS", 5)

    assert predict_splits(saved_network, snapshot, tokens, ["train"], whole) == {"train": 12}
    assert predict_splits(saved_network, snapshot, tokens, [], some, sampled=["train"]) == {"train": 5}
    chosen = read_ids(some, "train")
    assert len(set(chosen)) == 5
    assert set(chosen) <= set(ids[:9])
    places = [ids.index(row_id) for row_id in chosen]
    assert places == sorted(places)
    assert read_label_scores(some, "train", "intent") == pytest.approx(
        read_label_scores(whole, "train", "intent")[places], abs=1e-5
    )
    assert read_embeddings(some / "train.npy") == pytest.approx(read_embeddings(whole / "train.npy")[places], abs=1e-5)


def test_a_column_that_the_rows_no_longer_have_holds_no_label(tmp_path: Path) -> None:
    heads: dict[str, AnyHead] = {"mood": SingleLabelHead(column="mood", labels=("glad", "angry"))}
    pq.write_table(pa.table({"_id": ["a", "b"], "text": ["x", "y"]}), tmp_path / "v.parquet")
    assert read_labels(tmp_path, "v", heads) == {"mood": [None, None]}
