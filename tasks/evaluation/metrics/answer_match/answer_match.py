"""Scores of answers in a text, as a module that `evaluate.load` takes from this folder without a network."""

import datasets
import evaluate

from tasks.modeling import answer_scores


class AnswerMatch(evaluate.Metric):  # type: ignore[misc]
    """Token F1 and exact match of answers, as SQuAD has them."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="F1 of the words that an answer shares with the best of those wanted (token_f1), and the share "
            "of answers that are one of them (exact_match), 0 to 1; without case, punctuation and articles.",
            citation="https://arxiv.org/abs/1606.05250",
            inputs_description='predictions: texts, "" for no answer; references: lists of texts, none for no answer',
            features=datasets.Features(
                {
                    "predictions": datasets.Value("string"),
                    "references": datasets.Sequence(datasets.Value("string")),
                }
            ),
        )

    def _compute(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        return answer_scores.answer_match(predictions, references)
