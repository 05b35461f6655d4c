"""Agreement of ranks, as a module that `evaluate.load` takes from this folder without a network."""

import datasets
import evaluate

from tasks.modeling import scores


class RankAgreement(evaluate.Metric):  # type: ignore[misc]
    """Quadratic weighted kappa and mean distance of ranks."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Quadratic weighted kappa, at most 1 and 0 by chance; mean absolute error in ranks.",
            citation="",
            inputs_description="predictions and references: ranks, counted from 0",
            features=datasets.Features({"predictions": datasets.Value("int32"), "references": datasets.Value("int32")}),
        )

    def _compute(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        return scores.rank_agreement(predictions, references)
