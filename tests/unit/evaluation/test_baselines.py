import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.dataset import load_contract
from tasks.evaluation.baselines import answer_with_baselines
from tasks.evaluation.scoring import score_splits
from tasks.modeling.answers import Answers, read_answers
from tasks.modeling.heads import (
    AnyHead,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    TokenTagHead,
)
from tasks.modeling.words import words_of

SAMPLES = Path(__file__).resolve().parents[3] / "data_contracts" / "samples" / "support"
CONTRACT = load_contract("support")
HEADS: dict[str, AnyHead] = {
    "sentiment": SingleLabelHead().bind(CONTRACT.column("sentiment")),
    "entities": TokenTagHead().bind(CONTRACT.column("entities")),
    "urgency": RegressionHead().bind(CONTRACT.column("urgency")),
}


def sample_rows(split: str, count: int) -> list[dict[str, Any]]:
    lines = (SAMPLES / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()[:count]
    return [{"_id": f"{split}-{number}", **json.loads(line)} for number, line in enumerate(lines)]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A snapshot of real tickets, and the folder of both baselines' answers to them."""
    snapshot, output = tmp_path_factory.mktemp("snapshot"), tmp_path_factory.mktemp("baselines")
    for split, count in (("train", 240), ("test", 120), ("vietnamese", 20)):
        pq.write_table(pa.Table.from_pylist(sample_rows(split, count)), snapshot / f"{split}.parquet")
    answer_with_baselines(snapshot, HEADS, "text", ["test", "vietnamese"], output)
    return snapshot, output


def answers_of(answered: tuple[Path, Path], baseline: str, split: str = "test") -> Answers:
    return read_answers(answered[1] / baseline / f"{split}.parquet", HEADS)


def test_the_majority_answers_the_most_frequent_label_with_its_share_as_confidence(
    answered: tuple[Path, Path],
) -> None:
    (label, count), *_ = Counter(row["sentiment"] for row in sample_rows("train", 240)).most_common()
    found = answers_of(answered, "majority")
    assert set(found.answers["sentiment"]) == {label}
    assert set(found.confidences["sentiment"]) == {count / 240}


def test_the_majority_finds_no_entity_and_answers_the_mean_number(answered: tuple[Path, Path]) -> None:
    rows, found = sample_rows("test", 120), answers_of(answered, "majority")
    assert found.answers["entities"] == [["O"] * len(row["entities"]["tokens"]) for row in rows]
    mean = float(np.mean([row["urgency"] for row in sample_rows("train", 240)]))
    assert found.answers["urgency"] == pytest.approx([mean] * 120)


def test_tfidf_beats_the_majority_by_far_on_every_task(answered: tuple[Path, Path]) -> None:
    value = {
        (name, score.task): score.value
        for name in ("majority", "tfidf")
        for score in score_splits(answered[0], answered[1] / name, HEADS, ["test"])
        if score.primary
    }
    assert value["tfidf", "sentiment"] > value["majority", "sentiment"] + 0.1
    assert value["tfidf", "entities"] > 0.3 > value["majority", "entities"] == 0
    assert value["tfidf", "urgency"] > 0.3 > abs(value["majority", "urgency"])


def test_tfidf_answers_legal_tags_for_every_word_and_known_labels(answered: tuple[Path, Path]) -> None:
    found, texts = answers_of(answered, "tfidf", "vietnamese"), sample_rows("vietnamese", 20)
    assert set(found.answers["sentiment"]) <= set(HEADS["sentiment"].labels)
    assert all(0 < share <= 1 for share in found.confidences["sentiment"] + found.confidences["entities"])
    for tags, row in zip(found.answers["entities"], texts, strict=True):
        assert len(tags) == len(row["entities"]["tokens"])
        assert set(tags) <= set(HEADS["entities"].labels)
        assert all(
            not tag.startswith("I-") or before[1:] == tag[1:]
            for before, tag in zip(["O", *tags], [*tags, "O"], strict=True)
        )


def test_baselines_are_the_same_on_the_same_rows(answered: tuple[Path, Path], tmp_path: Path) -> None:
    heads = {task: HEADS[task] for task in ("entities", "urgency")}
    answer_with_baselines(answered[0], heads, "text", ["vietnamese"], tmp_path)
    again = read_answers(tmp_path / "tfidf" / "vietnamese.parquet", heads)
    before = answers_of(answered, "tfidf", "vietnamese")
    assert again.answers == {task: before.answers[task] for task in heads}


def test_training_rows_without_a_label_take_no_part(write_rows: Callable[..., Path], tmp_path: Path) -> None:
    labels = [None] * 30 + ["negative"] * 20 + ["neutral"] * 10
    texts = [row["text"] for row in sample_rows("train", 60)]
    write_rows("train", text=texts, sentiment=labels)
    snapshot = write_rows("test", text=texts[:2], sentiment=[None, "neutral"])
    heads = {"sentiment": HEADS["sentiment"]}
    answer_with_baselines(snapshot, heads, "text", ["test"], tmp_path)
    found = read_answers(tmp_path / "majority" / "test.parquet", heads)
    assert found.answers["sentiment"] == ["negative", "negative"]
    assert found.confidences["sentiment"] == pytest.approx([2 / 3, 2 / 3])
    tfidf = read_answers(tmp_path / "tfidf" / "test.parquet", heads)
    assert set(tfidf.answers["sentiment"]) <= {"negative", "neutral"}


def test_words_of_a_row_without_tags_are_found_in_its_text(write_rows: Callable[..., Path], tmp_path: Path) -> None:
    rows = sample_rows("train", 40)
    write_rows("train", text=[row["text"] for row in rows], entities=[row["entities"] for row in rows])
    text = "Ring Ann in Oslo, please!"
    labels = [{"tokens": ["Ring", "Ann"], "tags": ["O", "B-PERSON"]}, None]
    snapshot = write_rows("test", text=["Ring Ann", text], entities=labels)
    heads = {"entities": HEADS["entities"]}
    answer_with_baselines(snapshot, heads, "text", ["test"], tmp_path)
    for name in ("majority", "tfidf"):
        found = read_answers(tmp_path / name / "test.parquet", heads)
        assert [len(tags) for tags in found.answers["entities"]] == [2, len(words_of(text))]


def test_lists_of_labels_and_labels_in_order_have_baselines(write_rows: Callable[..., Path], tmp_path: Path) -> None:
    words = {"refund": "money back", "delivery": "my parcel", "never": "nothing"}
    lists = [["refund"], ["refund", "delivery"], [], ["refund"]] * 10
    texts = [" and ".join(words[label] for label in labels) or "hello there" for labels in lists]
    ranks = ["low" if labels == ["refund"] else "high" if labels else "middle" for labels in lists]
    write_rows("train", text=[*texts, "no list"], topics=[*lists, None], haste=[*ranks, None])
    snapshot = write_rows("test", text=texts[:4], topics=lists[:4], haste=ranks[:4])
    heads: dict[str, AnyHead] = {
        "topics": MultiLabelHead(column="topics", labels=("delivery", "refund", "never")),
        "haste": OrdinalHead(column="haste", labels=("low", "middle", "high")),
    }
    answer_with_baselines(snapshot, heads, "text", ["test"], tmp_path)
    majority, tfidf = (read_answers(tmp_path / name / "test.parquet", heads) for name in ("majority", "tfidf"))
    assert majority.answers == {"topics": [["refund"]] * 4, "haste": ["low"] * 4}
    assert majority.confidences == {"topics": [0.5] * 4, "haste": [0.5] * 4}
    assert tfidf.answers == {"topics": [["refund"], ["delivery", "refund"], [], ["refund"]], "haste": ranks[:4]}
    assert all(0 < share <= 1 for of_task in tfidf.confidences.values() for share in of_task)
