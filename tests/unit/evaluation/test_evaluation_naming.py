from tasks.evaluation.calibration import Calibration
from tasks.evaluation.report_scores import all_metrics
from tasks.evaluation.report_trust import calibration
from tasks.evaluation.scoring import Score

MEASURES = ("accuracy", "confidence", "ece", "ece_equal_mass", "brier", "log_loss")


def test_what_is_in_domain_stands_first_task_by_task() -> None:
    scores = [
        Score(task, split, metric, 0.5, 9)
        for split in ("noisy", "test", "angry")
        for task in ("mood", "intent")
        for metric in ("accuracy", "macro_f1")
    ]
    shown = [row[:3] for row in all_metrics(scores).tables[0].rows]
    assert shown[:4] == [
        *(("mood", "in domain", "accuracy"), ("mood", "in domain", "macro_f1")),
        *(("mood", "angry", "accuracy"), ("mood", "angry", "macro_f1")),
    ]
    assert shown[6:8] == [("intent", "in domain", "accuracy"), ("intent", "in domain", "macro_f1")]
    found = [
        Calibration("mood", split, 1.0, calibrated=True, rows=9, bins=(), **dict.fromkeys(MEASURES, 0.5))
        for split in ("noisy", "test")
    ]
    section = calibration(found)
    assert section is not None
    assert [row[:2] for row in section.tables[0].rows] == [("mood", "in domain"), ("mood", "noisy")]
