"""Which rows of a window people are asked to label, and what becomes of the file when it is filled in."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.dataset import load_contract
from data_contracts.errors import InputError
from data_contracts.labelling import AT_RANDOM, CHOSEN, MOST_TELLING
from tasks.drift.evidence import EvidenceFolders
from tasks.drift.labelling import choose_rows, first_of_each, rows_worth_labelling, uncertainties
from tasks.drift.reference import freeze_reference
from tasks.ingestion.plan import DataSettings, planned_files
from tasks.ingestion.reading import Reading, read_file, read_sources
from tasks.ingestion.task import locate_sources
from tasks.modeling.heads import AnyHead, SingleLabelHead
from tasks.modeling.label_scores import write_label_scores
from tasks.modeling.limits import TokenLimit
from tasks.modeling.tokens import TextEncoder

Write = Callable[..., Path]
CONTRACT = load_contract("support")
LABELS = {"intent": "refund", "sentiment": "neutral", "entities": {"tokens": ["Hue"], "tags": ["O"]}, "urgency": 0.25}


def points(*places: tuple[float, float]) -> Any:
    return np.array(places, np.float32)


def test_what_teaches_most_is_unsure_and_far_from_the_reference_and_not_all_about_the_same() -> None:
    random = np.random.default_rng(1)
    near, reference = (10 * np.eye(4)[0] + random.normal(size=(rows, 4)) for rows in (200, 300))
    far = [30 * np.eye(4)[axis] + random.normal(scale=0.1, size=(20, 4)) for axis in (1, 2, 3)]
    window = np.concatenate([near, *far]).astype(np.float32)
    # The third cluster is as far, and the model is sure of it; some near rows are as unsure.
    uncertainty = np.concatenate([np.linspace(0, 1, 200), np.full(40, 0.9), np.zeros(20)])
    for seed in range(5):
        chosen = choose_rows(window, reference.astype(np.float32), uncertainty, count=4, seed=seed)
        telling = {position for position, why in chosen if why == MOST_TELLING}
        assert {(position - 200) // 20 for position in telling} == {0, 1}


def test_the_half_at_random_does_not_depend_on_what_the_model_makes_of_the_rows() -> None:
    random = np.random.default_rng(2)
    window, reference = (random.normal(size=(rows, 3)).astype(np.float32) for rows in (60, 40))

    def drawn(uncertainty: Any, seed: int) -> list[int]:
        chosen = choose_rows(window, reference, uncertainty, count=21, seed=seed)
        assert len({position for position, _ in chosen}) == 21
        return [position for position, why in chosen if why == AT_RANDOM]

    assert len(drawn(np.ones(60), 0)) == 11
    assert drawn(np.ones(60), 0) == drawn(np.linspace(0, 1, 60), 0) != drawn(np.ones(60), 1)
    # The row that teaches most is as likely as any: 11 of 60 times, and over 300 draws with a deviation of 6.7.
    unsure = np.where(np.arange(60) == 7, 1.0, 0.0)
    assert sum(7 in drawn(unsure, seed) for seed in range(300)) == pytest.approx(55, abs=27)


def test_a_small_window_is_labelled_as_a_whole_and_an_empty_one_not_at_all() -> None:
    window = points((0, 0), (0, 0), (5, 5))
    assert [position for position, _ in choose_rows(window, window, np.ones(3), count=10, seed=0)] == [0, 1, 2]
    assert choose_rows(window[:0], window, np.ones(0), count=10, seed=0) == []
    assert choose_rows(window, window, np.ones(3), count=1, seed=0)[0].why == AT_RANDOM


def test_rows_alike_still_fill_the_places() -> None:
    window = np.zeros((50, 2), np.float32)
    chosen = choose_rows(window, points((1, 1)), np.ones(50), count=20, seed=0)
    assert len({position for position, _ in chosen}) == 20


def test_uncertainty_is_by_rank_so_that_no_task_outweighs_the_others() -> None:
    sure = {"intent": np.array([0.9, 0.8, 0.7]), "entities": np.array([1e-9, 1e-6, 1e-3])}
    assert uncertainties(sure, 3) == pytest.approx([(1 + 3) / 6, (2 + 2) / 6, (3 + 1) / 6])
    assert uncertainties({"intent": np.array([0.1, np.nan])}, 2).tolist() == [0.5, 1.0]
    assert uncertainties({}, 2).tolist() == [1.0, 1.0]


def test_the_first_of_each_text() -> None:
    assert first_of_each(["a", "b", "a", "c", "b"]) == [0, 1, 3]


@pytest.fixture
def folders(write_rows: Write, write_model_answers: Write, tmp_path: Path, tiny_encoder: Path) -> EvidenceFolders:
    """A window of twelve rows in which two texts stand twice, and a reference of four rows."""
    heads: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("refund", "praise"))}
    for split in ("validation", "test"):
        snapshot = write_rows(split, text=[f"old {split}", f"older {split}"], intent=["refund", "praise"])
        answers = write_model_answers("m", split, {"intent": ["refund"] * 2}, embeddings=[[0.0, 0.0], [0.1, 0.0]])
        write_label_scores(answers, split, "intent", np.array([[1, 0]] * 2, np.float32))
    freeze_reference(snapshot, answers, heads, TextEncoder(tiny_encoder, TokenLimit()), ("text",), tmp_path)
    texts = [f"ticket {row * 10 // 12}" for row in range(12)]
    write_rows("window", text=texts, language=["en"] * 12, created_at=["2026-08-10T00:00:00+00:00"] * 12)
    confidences = {"intent": [1 - row / 20 for row in range(12)]}
    write_model_answers(
        "m", "window", {"intent": ["refund"] * 12}, confidences, [[float(row), 0.0] for row in range(12)]
    )
    return EvidenceFolders(snapshot, answers, tmp_path, snapshot, answers)


HEADS: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("refund", "praise"))}


def test_rows_to_fill_have_the_columns_of_the_contract_and_each_text_once(folders: EvidenceFolders) -> None:
    rows = rows_worth_labelling(folders, HEADS, CONTRACT, ("text",), count=100)
    assert [row["text"] for row in rows] == [f"ticket {row}" for row in range(10)]
    assert list(rows[0]) == [*(column.name for column in CONTRACT.columns), CHOSEN]
    assert {row[name] for row in rows for name in LABELS} == {None}
    assert rows[0]["created_at"] == "2026-08-10T00:00:00+00:00"
    some = rows_worth_labelling(folders, HEADS, CONTRACT, ("text",), count=4)
    assert sorted(row[CHOSEN] for row in some) == [AT_RANDOM] * 2 + [MOST_TELLING] * 2
    assert some == rows_worth_labelling(folders, HEADS, CONTRACT, ("text",), count=4)


def test_a_window_without_good_rows_has_none_to_label(folders: EvidenceFolders) -> None:
    (folders.checked / "window.parquet").unlink()
    (folders.answers / "window.parquet").unlink()
    assert rows_worth_labelling(folders, HEADS, CONTRACT, ("text",), count=4) == []


@pytest.fixture
def data(ticket: dict[str, Any], tmp_path: Path) -> DataSettings:
    """A pipeline's sources, each of one ticket, and a place for rows labelled since."""
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ticket) + "\n", encoding="utf-8")
    source = {"kind": "json_lines", "path": str(path)}
    fresh = {"source": {"kind": "json_lines", "path": str(tmp_path / "fresh-{window}.jsonl")}, "held_out_share": 0.5}
    splits = {"train": source, "validation": source, "test": source}
    return DataSettings.model_validate({"contract": "support", **splits, "fresh": fresh})


def fill(rows: list[dict[str, Any]], data: DataSettings) -> None:
    assert data.fresh is not None
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    Path(data.fresh.address("week_9")).write_text(lines, encoding="utf-8")


def fresh_rows(data: DataSettings) -> list[dict[str, Any]]:
    """The rows of week_9, as a run with that window reads them."""
    (file,) = (of for of in locate_sources.fn(data, ("week_9",)).files if of.labelled_since)
    return [row for table in read_file(file, Reading(CONTRACT), io.StringIO()) for row in table.to_pylist()]


def test_a_filled_file_is_read_by_a_retraining_with_its_labels_as_typed(
    folders: EvidenceFolders, data: DataSettings, tmp_path: Path
) -> None:
    rows = rows_worth_labelling(folders, HEADS, CONTRACT, ("text",), count=6)
    filled = [{**row, **LABELS, "urgency": number / 8} for number, row in enumerate(rows[:4])]
    # One row is labelled for a single task, and nobody came to the last.
    fill([*filled, {**rows[4], "intent": "praise"}, rows[5]], data)
    found = fresh_rows(data)
    assert [(row["text"], row["urgency"]) for row in found[:4]] == [
        (row["text"], number / 8) for number, row in enumerate(rows[:4])
    ]
    assert all(row["intent"] == "refund" and row["entities"] == LABELS["entities"] for row in found[:4])
    assert [row["text"] for row in found[4:]] == [rows[4]["text"]]
    assert (found[4]["intent"], found[4]["sentiment"], found[4]["urgency"]) == ("praise", None, None)
    output = tmp_path / "read"
    output.mkdir()
    counts = read_sources(locate_sources.fn(data, ("week_9",)).files, Reading(CONTRACT), output)
    assert counts["train"] + counts.get("fresh_week_9", 0) == 1 + 5


def test_a_file_that_nobody_has_filled_in_yet_gives_no_rows(folders: EvidenceFolders, data: DataSettings) -> None:
    fill(rows_worth_labelling(folders, HEADS, CONTRACT, ("text",), count=6), data)
    assert fresh_rows(data) == []


def test_a_wrong_label_is_a_problem_of_its_row_and_of_no_other(folders: EvidenceFolders, data: DataSettings) -> None:
    rows = [{**row, **LABELS} for row in rows_worth_labelling(folders, HEADS, CONTRACT, ("text",), count=3)]
    fill([rows[0], {**rows[1], "urgency": "soon"}, rows[2]], data)
    (file,) = (of for of in locate_sources.fn(data, ("week_9",)).files if of.labelled_since)
    log = io.StringIO()
    (table,) = read_file(file, Reading(CONTRACT), log)
    assert table.column("text").to_pylist() == [rows[0]["text"], rows[2]["text"]]
    problem = json.loads(log.getvalue())
    assert (problem["row"], problem["column"]) == (2, "urgency")
    assert (problem["rule"], problem["value"]) == ("type: expected a number", "soon")


def test_why_a_row_was_chosen_is_left_out_of_fresh_rows_alone(folders: EvidenceFolders, data: DataSettings) -> None:
    rows = [{**row, **LABELS} for row in rows_worth_labelling(folders, HEADS, CONTRACT, ("text",), count=3)]
    fill(rows, data)
    assert CHOSEN not in fresh_rows(data)[0]
    assert data.fresh is not None
    moved = data.model_copy(update={"train": data.fresh.at("week_9")})
    (file,) = (of for of in locate_sources.fn(moved).files if of.split == "train")
    with pytest.raises(InputError, match="column '_chosen' is not in the contract"):
        list(read_file(file, Reading(CONTRACT), io.StringIO()))
    fill([{**row, "why": "?"} for row in rows], data)
    with pytest.raises(InputError, match="column 'why' is not in the contract"):
        fresh_rows(data)


def test_the_file_belongs_where_the_plan_looks_for_it(data: DataSettings) -> None:
    assert data.fresh is not None
    fill([{"text": "any"}], data)
    assert planned_files(data, ("week_9",), None)[-1].source.path == data.fresh.address("week_9")
