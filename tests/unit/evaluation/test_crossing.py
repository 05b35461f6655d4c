"""Scores of several folds together."""

from pathlib import Path

import pytest

from tasks.evaluation.crossing import cross_scores, cross_table
from tasks.evaluation.scoring import Score, write_scores


def test_a_metric_over_folds_is_its_mean_and_how_far_folds_lie_apart(tmp_path: Path) -> None:
    for fold, value in enumerate((0.6, 0.8, 0.7)):
        own = Score("mood", "test", "accuracy", value, 10 + fold, primary=True)
        write_scores(tmp_path / f"{fold}.json", [own, Score("mood", "test", "macro_f1", value / 2, 10 + fold)])
    found = cross_scores([tmp_path / f"{fold}.json" for fold in range(3)])
    accuracy, macro_f1 = found
    assert (accuracy.task, accuracy.metric, accuracy.rows) == ("mood", "accuracy", 33)
    assert (accuracy.mean, accuracy.deviation) == pytest.approx((0.7, 0.1))
    assert (accuracy.lowest, accuracy.highest) == (0.6, 0.8)
    assert macro_f1.mean == pytest.approx(0.35)
    assert cross_table(found)[0]["mean"] == 0.7


def test_splits_out_of_domain_take_no_part_and_one_fold_has_no_deviation(tmp_path: Path) -> None:
    scores = [Score("mood", "test", "accuracy", 0.5, 10, True), Score("mood", "noisy", "accuracy", 0.1, 10, True)]
    write_scores(tmp_path / "0.json", scores)
    (found,) = cross_scores([tmp_path / "0.json"])
    assert (found.mean, found.deviation) == (0.5, 0.0)
