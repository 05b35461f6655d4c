"""Expected calibration error, as a module that `evaluate.load` takes from this folder without a network."""

import datasets
import evaluate

from tasks.modeling import scores


class ExpectedCalibrationError(evaluate.Metric):  # type: ignore[misc]
    """Mean gap of confidence and accuracy over 15 bins."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Mean gap of confidence and accuracy over 15 bins of equal width, 0 to 1; smaller is better.",
            citation="",
            inputs_description="predictions: confidences; references: 1 where the answer was right, else 0",
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("int32")}
            ),
        )

    def _compute(self, predictions: list[float], references: list[int]) -> dict[str, float]:
        return {
            "expected_calibration_error": scores.expected_calibration_error(predictions, [bool(r) for r in references])
        }
