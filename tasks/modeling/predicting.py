"""A saved model's answers for the tokenized rows of some splits."""

from collections.abc import Sequence
from pathlib import Path

from tasks.modeling.answers import Answers, read_ids, write_answers, write_embeddings
from tasks.modeling.inference import run_network
from tasks.modeling.label_scores import write_label_scores
from tasks.modeling.network import load_network
from tasks.modeling.row_ids import sample_own
from tasks.modeling.tokenized import read_tokens
from tasks.modeling.tokens import TextEncoder

SAMPLED_ROWS = 20_000
SEED = 20_262


def predict_splits(
    model: Path, snapshot: Path, tokens: Path, splits: Sequence[str], output: Path, sampled: Sequence[str] = ()
) -> dict[str, int]:
    """Writes answers, embeddings and label scores of each split; returns its rows.

    Of `sampled` splits at most SAMPLED_ROWS rows are answered, drawn at random among those that were not made from
    others: `train`, whose states tell what is out of scope, and which may be large.
    """
    network, limit = load_network(model)
    pad_id = TextEncoder(model / "encoder", limit).pad_id
    rows = {}
    for split in (*splits, *sampled):
        ids = read_ids(snapshot, split)
        chosen = sample_own(ids, SAMPLED_ROWS, SEED) if split in sampled else None
        encoded = read_tokens(tokens / f"{split}.parquet", chosen)
        found = run_network(network, encoded, pad_id=pad_id, description=f"predicting {split}")
        answered = ids if chosen is None else [ids[row] for row in chosen]
        write_answers(output / f"{split}.parquet", answered, Answers(found.answers, found.confidences))
        write_embeddings(output / f"{split}.npy", found.embeddings)
        for task, scores in found.label_scores.items():
            write_label_scores(output, split, task, scores)
        rows[split] = len(found.embeddings)
    return rows
