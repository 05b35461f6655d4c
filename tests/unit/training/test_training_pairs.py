"""Pairs of texts from tokens to training, answers, scores and prediction; beside them texts without a second one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from tasks.drift.reference import freeze_reference
from tasks.evaluation.baselines import answer_with_baselines
from tasks.evaluation.scoring import score_splits
from tasks.modeling.answering import answer_rows
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead, heads_of
from tasks.modeling.limits import TokenLimit
from tasks.modeling.network import load_network, new_network
from tasks.modeling.predicting import predict_splits
from tasks.modeling.tokenized import read_tokens
from tasks.modeling.tokens import TextEncoder
from tasks.training.loop import fine_tune
from tasks.training.rows import read_rows
from tasks.training.trunk import trunk_of

HEADS: dict[str, AnyHead] = {
    "holds": SingleLabelHead(column="holds", labels=("yes", "no"), dropout=0.0),
    "fits": RegressionHead(column="fits", dropout=0.0),
    "mood": SingleLabelHead(column="mood", labels=("glad", "angry"), dropout=0.0),
}
Training = Callable[..., dict[str, Any]]
Write = Callable[..., Path]


def test_entailment_and_similarity_are_learnt_beside_single_texts_and_come_out_of_prediction(
    write_pairs: Write, training: Training, pair_rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    splits = write_pairs("pairs", pair_rows)
    facts = fine_tune(**training("pairs-model", splits, HEADS, epochs=30))
    # Half of the contexts hold no answer; one that names both kinds, or one, could be either without its question.
    assert facts.validation_skill > 0.95
    model = tmp_path / "pairs-model" / "model"
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in pair_rows), encoding="utf-8")
    answer_rows(model, str(source), str(output), "text", pair_column="context")
    found = [json.loads(line)["predictions"] for line in output.read_text(encoding="utf-8").splitlines()]
    assert sum(line["holds"]["label"] == row["holds"] for line, row in zip(found[:64], pair_rows, strict=False)) > 60
    assert sum(line["mood"]["label"] == row["mood"] for line, row in zip(found[64:], pair_rows[64:], strict=True)) == 16

    for name in ("answers", "baselines", "reference"):
        (tmp_path / name).mkdir()
    snapshot = splits / "snapshot"
    predict_splits(model, snapshot, splits / "tokens", ["validation", "test"], tmp_path / "answers")
    answered = heads_of(model)
    answer_with_baselines(snapshot, answered, "text", ["test"], tmp_path / "baselines", pair_column="context")
    scores = {score.metric: score for score in score_splits(snapshot, tmp_path / "answers", answered, ["test"])}
    assert scores["pearson"].value > 0.9
    assert (scores["accuracy"].rows, scores["pearson"].rows) == (16, 64)
    encoder = TextEncoder(model / "encoder", TokenLimit(max_tokens=8))
    columns = ["text", "context"]
    frozen = freeze_reference(snapshot, tmp_path / "answers", answered, encoder, columns, tmp_path / "reference")
    # Each pair once: both splits hold the same.
    assert frozen == len({(row["text"], row.get("context")) for row in pair_rows})
    # What a window is held against is what the encoder makes of both texts.
    embeddings = np.load(tmp_path / "answers" / "test.npy")
    assert len(np.unique(embeddings[:64].round(6), axis=0)) > 2


def test_what_is_trained_on_is_what_is_predicted_from(
    write_pairs: Write, pair_rows: list[dict[str, Any]], tiny_encoder: Path
) -> None:
    splits = write_pairs("same", pair_rows)
    network = new_network(tiny_encoder, HEADS).eval()
    rows = read_rows(splits / "snapshot", splits / "tokens", "train", HEADS)
    some = [0, 5, 40, 70]
    batch = rows.batch(some, HEADS, pad_id=0)
    assert batch.segments is not None
    tokens = [len(rows.tokens.input_ids[row]) for row in some]
    assert [int(of.sum()) for of in batch.segments] == [
        1 + len(pair_rows[row]["context"].split()) for row in some[:3]
    ] + [0]
    with torch.no_grad():
        together = network.states(batch.input_ids, batch.mask, batch.segments)
        for at, (row, count) in enumerate(zip(some, tokens, strict=True)):
            kinds = torch.tensor([rows.tokens.segments[row]])  # type: ignore[index]
            alone = network.states(batch.input_ids[at : at + 1, :count], batch.mask[at : at + 1, :count], kinds)
            assert torch.allclose(together[at, :count], alone[0], atol=1e-5)
        untold = network.states(batch.input_ids, batch.mask)
    assert not torch.allclose(untold[0], together[0], atol=1e-3)
    # Single texts are not told of segments, which all encoders would have to know.
    assert rows.batch([70, 71], HEADS, pad_id=0).segments is None


def test_the_frozen_part_of_the_encoder_reads_segments(
    write_pairs: Write, pair_rows: list[dict[str, Any]], tiny_encoder: Path, tmp_path: Path
) -> None:
    splits = write_pairs("frozen", pair_rows)
    tokens = read_tokens(splits / "tokens" / "train.parquet")
    network = new_network(tiny_encoder, HEADS).eval()
    trunk = trunk_of(
        *(network.encoder, 1, tokens.input_ids, 0, 256),
        bf16=False,
        packed=False,
        folder=tmp_path,
        segments=tokens.segments,
    )
    assert trunk is not None
    batch = read_rows(splits / "snapshot", splits / "tokens", "train", HEADS).batch([3, 70, 9], HEADS, pad_id=0)
    with torch.no_grad():
        kept = trunk.states([3, 70, 9], batch.input_ids, batch.mask)
        whole = network.states(batch.input_ids, batch.mask, batch.segments)
    assert torch.allclose(kept[batch.mask.bool()], whole[batch.mask.bool()], atol=1e-5)


@pytest.mark.parametrize("frozen", [{}, {"frozen_layers": 1}])
def test_training_is_told_of_segments(
    write_pairs: Write, training: Training, pair_rows: list[dict[str, Any]], tmp_path: Path, frozen: dict[str, int]
) -> None:
    weights = []
    for name in ("told", "untold"):
        splits = write_pairs(name, pair_rows)
        if name == "untold":
            for path in (splits / "tokens").glob("*.parquet"):
                pq.write_table(pq.read_table(path).drop_columns(["segments"]), path)
        fine_tune(**training(f"{name}-model", splits, HEADS, epochs=1, **frozen))
        network, _ = load_network(tmp_path / f"{name}-model" / "model")
        weights.append(network.layers["holds"][1].weight)  # type: ignore[index]
    assert not torch.equal(*weights)
