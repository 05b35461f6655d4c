from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_contracts.errors import InputError
from tasks.drift import reference
from tasks.drift.novelty import nearest_rows
from tasks.drift.reference import extend_reference, freeze_reference, read_reference, write_frozen
from tasks.modeling.heads import AnyHead, MultiLabelHead, RegressionHead, SingleLabelHead
from tasks.modeling.label_scores import write_label_scores
from tasks.modeling.limits import TokenLimit
from tasks.modeling.tokens import TextEncoder
from tests.unit.drift.worlds import draw, frozen, usual_texts

Write = Callable[..., Path]
HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=("a", "b")),
    "tone": MultiLabelHead(column="tone", labels=("a", "b")),
    "urgency": RegressionHead(column="urgency"),
}


@pytest.fixture
def encoder(tiny_encoder: Path) -> TextEncoder:
    return TextEncoder(tiny_encoder, TokenLimit())


@pytest.fixture
def held_out(write_rows: Write, write_model_answers: Write) -> Callable[..., tuple[Path, Path]]:
    """Writes a held-out split; gives the folders of the snapshot and of the answers."""

    def write(
        split: str, texts: list[str], intents: list[str | None], answers: list[str], confidences: list[float]
    ) -> tuple[Path, Path]:
        rows = len(texts)
        snapshot = write_rows(split, text=texts, intent=intents, tone=[None] * rows, urgency=[0.5] * rows)
        given = {"intent": answers, "tone": [["a"]] * rows, "urgency": [0.5] * rows}
        embeddings = [[len(split), ord(text[0]), confidences[place]] for place, text in enumerate(texts)]
        folder = write_model_answers("m", split, given, {"intent": confidences}, embeddings)
        scores = [[3, 0] if answer == "a" else [0, 3] for answer in answers]
        write_label_scores(folder, split, "intent", np.array(scores, np.float32))
        return snapshot, folder

    return write


def test_a_reference_comes_back_as_it_was_frozen(
    held_out: Callable[..., tuple[Path, Path]], encoder: TextEncoder, tmp_path: Path
) -> None:
    held_out("noisy", ["x"], ["a"], ["a"], [0.9])
    held_out("test", ["u", "v"], ["a", None], ["a", "a"], [0.1, 0.2])
    snapshot, answers = held_out("validation", ["w w", "y", "z"], ["a", "b", "b"], ["a", "a", "b"], [0.3, 0.4, 0.5])
    assert freeze_reference(snapshot, answers, HEADS, encoder, ["text"], tmp_path) == 5
    found = read_reference(tmp_path)
    embeddings = np.array(
        [[4, ord("u"), 0.1], [4, ord("v"), 0.2], [10, ord("w"), 0.3], [10, ord("y"), 0.4], [10, ord("z"), 0.5]],
        np.float32,
    )
    assert np.array_equal(found.seen.embeddings, embeddings)
    assert found.seen.embeddings.dtype == np.float32
    assert found.seen.distances == pytest.approx(nearest_rows(embeddings, embeddings, own=True)[0])
    # A regression has no confidence to watch; no row has a label for `tone`; the second row has none for `intent`.
    assert found.seen.tasks.keys() == {"intent", "tone"}
    intent, tone = found.seen.tasks["intent"], found.seen.tasks["tone"]
    assert np.array_equal(intent.right, [1, np.nan, 1, 0, 1], equal_nan=True)
    assert intent.confidences.tolist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert intent.given is not None
    assert intent.given.tolist() == [0, 0, 0, 0, 1]
    assert intent.shares.max(axis=1) == pytest.approx([np.exp(3) / (1 + np.exp(3))] * 5)
    assert tone.right is None
    assert tone.shares is None
    assert found.texts.tokens.tolist() == [3, 3, 4, 3, 3]


def test_a_text_is_kept_once_whatever_split_it_is_in(
    held_out: Callable[..., tuple[Path, Path]], encoder: TextEncoder, tmp_path: Path
) -> None:
    held_out("test", ["u", "v", "u"], ["a"] * 3, ["a"] * 3, [0.1, 0.2, 0.3])
    snapshot, answers = held_out("validation", ["v", "w"], ["a", "b"], ["a", "b"], [0.4, 0.5])
    assert freeze_reference(snapshot, answers, HEADS, encoder, ["text"], tmp_path) == 3
    found = read_reference(tmp_path)
    assert found.seen.tasks["intent"].confidences.tolist() == [0.1, 0.2, 0.5]
    assert len(found.texts) == 3
    # How usual it is that a text comes again is known of all.
    assert found.texts.repeated.mean() == 2 / 5


def test_rows_that_got_no_number_are_left_out(
    held_out: Callable[..., tuple[Path, Path]], encoder: TextEncoder, tmp_path: Path
) -> None:
    held_out("test", ["u", "v"], ["a"] * 2, ["a"] * 2, [0.1, float("nan")])
    snapshot, answers = held_out("validation", ["w"], ["a"], ["a"], [0.4])
    assert freeze_reference(snapshot, answers, HEADS, encoder, ["text"], tmp_path) == 2
    assert read_reference(tmp_path).seen.finite.all()


def test_of_very_many_rows_some_are_drawn_with_all_that_belongs_to_them(
    held_out: Callable[..., tuple[Path, Path]],
    encoder: TextEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reference, "MOST_ROWS", 20)
    # Text number n has n + 1 words, and the n-th confidence.
    texts = [" ".join([chr(97 + n)] * (n + 1)) for n in range(26)]
    held_out("test", texts, ["a"] * 26, ["a"] * 26, [n / 100 for n in range(26)])
    snapshot, answers = held_out("validation", ["?"], ["a"], ["a"], [0.99])
    assert freeze_reference(snapshot, answers, HEADS, encoder, ["text"], tmp_path) == 20
    found = read_reference(tmp_path)
    confidences = found.seen.tasks["intent"].confidences
    assert len(set(confidences)) == len(found.seen) == len(found.texts) == 20
    assert confidences.tolist() == sorted(confidences)
    numbers = np.where(confidences == 0.99, 0, confidences * 100)
    assert found.texts.tokens == pytest.approx(numbers + 3)
    assert len(found.seen.distances) == 20


def test_a_reference_of_before_there_were_distances_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / reference.FILE, embeddings=np.zeros((2, 2)), **{"confidence/intent": np.ones(2)})
    with pytest.raises(InputError, match=r"kept by an earlier graft .* Run the pipeline once more, `graft run`"):
        read_reference(tmp_path)


def test_a_reference_is_written_and_read(tmp_path: Path) -> None:
    rows = draw(np.random.default_rng(3), 30)
    write_frozen(frozen(rows), tmp_path)
    found = read_reference(tmp_path)
    assert found.seen.distances == pytest.approx(nearest_rows(rows.embeddings, rows.embeddings, own=True)[0])
    assert found.seen.nearest is not None
    assert found.seen.nearest.tolist() == nearest_rows(rows.embeddings, rows.embeddings, own=True)[1].tolist()
    assert np.array_equal(found.seen.tasks["intent"].shares, rows.tasks["intent"].shares)
    assert found.texts.tokens.tolist() == usual_texts(30).tokens.tolist()


def test_which_rows_are_nearest_is_found_out_where_it_was_not_kept(tmp_path: Path) -> None:
    write_frozen(frozen(draw(np.random.default_rng(3), 30)), tmp_path)
    kept = read_reference(tmp_path).seen.nearest
    with np.load(tmp_path / reference.FILE) as arrays:
        others = {name: arrays[name] for name in arrays.files if name != "nearest"}
    np.savez(tmp_path / reference.FILE, **others)
    assert np.array_equal(read_reference(tmp_path).seen.nearest, kept)


def test_a_reference_is_extended_by_rows_that_nobody_has_judged() -> None:
    random = np.random.default_rng(5)
    old, window = frozen(draw(random, 30)), draw(random, 10)
    window.embeddings[3] = np.nan
    texts = replace(usual_texts(10), repeated=np.arange(10) == 4)
    found = extend_reference(old, [(window, texts)])
    assert len(found.seen) == len(found.texts) == 38
    right = found.seen.tasks["intent"].right
    assert right is not None
    assert np.array_equal(right[:30], old.seen.tasks["intent"].right)
    assert np.isnan(right[30:]).all()
    assert found.seen.distances == pytest.approx(
        nearest_rows(found.seen.embeddings, found.seen.embeddings, own=True)[0]
    )
    assert found.texts.repeated.mean() == 1 / 40


def test_rows_labelled_since_are_held_out_too_and_what_was_trained_on_or_is_out_of_domain_is_not() -> None:
    splits = ["fresh_week_2", "noisy", "test", "train", "validation"]
    assert reference.held_out(splits) == ["fresh_week_2", "test", "validation"]
