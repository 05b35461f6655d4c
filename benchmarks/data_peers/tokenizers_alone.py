"""`tokenizers` called alone on all texts at once, and graft's tokenization from Parquet to Parquet, in turn."""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.measuring import report

REPEATS = 3


def main(checked: Path) -> None:
    """`checked` holds the accepted rows that graft left; reports the medians of three turns each."""
    from tokenizers import Tokenizer

    from benchmarks.data_peers.task import MAX_TOKENS
    from tasks.modeling.encoder import EncoderSettings, encoder_folder
    from tasks.tokenization.encoding import encode_splits
    from tasks.tokenization.settings import Tokenization

    folder = encoder_folder(EncoderSettings().name, None)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    alone: list[float] = []
    ours: list[float] = []
    rows = 0
    for _ in range(REPEATS):
        texts = [
            text
            for path in sorted(checked.glob("*.parquet"))
            for text in pq.read_table(path, columns=["text"]).column(0).to_pylist()
        ]
        rows = len(texts)
        started = time.perf_counter()
        ids = [one.ids for one in tokenizer.encode_batch_fast(texts)]
        alone.append(time.perf_counter() - started)
        del ids, texts
        with tempfile.TemporaryDirectory() as output:
            started = time.perf_counter()
            encode_splits(checked, folder, Tokenization(max_tokens=MAX_TOKENS), (), Path(output))
            ours.append(time.perf_counter() - started)
    report({"tokenizers alone": statistics.median(alone), "graft": statistics.median(ours)}, {"all": rows})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
