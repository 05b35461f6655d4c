"""graft on so many tasks and rows: every row carries a label of each task, which are all CLINC150's intents."""

import sys
from pathlib import Path

from benchmarks.measuring import report
from benchmarks.training_peers.graft import train
from benchmarks.training_peers.work import load_work

SET = "clinc150"


def main(folder: Path, rows: int, tasks: int) -> None:
    """Trains one epoch in `folder` and reports seconds and real tokens."""
    work = load_work(rows, (SET,))
    names = [f"task_{number}" for number in range(tasks)]
    splits = {
        split: {"text": [text for text, *_ in read], **{name: [label for *_, label in read] for name in names}}
        for split, read in (("train", work.train), ("validation", work.validation))
    }
    seconds, processor_seconds, tokens = train(
        folder, splits, dict.fromkeys(names, work.labels[SET]), epochs=1, precision="auto"
    )
    report({"train": seconds}, {"tokens": tokens}, processor_seconds)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
