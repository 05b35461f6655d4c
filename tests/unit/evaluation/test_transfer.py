import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_contracts.artifacts import Predictions, TrainedModel, ValidatedSnapshot
from tasks.evaluation.task import compare_with_single_tasks
from tasks.evaluation.transfer import (
    Transfer,
    measure_transfer,
    read_transfers,
    transfer_in_words,
    write_transfers,
)
from tasks.modeling.heads import AnyHead, HeadsAdapter, RegressionHead, SingleLabelHead
from tasks.storage.home import open_store

Write = Callable[..., Path]
HEADS: dict[str, AnyHead] = {
    "intent": SingleLabelHead(column="intent", labels=("refund", "praise")),
    "urgency": RegressionHead(column="urgency"),
}


def right_of(rows: int, right: int) -> list[str]:
    """Answers to rows that are all of refunds."""
    return ["refund"] * right + ["praise"] * (rows - right)


def test_the_difference_is_that_of_the_primary_metrics_on_the_same_rows(
    write_rows: Write, write_model_answers: Write
) -> None:
    snapshot = write_rows("test", intent=["refund"] * 400 + [None])
    together = write_model_answers("all", "test", {"intent": [*right_of(400, 300), "praise"]})
    alone = write_model_answers("own", "test", {"intent": [*right_of(400, 340), "refund"]})
    (found,) = measure_transfer(snapshot, HEADS, together, {"intent": alone}, ["test"])
    assert (found.task, found.split, found.rows) == ("intent", "test", 400)
    assert (found.together, found.alone) == (0.75, 0.85)
    assert found.difference == pytest.approx(-0.1)
    # A tenth of the rows differ, all to one side: a binomial share.
    half = 1.96 * (0.1 * 0.9 / 400) ** 0.5
    assert (found.low, found.high) == pytest.approx((-0.1 - half, -0.1 + half), abs=0.006)
    assert found.loses
    assert not found.gains


def test_equal_answers_differ_by_no_more_than_the_two_rows_that_each_interval_adds(
    write_rows: Write, write_model_answers: Write
) -> None:
    numbers = np.linspace(0, 1, 30)
    noisy = (numbers + np.random.default_rng(0).normal(size=30)).tolist()
    snapshot = write_rows("test", urgency=numbers.tolist())
    folders = [write_model_answers(name, "test", {"urgency": noisy}) for name in ("all", "own")]
    (found,) = measure_transfer(snapshot, HEADS, folders[0], {"urgency": folders[1]}, ["test"])
    assert found.difference == 0
    assert (found.low, found.high) == pytest.approx((-0.09, 0.09), abs=0.01)
    assert not found.loses
    assert not found.gains


def test_a_split_without_labels_for_a_task_says_nothing_of_it(write_rows: Write, write_model_answers: Write) -> None:
    write_rows("test", intent=["refund"], urgency=[0.5])
    snapshot = write_rows("poems", intent=[None], urgency=[0.1])
    for split in ("test", "poems"):
        folder = write_model_answers("m", split, {"intent": ["refund"], "urgency": [0.2]})
    found = measure_transfer(snapshot, HEADS, folder, dict.fromkeys(HEADS, folder), ["test", "poems"])
    assert [(effect.task, effect.split) for effect in found] == [
        ("intent", "test"),
        ("urgency", "test"),
        ("urgency", "poems"),
    ]


def test_the_sentences_name_the_tasks_that_lose_in_domain_and_those_that_gain() -> None:
    lost, won, even = (
        Transfer(task, "test", 0.8, 0.8 - difference, difference - 0.02, difference + 0.02, 100)
        for task, difference in (("intent", -0.05), ("mood", 0.03), ("topic", 0.01))
    )
    elsewhere = Transfer("topic", "poems", 0.1, 0.9, -0.9, -0.7, 10)
    assert transfer_in_words([lost, won, even, elsewhere]) == [
        "intent loses by learning together: 0.800, and 0.850 alone (-0.050 [-0.070, -0.030]). Give it its own model, "
        "or more weight.",
        "Gaining by it: mood +0.030.",
    ]
    assert transfer_in_words([even]) == ["No task loses by learning together, beyond chance."]
    assert transfer_in_words([elsewhere]) == []


def test_transfers_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    found = [Transfer("intent", "test", 0.75, 0.85, -0.13, -0.07, 400)]
    write_transfers(tmp_path / "transfers.json", found)
    assert read_transfers(tmp_path / "transfers.json") == found


def test_the_step_names_the_tasks_that_lose_on_any_split_that_is_judged(
    write_rows: Write,
    write_model_answers: Write,
    trained_model: Callable[[str], TrainedModel],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GRAFT_STORE", raising=False)
    network = tmp_path / "network"
    network.mkdir()
    (network / "model.json").write_text(json.dumps({"heads": HeadsAdapter.dump_python(HEADS, mode="json")}))
    numbers = np.linspace(0, 1, 200).tolist()
    for split in ("validation", "test"):
        snapshot = write_rows(split, intent=["refund"] * 200, urgency=numbers)
        right = 200 if split == "validation" else 100
        all_tasks = write_model_answers("all", split, {"intent": right_of(200, right), "urgency": numbers})
        write_model_answers("intent", split, {"intent": right_of(200, 150)})
        write_model_answers("urgency", split, {"urgency": numbers[::-1]})
    model = trained_model(published(network))
    rows = ValidatedSnapshot(
        digest=published(snapshot), contract="toys", contract_digest="0" * 64, rows={}, quarantined={}
    )
    together, *alone = (
        Predictions(digest=published(folder), model=model.digest, rows={"train": 1, "validation": 200, "test": 200})
        for folder in (all_tasks, all_tasks.parent / "intent", all_tasks.parent / "urgency")
    )
    found = compare_with_single_tasks.fn(together, dict(zip(HEADS, alone, strict=True)), rows, model)
    assert (found.losing, found.model) == (("intent",), model.digest)
    assert found.parents == (together.digest, *(of.digest for of in alone), rows.digest)
    intent, urgency = read_transfers(open_store().directory(found.digest) / "transfers.json")
    assert (intent.split, intent.together, intent.alone) == ("test", 0.5, 0.75)
    assert urgency.gains


def published(folder: Path) -> str:
    """The folder in the store; gives the digest."""
    store = open_store()
    with store.draft() as draft:
        shutil.copytree(folder, draft, dirs_exist_ok=True)
        return store.publish(draft)
