"""Macro F1, as a module that `evaluate.load` takes from this folder without a network."""

import datasets
import evaluate

from tasks.modeling import scores


class MacroF1(evaluate.Metric):  # type: ignore[misc]
    """Mean F1 of the classes that occur."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Mean of the F1 of each class among the references, 0 to 1.",
            citation="",
            inputs_description="predictions and references: labels",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        return {"macro_f1": scores.macro_f1(predictions, references)}
