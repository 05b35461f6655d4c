"""Pearson and Spearman correlation, as a module that `evaluate.load` takes from this folder without a network."""

import datasets
import evaluate

from tasks.modeling import scores


class Correlation(evaluate.Metric):  # type: ignore[misc]
    """Linear and rank correlation."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Linear (pearson) and rank (spearman) correlation; mean absolute error in label units.",
            citation="",
            inputs_description="predictions and references: numbers",
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("float64")}
            ),
        )

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, float]:
        return scores.correlation(predictions, references)
