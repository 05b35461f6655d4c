"""Every metric module against another library's number for the same random answers."""

from collections.abc import Callable
from typing import Any

import evaluate
import numpy as np
import pytest
import torch
from nervaluate import Evaluator
from netcal.metrics import ECE
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_accuracy,
    multiclass_cohen_kappa,
    multiclass_f1_score,
    multilabel_exact_match,
    multilabel_f1_score,
)
from torchmetrics.functional.regression import mean_absolute_error, pearson_corrcoef, spearman_corrcoef
from torchmetrics.functional.text import squad

from tasks.evaluation.scoring import METRICS
from tasks.modeling.scores import CALIBRATION_BINS

ROWS, LABELS = 400, ("a", "b", "c", "d", "e")
KINDS = ("PERSON", "PLACE")
WORDS = ("Oslo", "the", "harbour", "in", "Lima", "red", "an", "ship")
Oracle = Callable[[Any, Any], dict[str, float]]


def positions(random: np.random.Generator) -> tuple[list[int], list[int]]:
    """Answers of which two in three are right."""
    wanted = random.integers(0, len(LABELS), ROWS)
    given = np.where(random.random(ROWS) < 2 / 3, wanted, random.integers(0, len(LABELS), ROWS))
    return given.tolist(), wanted.tolist()


def names(random: np.random.Generator) -> tuple[list[str], list[str]]:
    given, wanted = positions(random)
    return [LABELS[at] for at in given], [LABELS[at] for at in wanted]


def label_lists(random: np.random.Generator) -> tuple[list[list[str]], list[list[str]]]:
    wanted = random.random((ROWS, len(LABELS))) < 0.3
    given = wanted ^ (random.random(wanted.shape) < 0.1)
    return tuple([[LABELS[at] for at in np.flatnonzero(row)] for row in of] for of in (given, wanted))  # type: ignore[return-value]


def tags(random: np.random.Generator) -> tuple[list[list[str]], list[list[str]]]:
    """Legal tags of ten words a text; half of the answers are those of the text, the others drawn anew."""
    wanted = [_tags_of_text(random) for _ in range(ROWS)]
    return [of if random.random() < 0.5 else _tags_of_text(random) for of in wanted], wanted


def answers(random: np.random.Generator) -> tuple[list[str], list[list[str]]]:
    wanted = [[_words(random) for _ in range(random.integers(1, 3))] for _ in range(ROWS)]
    return [of[0] if random.random() < 0.3 else _words(random) for of in wanted], wanted


def numbers(random: np.random.Generator) -> tuple[list[float], list[float]]:
    wanted = random.normal(size=ROWS)
    return (wanted + random.normal(size=ROWS)).tolist(), wanted.tolist()


def confidences(random: np.random.Generator) -> tuple[list[float], list[int]]:
    """Too sure by far: right only as often as the square of the confidence says."""
    given = random.random(ROWS)
    return given.tolist(), (random.random(ROWS) < given**2).astype(int).tolist()


def label_tensors(given: Any, wanted: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.tensor([LABELS.index(label) for label in of]) for of in (given, wanted))  # type: ignore[return-value]


def accuracy_of_torchmetrics(given: Any, wanted: Any) -> dict[str, float]:
    found = multiclass_accuracy(*label_tensors(given, wanted), num_classes=len(LABELS), average="micro")
    return {"accuracy": float(found)}


def macro_f1_of_torchmetrics(given: Any, wanted: Any) -> dict[str, float]:
    found = multiclass_f1_score(*label_tensors(given, wanted), num_classes=len(LABELS), average="macro")
    return {"macro_f1": float(found)}


def entity_f1_of_nervaluate(given: Any, wanted: Any) -> dict[str, float]:
    found = Evaluator(wanted, given, tags=list(KINDS), loader="list").evaluate()
    return {"entity_f1": float(found["overall"]["strict"].f1)}


def label_set_f1_of_torchmetrics(given: Any, wanted: Any) -> dict[str, float]:
    pair = [torch.tensor([[int(label in row) for label in LABELS] for row in of]) for of in (given, wanted)]
    return {
        "micro_f1": float(multilabel_f1_score(*pair, num_labels=len(LABELS), average="micro")),
        "macro_f1": float(multilabel_f1_score(*pair, num_labels=len(LABELS), average="macro")),
        "exact_match": float(multilabel_exact_match(*pair, num_labels=len(LABELS))),
    }


def rank_agreement_of_torchmetrics(given: Any, wanted: Any) -> dict[str, float]:
    pair = torch.tensor(given), torch.tensor(wanted)
    return {
        "quadratic_weighted_kappa": float(multiclass_cohen_kappa(*pair, num_classes=len(LABELS), weights="quadratic")),
        "mean_absolute_error": float(mean_absolute_error(pair[0].double(), pair[1].double())),
    }


def answer_match_of_torchmetrics(given: Any, wanted: Any) -> dict[str, float]:
    predictions = [{"id": str(row), "prediction_text": text} for row, text in enumerate(given)]
    references = [
        {"id": str(row), "answers": {"text": texts, "answer_start": [0] * len(texts)}}
        for row, texts in enumerate(wanted)
    ]
    found = squad(predictions, references)
    return {"token_f1": float(found["f1"]) / 100, "exact_match": float(found["exact_match"]) / 100}


def correlation_of_torchmetrics(given: Any, wanted: Any) -> dict[str, float]:
    pair = torch.tensor(given, dtype=torch.double), torch.tensor(wanted, dtype=torch.double)
    return {
        "pearson": float(pearson_corrcoef(*pair)),
        "spearman": float(spearman_corrcoef(*pair)),
        "mean_absolute_error": float(mean_absolute_error(*pair)),
    }


def calibration_error_of_torchmetrics(given: Any, wanted: Any) -> dict[str, float]:
    pair = torch.tensor(given, dtype=torch.double), torch.tensor(wanted)
    return {"expected_calibration_error": float(binary_calibration_error(*pair, n_bins=CALIBRATION_BINS, norm="l1"))}


def calibration_error_of_netcal(given: Any, wanted: Any) -> dict[str, float]:
    return {"expected_calibration_error": float(ECE(CALIBRATION_BINS).measure(np.array(given), np.array(wanted)))}


PAIRS: list[tuple[str, Callable[[np.random.Generator], tuple[Any, Any]], Oracle]] = [
    ("accuracy", names, accuracy_of_torchmetrics),
    ("macro_f1", names, macro_f1_of_torchmetrics),
    ("entity_f1", tags, entity_f1_of_nervaluate),
    ("label_set_f1", label_lists, label_set_f1_of_torchmetrics),
    ("rank_agreement", positions, rank_agreement_of_torchmetrics),
    ("answer_match", answers, answer_match_of_torchmetrics),
    ("correlation", numbers, correlation_of_torchmetrics),
    ("expected_calibration_error", confidences, calibration_error_of_torchmetrics),
    ("expected_calibration_error", confidences, calibration_error_of_netcal),
]


def test_every_metric_has_an_oracle() -> None:
    modules = {path.name for path in METRICS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert modules
    assert {name for name, _, _ in PAIRS} == modules


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("name", "draw", "oracle"), PAIRS, ids=[oracle.__name__ for _, _, oracle in PAIRS])
def test_a_metric_is_what_another_library_makes_of_the_same_answers(
    name: str, draw: Callable[[np.random.Generator], tuple[Any, Any]], oracle: Oracle, seed: int
) -> None:
    predictions, references = draw(np.random.default_rng(seed))
    found = evaluate.load(str(METRICS / name)).compute(predictions=predictions, references=references)
    wanted = oracle(predictions, references)
    assert found == pytest.approx(wanted, abs=1e-5)
    # What is compared says something: neither all right nor all wrong.
    assert all(abs(value) > 0.02 and value != 1 for value in wanted.values())


def _tags_of_text(random: np.random.Generator) -> list[str]:
    found: list[str] = []
    while len(found) < 10:
        kind, length = random.choice(KINDS), int(random.integers(1, 4))
        found += ["O"] * length if random.random() < 0.5 else [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
    return found[:10]


def _words(random: np.random.Generator) -> str:
    """Never articles alone, which are an answer to SQuAD 1.1's script and none to that of 2.0, which is ours."""
    return " ".join([WORDS[0], *random.choice(WORDS, size=random.integers(0, 3))])
