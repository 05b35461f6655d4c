"""tasknet: a Trainer that draws each batch from one task, of rows padded when they are tokenized and cut back later."""

import sys
from pathlib import Path
from typing import Any

from benchmarks.measuring import Clock, report
from benchmarks.training_peers.work import (
    ENCODER_DROPOUT,
    ENCODER_LEARNING_RATE,
    HEAD_DROPOUT,
    MAX_TOKENS,
    ROWS_PER_STEP,
    SEED,
    SETS,
    load_work,
    real_tokens,
)


def main(folder: Path, rows: int, epochs: int) -> None:
    """Trains on all sets, a task each, and reports seconds and real tokens."""
    import evaluate

    # It fetches a metric when it is imported, which nothing here computes.
    evaluate.load = lambda *_, **__: None
    import tasknet
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    from tasks.modeling.encoder import EncoderSettings, encoder_folder, set_dropout

    work, source = load_work(rows), encoder_folder(EncoderSettings().name, None)
    tasks = []
    for name in SETS:
        features = Features({"text": Value("string"), "labels": ClassLabel(names=work.labels[name])})
        splits = {}
        for split, read in (("train", work.train), ("validation", work.validation), ("test", work.validation)):
            found = [(text, label) for text, task, label in read if task == name]
            splits[split] = Dataset.from_dict(
                {"text": [text for text, _ in found], "labels": [label for _, label in found]}, features=features
            )
        tasks.append(tasknet.Classification(DatasetDict(splits), name=name, s1="text", y="labels"))
    settings: dict[str, Any] = {
        "model_name": str(source),
        "output_dir": str(folder),
        "learning_rate": ENCODER_LEARNING_RATE,
        "num_train_epochs": epochs,
        "per_device_train_batch_size": ROWS_PER_STEP,
        "max_length": MAX_TOKENS,
        "eval_strategy": "no",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "seed": SEED,
    }
    model = tasknet.Model(tasks, settings)
    for network in model.task_models_list:
        set_dropout(network.base_model, ENCODER_DROPOUT)
        network.dropout.p = HEAD_DROPOUT
    trainer = tasknet.Trainer(model, tasks, settings)
    clock = Clock()
    trainer.train()
    report({"train": clock.seconds}, {"tokens": real_tokens(work, source) * epochs}, clock.processor_seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
