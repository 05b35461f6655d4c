from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_contracts.drift import DriftVerdict
from tasks.drift.decision import DriftPolicy, WindowCounts, measure_window, triage
from tasks.drift.reference import freeze_reference
from tasks.modeling.heads import AnyHead, RegressionHead, SingleLabelHead

POLICY = DriftPolicy(
    alpha=0.01, accuracy_drop=0.05, broken_share=0.1, minimum_rows=50, minimum_fresh_rows=20, permutations=199
)
ENOUGH = WindowCounts(accepted=100, broken=10, fresh=20)


def measures(p_value: float, drop: float) -> dict[str, float]:
    return {
        "shift_p_value": p_value,
        "accuracy_intent_reference": 0.9,
        "accuracy_intent_estimated": 0.9 - drop,
        "accuracy_tone_reference": 0.8,
        "accuracy_tone_estimated": 0.8,
    }


@pytest.mark.parametrize(
    ("counts", "p_value", "drop", "verdict", "retrain"),
    [
        pytest.param(ENOUGH, 0.011, 0.5, "QUIET", False, id="no shift"),
        pytest.param(ENOUGH, 0.01, 0.04, "BENIGN", False, id="shift without harm"),
        pytest.param(ENOUGH, 0.01, -0.2, "BENIGN", False, id="shift to easier rows"),
        pytest.param(ENOUGH, 0.01, 0.06, "HARMFUL", True, id="shift with harm"),
        pytest.param(WindowCounts(100, 10, 19), 0.01, 0.06, "UNKNOWN", False, id="harm and too few fresh labels"),
        pytest.param(WindowCounts(100, 12, 20), 0.01, 0.06, "BAD_DATA", False, id="too many broken rows"),
        pytest.param(WindowCounts(49, 0, 20), 0.01, 0.06, "UNKNOWN", False, id="too few rows"),
        pytest.param(WindowCounts(0, 0, 20), 0.01, 0.06, "BAD_DATA", False, id="no rows"),
    ],
)
def test_only_a_shift_that_harms_and_can_be_learned_from_is_worth_a_retraining(
    counts: WindowCounts, p_value: float, drop: float, verdict: DriftVerdict, retrain: bool
) -> None:
    found, start, reasons = triage(counts, measures(p_value, drop), POLICY)
    assert (found, start) == (verdict, retrain)
    assert reasons


def test_the_reasons_name_the_task_that_suffers_and_by_how_much() -> None:
    _, _, reasons = triage(ENOUGH, measures(0.001, 0.1), POLICY)
    assert "estimated accuracy of intent -0.100" in reasons
    assert "estimated accuracy of tone +0.000" in reasons
    assert reasons[-1] == "harm to intent, and 20 freshly labelled rows to learn from"


@pytest.mark.parametrize("counts", [WindowCounts(100, 12, 0), WindowCounts(49, 0, 0), WindowCounts(0, 0, 0)])
def test_a_window_that_is_bad_or_too_small_is_triaged_without_measures(counts: WindowCounts) -> None:
    assert not counts.can_be_measured(POLICY)
    assert triage(counts, {}, POLICY)[0] in ("BAD_DATA", "UNKNOWN")


def test_a_window_measured_on_disk_shows_the_shift_and_the_loss_of_the_classifier_that_has_labels(
    write_rows: Callable[..., Path], write_model_answers: Callable[..., Path], tmp_path: Path
) -> None:
    heads: dict[str, AnyHead] = {
        "intent": SingleLabelHead(column="intent", labels=("a", "b")),
        "tone": SingleLabelHead(column="tone", labels=("a", "b")),
        "urgency": RegressionHead(column="urgency"),
    }
    random = np.random.default_rng(43)

    def answer(split: str, rows: int, shift: float) -> Path:
        confidences = {task: np.clip(random.normal(0.8 - shift, 0.05, rows), 0, 1).tolist() for task in heads}
        answers = {"intent": ["a"] * rows, "tone": ["a"] * rows, "urgency": [0.5] * rows}
        return write_model_answers("m", split, answers, confidences, random.normal(shift, 1, size=(rows, 3)))

    for split in ("validation", "test"):
        labels = {"intent": ["a"] * 36 + ["b"] * 4, "tone": [None] * 40, "urgency": [0.5] * 40}
        snapshot = write_rows(split, **labels)
        answer(split, 40, 0)
    freeze_reference(snapshot, answer("window", 60, 0.5), heads, tmp_path)
    found = measure_window(tmp_path, tmp_path / "answers" / "m", heads, POLICY)
    assert found["shift_p_value"] == 1 / 200
    assert found["accuracy_intent_reference"] == 0.9
    assert found["accuracy_intent_estimated"] < 0.1
    assert found.keys() == {
        "shift_p_value",
        "embedding_distance_z",
        "confidence_shift_z",
        "accuracy_intent_reference",
        "accuracy_intent_estimated",
    }
