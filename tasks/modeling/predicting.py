"""A saved model's answers for the tokenized rows of some splits."""

from pathlib import Path

from tasks.modeling.answers import Answers, read_ids, write_answers, write_embeddings
from tasks.modeling.inference import run_network
from tasks.modeling.label_scores import write_label_scores
from tasks.modeling.network import load_network
from tasks.modeling.tokenized import read_tokens
from tasks.modeling.tokens import TextEncoder


def predict_splits(model: Path, snapshot: Path, tokens: Path, splits: list[str], output: Path) -> dict[str, int]:
    """Writes answers, embeddings and label scores of each split; returns its rows."""
    network, limit = load_network(model)
    pad_id = TextEncoder(model / "encoder", limit).pad_id
    rows = {}
    for split in splits:
        encoded = read_tokens(tokens / f"{split}.parquet")
        found = run_network(network, encoded, pad_id=pad_id, description=f"predicting {split}")
        write_answers(output / f"{split}.parquet", read_ids(snapshot, split), Answers(found.answers, found.confidences))
        write_embeddings(output / f"{split}.npy", found.embeddings)
        for task, scores in found.label_scores.items():
            write_label_scores(output, split, task, scores)
        rows[split] = len(found.embeddings)
    return rows
