"""All that is measured of a model's answers, in one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.evaluation.calibration import measure_calibration, write_calibrations
from tasks.evaluation.label_checks import suspects_in_domain
from tasks.evaluation.label_errors import write_suspects
from tasks.evaluation.out_of_scope import judge_detectors, write_detections
from tasks.evaluation.scoring import SCORES, Score, score_splits, write_scores
from tasks.evaluation.slices import score_slices, write_slices
from tasks.modeling.heads import AnyHead

SLICES, CALIBRATION = "slices.json", "calibration.json"
OUT_OF_SCOPE, LABEL_ERRORS = "out_of_scope.json", "label_errors.json"


def assess_answers(
    snapshot: Path,
    answers: Path,
    heads: Mapping[str, AnyHead],
    splits: Sequence[str],
    text_columns: Sequence[str],
    output: Path,
    group_column: str | None = None,
) -> list[Score]:
    """Writes scores, slices, calibration, what is in scope, and labels to look at; returns the scores.

    Rows with the same value of `group_column` hang together, which all intervals allow for.
    """
    scores = score_splits(snapshot, answers, heads, splits, group_column)
    write_scores(output / SCORES, scores)
    slices = score_slices(snapshot, answers, heads, splits, text_columns, group_column=group_column)
    write_slices(output / SLICES, slices)
    write_calibrations(output / CALIBRATION, measure_calibration(snapshot, answers, heads, splits, group_column))
    write_detections(output / OUT_OF_SCOPE, judge_detectors(snapshot, answers, heads, splits))
    write_suspects(output / LABEL_ERRORS, suspects_in_domain(snapshot, answers, heads, text_columns))
    return scores
