"""The scores of a kept model on the test split, once."""

import json
import sys
from pathlib import Path

from benchmarks.measuring import report
from benchmarks.quality_peers.work import score


def main(kept: Path, tasks: list[str]) -> None:
    """Writes them beside the model."""
    (kept / "test.json").write_text(json.dumps(score(kept / "model", tasks, "test")), encoding="utf-8")
    report({}, {})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
