"""What a model has to beat: the majority answer, and TF-IDF with logistic (ridge) regression."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq
from tqdm import tqdm

from data_contracts.splits import TRAIN
from tasks.modeling.answers import Answers, read_ids, read_labels, write_answers
from tasks.modeling.heads import AnyHead
from tasks.modeling.words import words_of

BASELINES = ("majority", "tfidf")


def answer_with_baselines(
    snapshot: Path,
    heads: Mapping[str, AnyHead],
    text_column: str,
    splits: Sequence[str],
    output: Path,
    pair_column: str | None = None,
) -> None:
    """Fits both baselines on `train` and writes their answers to `majority/<split>.parquet` and `tfidf/...`.

    The two texts of a pair are read as one.
    """
    columns = [text_column, *([pair_column] if pair_column else [])]
    train = read_texts(snapshot, TRAIN, columns), read_labels(snapshot, TRAIN, heads)
    found: dict[str, dict[str, Answers]] = {name: {split: Answers({}, {}) for split in splits} for name in BASELINES}
    texts = {split: read_texts(snapshot, split, columns) for split in splits}
    for task, head in tqdm(heads.items(), desc="baselines", unit="task", disable=None, leave=False):
        known = [row for row, label in enumerate(train[1][task]) if label is not None]
        fitted_on = [train[0][row] for row in known], [train[1][task][row] for row in known]
        words = {split: _words(snapshot, split, head, texts[split], columns) for split in splits}
        linear = head.fit_tfidf(*fitted_on)
        for split in splits:
            majority, tfidf = head.majority(fitted_on[1], words[split]), linear(texts[split], words[split])
            for name, (answers, confidences) in zip(BASELINES, (majority, tfidf), strict=True):
                found[name][split].answers[task] = answers
                found[name][split].confidences[task] = confidences
    for name in BASELINES:
        (output / name).mkdir()
        for split in splits:
            write_answers(output / name / f"{split}.parquet", read_ids(snapshot, split), found[name][split])


def read_texts(snapshot: Path, split: str, columns: Sequence[str]) -> list[str]:
    """Texts of one split, those of several columns as one."""
    return ["\n".join(of_row) for of_row in _texts_of_rows(snapshot, split, columns)]


def _texts_of_rows(snapshot: Path, split: str, columns: Sequence[str]) -> list[list[str]]:
    table = pq.read_table(snapshot / f"{split}.parquet", columns=list(columns))
    of_columns = (table.column(name).to_pylist() for name in columns)
    return [[text for text in of_row if text is not None] for of_row in zip(*of_columns, strict=True)]


def _words(snapshot: Path, split: str, head: AnyHead, texts: list[str], columns: Sequence[str]) -> list[list[str]]:
    if head.in_text:
        return _texts_of_rows(snapshot, split, columns)
    if not head.of_words:
        return [[] for _ in texts]
    tagged = read_labels(snapshot, split, {"": head})[""]
    return [value["tokens"] if value else words_of(text) for value, text in zip(tagged, texts, strict=True)]
