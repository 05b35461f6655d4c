from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.evaluation.scoring import score_splits
from tasks.evaluation.zero_shot import answer_zero_shot, name_of
from tasks.modeling.answers import read_answers
from tasks.modeling.encoder import EncoderSettings, encoder_folder
from tasks.modeling.heads import AnyHead, OrdinalHead, RegressionHead, SingleLabelHead
from tasks.modeling.limits import TokenLimit
from tasks.modeling.text_states import text_states

Write = Callable[..., Path]
LIMIT = TokenLimit(max_tokens=32)
LABELS = ("book_flight", "play_music", "weather-report")
TEXTS = ["I need a plane ticket to Oslo", "put on some jazz songs", "will it rain tomorrow?"]
HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=LABELS),
    "urgency": RegressionHead(column="urgency"),
}


@pytest.fixture(scope="module")
def encoder() -> Path:
    return encoder_folder(EncoderSettings().name, None)


def test_a_name_is_a_label_as_a_person_would_say_it() -> None:
    assert [name_of(label) for label in (*LABELS, "__x", "-")] == [
        "book flight",
        "play music",
        "weather report",
        "x",
        "-",
    ]


def test_the_answer_is_the_label_whose_name_means_what_the_text_does(
    encoder: Path, write_rows: Write, tmp_path: Path
) -> None:
    snapshot = write_rows("test", text=TEXTS, intent=list(LABELS), urgency=[0.1, 0.2, 0.3])
    assert answer_zero_shot(snapshot, HEADS, "text", ["test"], encoder, LIMIT, tmp_path) == ("intent",)
    found = read_answers(tmp_path / "zero_shot" / "test.parquet", {"intent": HEADS["intent"]})
    assert found.answers["intent"] == list(LABELS)
    assert all(1 / 3 < share < 1 for share in found.confidences["intent"])
    assert "urgency" not in pq.read_schema(tmp_path / "zero_shot" / "test.parquet").names


def test_a_confidence_is_the_softmax_of_twenty_times_the_cosines(
    encoder: Path, write_rows: Write, tmp_path: Path
) -> None:
    snapshot = write_rows("test", text=TEXTS[:1])
    answer_zero_shot(snapshot, HEADS, "text", ["test"], encoder, LIMIT, tmp_path)
    text, *names = text_states(encoder, [TEXTS[0], "book flight", "play music", "weather report"], LIMIT)
    cosines = np.array([text @ name / np.linalg.norm(text) / np.linalg.norm(name) for name in names])
    wanted = np.exp(20 * cosines[0]) / np.exp(20 * cosines).sum()
    found = read_answers(tmp_path / "zero_shot" / "test.parquet", {"intent": HEADS["intent"]})
    assert found.confidences["intent"] == pytest.approx([wanted], abs=1e-4)


def test_answers_are_scored_like_those_of_any_baseline(encoder: Path, write_rows: Write, tmp_path: Path) -> None:
    snapshot = write_rows("test", text=TEXTS, intent=[LABELS[0], LABELS[1], None])
    answered = answer_zero_shot(snapshot, HEADS, "text", ["test"], encoder, LIMIT, tmp_path)
    heads = {task: HEADS[task] for task in answered}
    primary, *_ = score_splits(snapshot, tmp_path / "zero_shot", heads, ["test"])
    assert (primary.metric, primary.value, primary.rows) == ("accuracy", 1.0, 2)


def test_the_two_texts_of_a_pair_are_read_as_one(encoder: Path, write_rows: Write, tmp_path: Path) -> None:
    snapshot = write_rows("test", text=["hello there", "hello there"], more=["play my favourite song", None])
    answer_zero_shot(snapshot, HEADS, "text", ["test"], encoder, LIMIT, tmp_path, pair_column="more")
    found = read_answers(tmp_path / "zero_shot" / "test.parquet", {"intent": HEADS["intent"]})
    assert found.answers["intent"][0] == "play_music"
    assert found.confidences["intent"][0] > found.confidences["intent"][1]


def test_labels_in_order_have_names_too_and_heads_without_one_label_leave_nothing(
    encoder: Path, write_rows: Write, tmp_path: Path
) -> None:
    snapshot = write_rows("test", text=["everything is calm", "this is an emergency"])
    ordered: dict[str, AnyHead] = {"haste": OrdinalHead(column="haste", labels=("calm", "emergency"))}
    answer_zero_shot(snapshot, ordered, "text", ["test"], encoder, LIMIT, tmp_path)
    found = read_answers(tmp_path / "zero_shot" / "test.parquet", ordered)
    assert found.answers["haste"] == ["calm", "emergency"]
    (tmp_path / "none").mkdir()
    without = {"urgency": HEADS["urgency"]}
    assert answer_zero_shot(snapshot, without, "text", ["test"], encoder, LIMIT, tmp_path / "none") == ()
    assert list((tmp_path / "none").iterdir()) == []


def test_states_of_a_text_do_not_depend_on_those_read_beside_it(tiny_encoder: Path) -> None:
    texts = ["a", "a much longer text, with many words in it"]
    whole = text_states(tiny_encoder, texts, LIMIT)
    assert whole.shape == (2, 32)
    for row, text in enumerate(texts):
        assert text_states(tiny_encoder, [text], LIMIT)[0] == pytest.approx(whole[row], abs=1e-5)
