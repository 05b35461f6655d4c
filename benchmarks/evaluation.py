"""How well graft knows what it does not know: CLINC150's texts out of scope, and calibration, beside published figures.

A model by the default recipe, which learns no text out of scope, as the published ones; benchmarks.quality keeps it for
both. Detector, threshold and temperature are chosen on the validation rows. The last line is one JSON object.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measuring import at_least
from benchmarks.quality import kept_run, trained_model
from benchmarks.quality_peers.work import OUT_OF_SCOPE as TASK
from benchmarks.quality_peers.work import write_data

# github.com/google/uncertainty-baselines, baselines/clinc_intent: 12 layers, 110 M parameters; AUPR is of finding
# texts out of scope by one less the largest probability.
PUBLISHED = {
    "BERT-base": {"auroc": 0.942, "aupr": 0.853, "ece": 0.0218, "log_loss": 0.186, "accuracy": 0.965},
    "BERT-base, SNGP": {"auroc": 0.969, "aupr": 0.908, "ece": 0.0104, "log_loss": 0.139, "accuracy": 0.969},
}
VALIDATION = ("validation", "oos_validation")
TEST = ("test", "oos_test")


def main() -> None:
    """Entry point of `python -m benchmarks.evaluation`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__)
    parser.add_argument(
        "--model", type=trained_model, help="folder of a trained model; by default one is trained or taken up"
    )
    parser.add_argument("--seed", type=at_least(0), default=13)
    parser.add_argument("--epochs", type=at_least(1), default=10, help="of the training, at most")
    parser.add_argument("--rows", type=at_least(1), help="training rows at most, drawn at random, for a quick look")
    parser.add_argument("--validation", action="store_true", help="scores the validation rows, to try settings on them")
    chosen = parser.parse_args()
    settings = {"epochs": chosen.epochs, "rows": chosen.rows, "recipe": {}, "seed": chosen.seed}
    model = chosen.model or kept_run("graft", [TASK], settings) / "model"
    inside, outside = VALIDATION if chosen.validation else TEST
    detections, calibrations = measure(model, inside, outside, chosen.rows)
    print(f"\n{TASK}, {detections[0].inside} rows of {inside} and {detections[0].outside} of {outside}")
    print(f"{'':34}   AUROC    AUPR   FPR95  recall    kept")
    for found in detections:
        rates = (found.auroc, found.aupr, found.fpr_at_95_tpr, found.recall, found.kept)
        name = f"{found.detector}{', chosen' if found.chosen else ''}"
        print(f"{name:34}" + "".join(f"{rate:8.3f}" for rate in rates))
    for name, figures in PUBLISHED.items():
        print(f"{name:34}{figures['auroc']:8.3f}{figures['aupr']:8.3f}")
    print(f"\n{'':34}     ECE    mass   Brier log-loss accuracy")
    for of in calibrations:
        name = f"temperature {of.temperature:.3f}"
        print(f"{name:34}{of.ece:8.4f}{of.ece_equal_mass:8.4f}{of.brier:8.4f}{of.log_loss:9.4f}{of.accuracy:9.4f}")
    for name, figures in PUBLISHED.items():
        print(f"{name:34}{figures['ece']:8.4f}{'':16}{figures['log_loss']:9.4f}{figures['accuracy']:9.4f}")
    print(
        json.dumps(
            {
                "split": inside,
                "detectors": {found.detector: asdict(found) for found in detections},
                "chosen": next(found.detector for found in detections if found.chosen),
                "calibration": [{k: v for k, v in asdict(of).items() if k != "bins"} for of in calibrations],
                "published": PUBLISHED,
            }
        )
    )


def measure(model: Path, inside: str, outside: str, rows: int | None) -> tuple[Sequence[Any], Sequence[Any]]:
    """Detections of every detector on the two splits, and calibrations on the first one."""
    from tasks.evaluation.calibration import measure_calibration
    from tasks.evaluation.detectors import fit_detectors
    from tasks.evaluation.out_of_scope import compare_detectors, known_rows, read_readings
    from tasks.modeling.answers import read_labels
    from tasks.modeling.calibration import fit_temperature
    from tasks.modeling.heads import heads_of
    from tasks.modeling.predicting import predict_splits

    splits = list(dict.fromkeys((*VALIDATION, inside, outside)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        snapshot, answers = folder / "snapshot", folder / "answers"
        write_data(folder, [TASK], ("train", *splits), rows)
        answers.mkdir()
        predict_splits(model, snapshot, folder / "tokens", splits, answers, sampled=["train"])
        readings = {split: read_readings(answers, split, TASK) for split in splits}
        # As at the end of every training, for models that were trained before there were temperatures.
        known = read_labels(snapshot, "validation", heads_of(model))[TASK]
        places = [heads_of(model)[TASK].labels.index(label) for label in known]
        temperature = fit_temperature(readings["validation"].scores, places)
        heads = {TASK: heads_of(model)[TASK].model_copy(update={"temperature": temperature})}
        detections = compare_detectors(
            TASK,
            fit_detectors(known_rows(snapshot, answers, TASK, heads[TASK])),
            readings["validation"],
            [readings["oos_validation"]],
            readings[inside],
            {outside: readings[outside]},
        )
        return detections, measure_calibration(snapshot, answers, heads, [inside])


if __name__ == "__main__":
    main()
