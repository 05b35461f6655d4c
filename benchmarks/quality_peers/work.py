"""The work: labels of CLINC150, SNIPS, HWU64 and WNUT17, the heads that learn them, and how a model is scored."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import ROOT

DATASETS = ROOT.parent / "shared" / "datasets"
MAX_TOKENS = 64
OUT_OF_SCOPE = "clinc150"
TAGS = pa.struct({"tokens": pa.list_(pa.string()), "tags": pa.list_(pa.string())})


class Task(NamedTuple):
    """Where the labels of a task are: the data set and its column, which is `tags` for entities."""

    folder: str
    column: str

    @property
    def of_words(self) -> bool:
        """Whether it labels words."""
        return self.column == "tags"


TASKS = {
    "clinc150": Task("clinc150", "label"),
    "snips_intent": Task("snips", "label"),
    "snips_slots": Task("snips", "tags"),
    "hwu64": Task("hwu64", "label"),
    "wnut17": Task("wnut17", "tags"),
}


def name_of_run(program: str, tasks: Sequence[str], settings: dict[str, Any]) -> str:
    """A folder for what comes of these settings, these rows and the code that trains."""
    made_of = [program, *tasks, settings, digest_of_work(tasks, "training", "tokenization")]
    return f"{program}-{'-'.join(tasks)}-{_digest(json.dumps(made_of, sort_keys=True).encode())}"


def digest_of_work(tasks: Sequence[str], *stages: str) -> str:
    """Of the rows of these tasks, of the stages' code, and of that in this folder."""
    from tasks.storage.caching import code_components

    folders = dict.fromkeys(TASKS[name].folder for name in tasks)
    files = [path for folder in folders for path in sorted((DATASETS / folder).glob("*.jsonl"))]
    files += sorted(Path(__file__).parent.glob("*.py"))
    code = [code_components(stage) for stage in stages]
    return _digest(json.dumps([[_digest(path.read_bytes()) for path in files], code], sort_keys=True).encode())


def empty_folder(folder: Path) -> Path:
    """The folder, without what an earlier run that was cut short left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def heads_of(tasks: Sequence[str]) -> dict[str, Any]:
    """The default head of each task, with its labels."""
    from tasks.modeling.heads import SingleLabelHead, TokenTagHead

    heads: dict[str, Any] = {}
    for name in tasks:
        of = TASKS[name]
        rows = _read(of.folder, "train")
        if of.of_words:
            kinds = sorted({tag[2:] for row in rows for tag in row["tags"] if tag != "O"})
            tags = ("O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI"))
            heads[name] = TokenTagHead(column=name, labels=tags)
        else:
            heads[name] = SingleLabelHead(column=name, labels=tuple(sorted({row["label"] for row in rows})))
    return heads


def write_data(folder: Path, tasks: Sequence[str], splits: Sequence[str], most_rows: int | None = None) -> Path:
    """Snapshot and tokens of those splits, `most_rows` training rows drawn at random; returns the encoder's folder."""
    from tasks.modeling.encoder import EncoderSettings, encoder_folder
    from tasks.tokenization.encoding import encode_splits
    from tasks.tokenization.settings import Tokenization

    encoder = encoder_folder(EncoderSettings().name, None)
    for made in ("snapshot", "tokens"):
        (folder / made).mkdir(parents=True)
    types = {name: TAGS if TASKS[name].of_words else pa.string() for name in tasks}
    schema = pa.schema({"_id": pa.string(), "text": pa.string(), **types})
    for split in splits:
        rows = [row for of in dict.fromkeys(TASKS[name].folder for name in tasks) for row in _rows(of, tasks, split)]
        if split == "train" and most_rows is not None:
            rows = [rows[at] for at in np.random.default_rng(0).permutation(len(rows))[:most_rows]]
        numbered = [{"_id": str(number), **row} for number, row in enumerate(rows)]
        pq.write_table(pa.Table.from_pylist(numbered, schema=schema), folder / "snapshot" / f"{split}.parquet")
    columns = tuple(name for name in tasks if TASKS[name].of_words)
    encode_splits(folder / "snapshot", encoder, Tokenization(max_tokens=MAX_TOKENS), columns, output=folder / "tokens")
    return encoder


def score(model: Path, tasks: Sequence[str], split: str) -> dict[str, float]:
    """{metric: value} of a trained model on a split; out of scope, by the detector and threshold best on validation."""
    from tasks.modeling.answers import read_answers, read_labels
    from tasks.modeling.heads import heads_of as heads_in
    from tasks.modeling.predicting import predict_splits

    heads = heads_in(model)
    splits = dict.fromkeys(("validation", split))
    with_scope = OUT_OF_SCOPE in tasks
    if with_scope:
        splits |= dict.fromkeys(("oos_validation", f"oos_{split}"))
    found, rows = {}, {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Some detectors compare with states of rows that were learnt from.
        write_data(folder, tasks, [*splits, *(["train"] if with_scope else [])])
        snapshot, given = folder / "snapshot", folder / "answers"
        given.mkdir()
        predict_splits(model, snapshot, folder / "tokens", list(splits), given, ["train"] if with_scope else [])
        for of in splits:
            rows[of] = (read_answers(given / f"{of}.parquet", heads), read_labels(snapshot, of, heads))
        scores = _scope_scores(snapshot, given, heads[OUT_OF_SCOPE], list(splits)) if with_scope else {}
    answers, labels = rows[split]
    for task, head in heads.items():
        known = [at for at, label in enumerate(labels[task]) if label is not None]
        sums = head.statistics([answers.answers[task][at] for at in known], [labels[task][at] for at in known])
        found[task] = float(head.score_of_sums(sums.sum(axis=0)[None])[0])
    if with_scope:
        (known, correct), (of_set, right) = _right(*rows["validation"]), _right(*rows[split])
        best = {
            name: _best_threshold(correct, of["validation"][known], of["oos_validation"]) for name, of in scores.items()
        }
        chosen = max(best, key=lambda name: best[name][1])
        of_chosen, threshold = scores[chosen], best[chosen][0]
        found[f"{OUT_OF_SCOPE}, threshold"] = float((right & (of_chosen[split][of_set] >= threshold)).mean())
        found[f"{OUT_OF_SCOPE}, oos recall"] = float((of_chosen[f"oos_{split}"] < threshold).mean())
    return found


def _rows(folder: str, tasks: Sequence[str], split: str) -> list[dict[str, Any]]:
    """Rows of a set, each with the labels that the tasks ask for."""
    if split.startswith("oos_"):
        return [{"text": row["text"]} for row in _read(folder, split)] if folder == OUT_OF_SCOPE else []
    rows = []
    for row in _read(folder, split):
        labels = {
            name: {"tokens": row["tokens"], "tags": row["tags"]} if of.of_words else row["label"]
            for name, of in TASKS.items()
            if name in tasks and of.folder == folder
        }
        # Of words, the text is what they make when they are put together, which is where they are looked for.
        text = " ".join(row["tokens"]) if any(TASKS[name].of_words for name in labels) else row["text"]
        rows.append({"text": text, **labels})
    return rows


def _read(folder: str, split: str) -> list[dict[str, Any]]:
    if not DATASETS.is_dir():
        raise SystemExit(f"{DATASETS} is not there: this benchmark reads its rows from it")
    lines = (DATASETS / folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _scope_scores(snapshot: Path, answers: Path, head: Any, splits: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{detector: {split: scores}}, bigger for rows in scope."""
    from tasks.evaluation.detectors import fit_detectors, scores_of
    from tasks.evaluation.out_of_scope import known_rows, read_readings

    scorers = fit_detectors(known_rows(snapshot, answers, OUT_OF_SCOPE, head))
    readings = {split: read_readings(answers, split, OUT_OF_SCOPE) for split in splits}
    return {
        name: {split: scores_of(name, scorer, of, split) for split, of in readings.items()}
        for name, scorer in scorers.items()
    }


def _right(answers: Any, labels: Any) -> tuple[Any, Any]:
    """CLINC150's rows of a split, and whether each one's answer is right."""
    wanted, given = labels[OUT_OF_SCOPE], answers.answers[OUT_OF_SCOPE]
    of_set = [at for at, label in enumerate(wanted) if label is not None]
    return np.array(of_set), np.array([given[at] == wanted[at] for at in of_set])


def _best_threshold(correct: Any, inside: Any, outside: Any) -> tuple[float, int]:
    """The score from which an answer counts, for most right ones with out of scope as one more label; and how many.

    As in Larson et al. 2019 (section 3.3). 100 rows stand there for the new label, as 20 do for each other.
    """
    candidates = np.unique(np.concatenate([inside, outside]))
    right = [int((correct & (inside >= at)).sum() + (outside < at).sum()) for at in candidates]
    return float(candidates[int(np.argmax(right))]), max(right)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
