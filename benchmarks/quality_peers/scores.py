"""The scores of a kept model on a split."""

import json
import sys
from pathlib import Path

from benchmarks.measuring import report
from benchmarks.quality_peers.work import score


def main(model: Path, split: str, file: Path, tasks: list[str]) -> None:
    """Writes them to `file`."""
    file.write_text(json.dumps(score(model, tasks, split)), encoding="utf-8")
    report({}, {})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
