"""A saved model's answers for the tokenized rows of some splits."""

from pathlib import Path

import pyarrow.parquet as pq

from tasks.modeling.answers import Answers, read_ids, write_answers, write_embeddings
from tasks.modeling.inference import run_network, words_in
from tasks.modeling.network import load_network
from tasks.modeling.tokens import TextEncoder


def predict_splits(model: Path, snapshot: Path, tokens: Path, splits: list[str], output: Path) -> dict[str, int]:
    """Writes `<split>.parquet` (answers) and `<split>.npy` (embeddings); returns the rows of each split."""
    network, max_tokens = load_network(model)
    pad_id = TextEncoder(model / "encoder", max_tokens).pad_id
    rows = {}
    for split in splits:
        encoded = pq.read_table(tokens / f"{split}.parquet").to_pydict()
        found = run_network(
            network, encoded["input_ids"], words_in(encoded), pad_id=pad_id, description=f"predicting {split}"
        )
        write_answers(output / f"{split}.parquet", read_ids(snapshot, split), Answers(found.answers, found.confidences))
        write_embeddings(output / f"{split}.npy", found.embeddings)
        rows[split] = len(encoded["input_ids"])
    return rows
