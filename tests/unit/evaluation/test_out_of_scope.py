from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from data_contracts.errors import InputError
from tasks.evaluation.out_of_scope import (
    Detection,
    average_precision,
    judge_detectors,
    read_detections,
    threshold_between,
    threshold_keeping,
    write_detections,
)
from tasks.modeling.heads import AnyHead, OrdinalHead, RegressionHead, SingleLabelHead
from tasks.modeling.label_scores import write_label_scores

Write = Callable[..., Path]
INTENT: dict[str, AnyHead] = {"intent": SingleLabelHead(column="intent", labels=("refund", "praise"))}
OF_SCORES = ["maximum_softmax", "maximum_logit", "energy"]


@pytest.fixture
def write_split(write_rows: Write, write_model_answers: Write) -> Callable[..., tuple[Path, Path]]:
    """Writes labels, label scores and states of one split; gives the folders of snapshot and answers."""

    def write(split: str, labels: list[str | None], scores: list[list[float]], states: list[list[float]]) -> tuple:  # type: ignore[type-arg]
        snapshot = write_rows(split, intent=labels)
        answers = write_model_answers("m", split, {"intent": ["refund"] * len(labels)}, embeddings=states)
        write_label_scores(answers, split, "intent", np.array(scores, dtype=np.float32))
        return snapshot, answers

    return write


def clear(rows: int, direction: list[float]) -> tuple[list[list[float]], list[list[float]]]:
    """Scores that grow from row to row, and one state for all."""
    return [[2.0 + row, 0.0] for row in range(rows)], [direction] * rows


def unclear(rows: int, direction: list[float]) -> tuple[list[list[float]], list[list[float]]]:
    return [[0.1 * row, 0.0] for row in range(rows)], [direction] * rows


def test_the_area_under_precision_and_recall_is_of_finding_rows_out_of_scope() -> None:
    # From the lowest score up: out, in, out. Precision is 1 at the first found and 2/3 at the second.
    assert average_precision(np.array([0.4]), np.array([0.1, 0.7])) == pytest.approx((1 + 2 / 3) / 2)


def test_the_areas_are_those_of_torchmetrics() -> None:
    random = np.random.default_rng(4)
    inside, outside = random.normal(1, 1, 200), random.normal(0, 1, 60)
    lowness = torch.tensor(-np.concatenate([inside, outside]))
    out = torch.tensor([0] * 200 + [1] * 60)
    wanted = float(binary_average_precision(lowness, out)), float(binary_auroc(lowness, out))
    from tasks.modeling.scores import auroc

    assert (average_precision(inside, outside), auroc(list(inside), list(outside))) == pytest.approx(wanted)


@pytest.mark.parametrize(("rows", "kept"), [(1, 1), (10, 10), (20, 19), (100, 95), (999, 950)])
def test_at_least_the_share_is_kept_and_not_a_row_more_than_it_takes(rows: int, kept: int) -> None:
    scores = np.random.default_rng(0).permutation(rows).astype(float)
    assert (scores >= threshold_keeping(scores, 0.95)).sum() == kept


def test_the_threshold_between_two_groups_is_half_way_where_they_are_parted_best() -> None:
    # Below 0.45 lie two of three out of scope and none of four in domain.
    assert threshold_between(np.array([0.5, 0.6, 0.8, 0.9]), np.array([0.1, 0.4, 0.7])) == pytest.approx(0.45)


def test_one_value_for_all_rows_is_its_own_threshold() -> None:
    assert threshold_between(np.array([0.5, 0.5]), np.array([0.5])) == 0.5


def test_every_detector_is_judged_on_every_split_without_labels(
    write_split: Callable[..., tuple[Path, Path]],
) -> None:
    write_split("validation", ["refund"] * 20, *clear(20, [1.0, 0.0]))
    write_split("test", ["refund"] * 4, *clear(4, [1.0, 0.0]))
    write_split("poems", [None] * 3, *unclear(3, [0.0, 1.0]))
    folders = write_split("recipes", [None] * 2, [[99.0, 0.0], [0.0, 0.0]], [[1.0, 0.0]] * 2)
    found = judge_detectors(*folders, INTENT, ["test", "poems", "recipes"])
    assert [(d.split, d.detector) for d in found] == [
        (split, detector) for detector in OF_SCORES for split in ("poems", "recipes")
    ]
    assert {d.detector for d in found if d.chosen} == {"maximum_softmax"}
    logit = {d.split: d for d in found if d.detector == "maximum_logit"}
    # 19 of validation's 20 rows lie from 3 on; of the four in domain one is at 2.
    assert logit["poems"] == Detection("intent", "poems", "maximum_logit", False, 1.0, 1.0, 0.0, 3.0, 1.0, 0.75, 4, 3)
    assert logit["recipes"].auroc == 0.5
    assert logit["recipes"].fpr_at_95_tpr == 0.5
    assert logit["recipes"].recall == 0.5


def test_detector_and_threshold_are_chosen_on_validation_rows_out_of_scope_where_there_are_such(
    write_split: Callable[..., tuple[Path, Path]],
) -> None:
    write_split("train", ["refund", "praise", None], [[5.0, 0.0]] * 3, [[1.0, 0.0], [0.9, 0.1], [0.0, -1.0]])
    write_split("validation", ["refund"] * 20, *clear(20, [1.0, 0.0]))
    write_split("test", ["refund", None, "praise"], *clear(3, [1.0, 0.0]))
    # By scores these are the surest of all; only their states give them away.
    sure = [[50.0, 0.0]] * 2
    write_split("poems_validation", [None] * 2, sure, [[0.0, 1.0]] * 2)
    folders = write_split("poems", [None] * 2, sure, [[0.0, 1.0]] * 2)
    found = judge_detectors(*folders, INTENT, ["test", "poems_validation", "poems"])
    assert {d.split for d in found} == {"poems"}
    (chosen,) = (d for d in found if d.chosen)
    assert chosen.detector in ("mahalanobis", "nearest_neighbours_1")
    assert (chosen.auroc, chosen.recall, chosen.kept) == (1.0, 1.0, 1.0)
    assert (chosen.inside, chosen.outside) == (2, 2)
    assert next(d for d in found if d.detector == "energy").auroc == 0.0


def test_without_validation_rows_out_of_scope_the_nearest_known_row_decides(
    write_split: Callable[..., tuple[Path, Path]],
) -> None:
    write_split("train", ["refund", "praise"], [[5.0, 0.0]] * 2, [[1.0, 0.0], [0.9, 0.1]])
    write_split("validation", ["refund"] * 20, *clear(20, [1.0, 0.0]))
    write_split("test", ["refund"] * 2, *clear(2, [1.0, 0.0]))
    folders = write_split("poems", [None] * 2, *clear(2, [0.0, 1.0]))
    (chosen,) = (d for d in judge_detectors(*folders, INTENT, ["test", "poems"]) if d.chosen)
    assert (chosen.detector, chosen.auroc, chosen.recall, chosen.kept) == ("nearest_neighbours_1", 1.0, 1.0, 1.0)


def test_the_choice_does_not_look_at_the_test_rows(write_split: Callable[..., tuple[Path, Path]]) -> None:
    def choice(test_scores: list[list[float]]) -> dict[str, float]:
        write_split("train", ["refund", "praise"], [[5.0, 0.0]] * 2, [[1.0, 0.0], [0.9, 0.1]])
        write_split("validation", ["refund"] * 20, *clear(20, [1.0, 0.0]))
        write_split("poems_validation", [None] * 3, *unclear(3, [0.0, 1.0]))
        write_split("test", ["refund"] * 2, test_scores, [[1.0, 0.0], [0.0, 1.0]])
        folders = write_split("poems", [None] * 2, test_scores[::-1], [[0.0, 1.0], [1.0, 0.0]])
        found = judge_detectors(*folders, INTENT, ["test", "poems_validation", "poems"])
        return {d.detector: d.threshold + 1000 * d.chosen for d in found}

    assert choice([[9.0, 0.0], [8.0, 0.0]]) == choice([[-9.0, 0.0], [0.0, 0.0]])


def test_a_task_without_one_label_a_text_and_one_with_labels_everywhere_have_no_detectors(
    write_rows: Write, write_model_answers: Write
) -> None:
    heads: dict[str, AnyHead] = {
        "urgency": RegressionHead(column="urgency"),
        "haste": OrdinalHead(column="haste", labels=("low", "high")),
    }
    for split in ("validation", "test", "poems"):
        rows = {"urgency": [0.5] if split != "poems" else [None], "haste": ["low"]}
        snapshot = write_rows(split, **rows)
        answers = write_model_answers("m", split, {"urgency": [0.5], "haste": ["low"]}, embeddings=[[1.0]])
        write_label_scores(answers, split, "haste", np.zeros((1, 2), dtype=np.float32))
    assert judge_detectors(snapshot, answers, heads, ["test", "poems"]) == []


def test_scores_that_are_no_numbers_name_the_split(write_split: Callable[..., tuple[Path, Path]]) -> None:
    write_split("validation", ["refund"] * 2, *clear(2, [1.0, 0.0]))
    write_split("test", ["refund"], *clear(1, [1.0, 0.0]))
    folders = write_split("poems", [None], [[float("nan"), 0.0]], [[1.0, 0.0]])
    with pytest.raises(InputError, match="on poems: 1 of 1 rows"):
        judge_detectors(*folders, INTENT, ["test", "poems"])


def test_detections_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    found = [Detection("intent", "poems", "energy", True, 0.9, 0.8, 0.3, -1.5, 0.7, 0.95, 4, 3)]
    write_detections(tmp_path / "detections.json", found)
    assert read_detections(tmp_path / "detections.json") == found
