"""F1 of lists of labels, as a module that `evaluate.load` takes from this folder without a network."""

import datasets
import evaluate

from tasks.modeling import scores


class LabelSetF1(evaluate.Metric):  # type: ignore[misc]
    """Micro and macro F1 of lists of labels, and how many are right as a whole."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="F1 over all labels of all texts (micro_f1), its mean over the labels among the references "
            "(macro_f1), and the share of lists that are right as a whole (exact_match), 0 to 1.",
            citation="",
            inputs_description="predictions and references: lists of labels",
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("string")),
                    "references": datasets.Sequence(datasets.Value("string")),
                }
            ),
        )

    def _compute(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        return scores.label_set_f1(predictions, references)
