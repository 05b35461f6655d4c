"""Entity F1, as a module that `evaluate.load` takes from this folder without a network."""

import datasets
import evaluate

from tasks.modeling import scores


class EntityF1(evaluate.Metric):  # type: ignore[misc]
    """Micro F1 over whole entities, strict (seqeval, IOB2)."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Micro F1 over whole entities, strict on kind and borders, 0 to 1.",
            citation="",
            inputs_description="predictions and references: lists of BIO tags",
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("string")),
                    "references": datasets.Sequence(datasets.Value("string")),
                }
            ),
        )

    def _compute(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        return {"entity_f1": scores.entity_f1(predictions, references)}
