"""SetFit's second phase, in which body and head learn from labels end to end: a model for each set, one after another.

Its first phase learns from pairs of texts, which is other work.
"""

import sys

from benchmarks.measuring import Clock, report
from benchmarks.training_peers.work import (
    ENCODER_DROPOUT,
    ENCODER_LEARNING_RATE,
    HEAD_LEARNING_RATE,
    MAX_TOKENS,
    ROWS_PER_STEP,
    SETS,
    load_work,
    real_tokens,
)


def main(rows: int, epochs: int) -> None:
    """Trains on each set, and reports seconds and real tokens of all."""
    from setfit import SetFitModel

    from tasks.modeling.encoder import EncoderSettings, encoder_folder, set_dropout

    work, source = load_work(rows), encoder_folder(EncoderSettings().name, None)
    seconds = processor_seconds = 0.0
    for name in SETS:
        found = [(text, work.labels[name].index(label)) for text, task, label in work.train if task == name]
        model = SetFitModel.from_pretrained(
            str(source), use_differentiable_head=True, head_params={"out_features": len(work.labels[name])}
        )
        set_dropout(model.model_body, ENCODER_DROPOUT)
        texts, labels = [text for text, _ in found], [label for _, label in found]
        clock = Clock()
        model.fit(
            texts,
            labels,
            num_epochs=epochs,
            batch_size=ROWS_PER_STEP,
            body_learning_rate=ENCODER_LEARNING_RATE,
            head_learning_rate=HEAD_LEARNING_RATE,
            end_to_end=True,
            max_length=MAX_TOKENS,
            show_progress_bar=False,
        )
        seconds, processor_seconds = seconds + clock.seconds, processor_seconds + clock.processor_seconds
    report({"train": seconds}, {"tokens": real_tokens(work, source) * epochs}, processor_seconds)


if __name__ == "__main__":
    main(int(sys.argv[2]), int(sys.argv[3]))
