"""What the champion makes of every row that the windows are drawn from, written once as one file."""

import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.drift_peers.rows import HWU64, NOISED, OUT_OF_SCOPE, POOL, UNKNOWN, Rows, write_rows
from benchmarks.measuring import ENVIRONMENTS, Clock, report
from benchmarks.quality_peers.work import DATASETS, MAX_TOKENS, digest_of_work
from benchmarks.quality_peers.work import OUT_OF_SCOPE as TASK

# Held-out rows in domain, then whole sets of foreign rows: none of them was learnt from.
FILES = {
    POOL: ("clinc150", ("validation", "test")),
    HWU64: ("hwu64", ("train", "validation", "test")),
    OUT_OF_SCOPE: ("clinc150", ("oos_train", "oos_validation", "oos_test")),
}
SLIPS_A_LETTER = 0.03
SEED = 13


def file_of(model: Path) -> Path:
    """Where the rows of this model, made by this code from these sets, are kept."""
    parts = [path.read_bytes() for path in sorted(model.rglob("*")) if path.is_file()]
    parts += [path.read_bytes() for path in (Path(__file__), Path(__file__).with_name("rows.py"))]
    parts.append(digest_of_work([TASK, "hwu64"], "evaluation", "modeling", "tokenization").encode())
    digest = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]
    return ENVIRONMENTS / "drift" / f"{digest}.npz"


def main(model: Path, file: Path) -> None:
    """Embeds and scores all rows with the model, and reports."""
    from tasks.modeling.calibration import shares_of
    from tasks.modeling.heads import heads_of

    clock = Clock()
    read = {source: _read(folder, splits) for source, (folder, splits) in FILES.items()}
    read = {POOL: read[POOL], NOISED: _with_slips(read[POOL]), HWU64: read[HWU64], OUT_OF_SCOPE: read[OUT_OF_SCOPE]}
    embeddings, scores = _seen(model, {source: [row["text"] for row in rows] for source, rows in read.items()})
    head: Any = heads_of(model)[TASK]
    places = {label: place for place, label in enumerate(head.labels)}
    everything = [(source, row) for source, rows in read.items() for row in rows]
    in_domain = (POOL, NOISED)
    labels = [places[row["label"]] if source in in_domain else UNKNOWN for source, row in everything]
    rows = Rows(
        source=np.array([source for source, _ in everything]),
        text=np.array([row["text"] for _, row in everything]),
        domain=np.array([row["domain"] if source in in_domain else "" for source, row in everything]),
        embeddings=embeddings,
        shares=shares_of(scores, _temperature(head, scores, labels)).astype(np.float32),
        label=np.array(labels),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_rows(rows, file)
    report({"embed": clock.seconds}, {source: len(of) for source, of in read.items()}, clock.processor_seconds)


def _read(folder: str, splits: Sequence[str]) -> list[dict[str, Any]]:
    if not DATASETS.is_dir():
        raise SystemExit(f"{DATASETS} is not there: this benchmark reads its rows from it")
    lines = [
        line
        for split in splits
        for line in (DATASETS / folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [json.loads(line) for line in lines]


def _with_slips(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    from tasks.modeling.slips import slips_in

    random, noised = Random(SEED), []
    for row in rows:
        words = [match.span() for match in re.finditer(r"\w+", row["text"])]
        edits = slips_in(row["text"], words, SLIPS_A_LETTER, random)
        noised.append({**row, "text": "".join(edits.get(at, letter) for at, letter in enumerate(row["text"]))})
    return noised


def _seen(model: Path, texts: dict[str, list[str]]) -> tuple[Any, Any]:
    """Embeddings and label scores of all rows, in order."""
    from tasks.evaluation.out_of_scope import read_readings
    from tasks.modeling.predicting import predict_splits
    from tasks.tokenization.encoding import encode_splits
    from tasks.tokenization.settings import Tokenization

    with tempfile.TemporaryDirectory() as name:
        snapshot, tokens, answers = (Path(name) / part for part in ("snapshot", "tokens", "answers"))
        for made in (snapshot, tokens, answers):
            made.mkdir()
        for source, of in texts.items():
            ids = [str(number) for number in range(len(of))]
            pq.write_table(pa.table({"_id": ids, "text": of}), snapshot / f"{source}.parquet")
        encode_splits(snapshot, model / "encoder", Tokenization(max_tokens=MAX_TOKENS), (), output=tokens)
        predict_splits(model, snapshot, tokens, list(texts), answers)
        readings = [read_readings(answers, source, TASK) for source in texts]
        return np.concatenate([of.states for of in readings]), np.concatenate([of.scores for of in readings])


def _temperature(head: Any, scores: Any, labels: Sequence[int]) -> float:
    """The head's own; of a model trained before there were temperatures, what the validation rows give."""
    from tasks.modeling.calibration import fit_temperature

    if head.temperature != 1.0:
        return float(head.temperature)
    first = len(_read(TASK, ["validation"]))
    return fit_temperature(scores[:first], labels[:first])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
