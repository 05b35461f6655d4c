import socket
from typing import Any, get_args

import evaluate
import pytest

from tasks.evaluation.scoring import METRICS
from tasks.modeling.heads import (
    AnyHead,
    Head,
    MetricInputs,
    MultiLabelHead,
    OrdinalHead,
    RegressionHead,
    SingleLabelHead,
    SpanHead,
    TokenTagHead,
)

LABELS = ["a", "b", "b", "a"], ["a", "b", "a", "a"]
TAGS = [["B-X", "I-X", "O"], ["B-Y"], ["O"]], [["B-X", "I-X", "O"], ["B-X"], ["O"]]
LISTS = [["a"], [], ["a", "b"]], [["a"], [], ["b"]]
RANKS = [0, 2, 1], [0, 1, 2]
ANSWERS = ["in Oslo now", "", "the Hue"], [["Oslo", "Lima"], [], ["Hue."]]
NUMBERS = [1.0, 2.0, 4.0], [2.0, 4.0, 8.0]

# predictions, references, and the values worked out by hand
EXAMPLES: dict[str, tuple[Any, Any, dict[str, float]]] = {
    "accuracy": (*LABELS, {"accuracy": 3 / 4}),
    # a: 2 found and right, 1 missed: 4/5; b: 1 right, 1 wrong: 2/3.
    "macro_f1": (*LABELS, {"macro_f1": (4 / 5 + 2 / 3) / 2}),
    # One entity is right; the other has the right place and the wrong kind, so it is wrong and missed.
    "entity_f1": (*TAGS, {"entity_f1": 2 / 4}),
    # a: 1 right, 1 wrong: 2/3; b: 1 right. All of them: 2 right, 1 wrong.
    "label_set_f1": (*LISTS, {"micro_f1": 4 / 5, "macro_f1": (2 / 3 + 1) / 2, "exact_match": 2 / 3}),
    # Squared distances 0, 1 and 1 in three rows, and 12 in the nine pairs of any with any.
    "rank_agreement": (*RANKS, {"quadratic_weighted_kappa": 1 - (2 / 3) / (12 / 9), "mean_absolute_error": 2 / 3}),
    # The first shares one word of three and one; no answer is right where none is.
    "answer_match": (*ANSWERS, {"token_f1": (2 / 4 + 1 + 1) / 3, "exact_match": 2 / 3}),
    "correlation": (*NUMBERS, {"pearson": 1.0, "spearman": 1.0, "mean_absolute_error": 7 / 3}),
    # Two rows at 0.9, both right, and two at 0.6, one right: gaps of 0.1 and 0.1.
    "expected_calibration_error": ([0.9, 0.9, 0.6, 0.6], [1, 1, 1, 0], {"expected_calibration_error": 0.1}),
}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a metric went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def inputs_by_kind() -> dict[type[Head], MetricInputs]:
    tags = [{"tokens": ["w"] * len(of_row), "tags": of_row} for of_row in TAGS[1]]
    return {
        SingleLabelHead: SingleLabelHead(labels=("a", "b")).metric_inputs(*LABELS, [0.9] * 4),
        MultiLabelHead: MultiLabelHead(labels=("a", "b")).metric_inputs(*LISTS, [0.9] * 3),
        OrdinalHead: OrdinalHead(labels=("a", "b")).metric_inputs(*LABELS, [0.9] * 4),
        TokenTagHead: TokenTagHead(labels=("O", "B-X", "I-X", "B-Y", "I-Y")).metric_inputs(TAGS[0], tags, [0.9] * 3),
        RegressionHead: RegressionHead().metric_inputs(*NUMBERS, [1.0] * 3),
        SpanHead: SpanHead().metric_inputs(*([{"text": text} for text in of] for of in ANSWERS), [0.9] * 3),
    }


def test_the_folders_of_metrics_are_those_that_heads_name() -> None:
    found = inputs_by_kind()
    assert set(found) == set(get_args(get_args(AnyHead)[0]))
    named = {name for inputs in found.values() for name in inputs}
    assert named == {path.name for path in METRICS.iterdir() if path.name != "__pycache__"} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_metric_loads_from_its_folder_and_gives_the_value_worked_out_by_hand(name: str) -> None:
    predictions, references, wanted = EXAMPLES[name]
    found = evaluate.load(str(METRICS / name)).compute(predictions=predictions, references=references)
    assert found == pytest.approx(wanted)


def test_metrics_combine() -> None:
    both = evaluate.combine([str(METRICS / "accuracy"), str(METRICS / "macro_f1")])
    found = both.compute(predictions=LABELS[0], references=LABELS[1])
    assert found == pytest.approx({**EXAMPLES["accuracy"][2], **EXAMPLES["macro_f1"][2]})


@pytest.mark.parametrize("kind", inputs_by_kind(), ids=lambda kind: kind.__name__)
def test_a_metric_takes_what_a_head_gives_it(kind: type[Head]) -> None:
    for name, (predictions, references) in inputs_by_kind()[kind].items():
        found = evaluate.load(str(METRICS / name)).compute(predictions=predictions, references=references)
        assert found.keys() == EXAMPLES[name][2].keys()
