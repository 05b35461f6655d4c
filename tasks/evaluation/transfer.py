"""Negative transfer: tasks that a model of their own answers better than the one that has learnt all tasks together.

Both have answered the same rows, and the interval of the difference comes from drawing these again, the same for both.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.evaluation.clusters import read_clusters
from tasks.evaluation.differences import interval_of_difference, paired_rows
from tasks.evaluation.scoring import IN_DOMAIN
from tasks.modeling.answers import read_answers, read_labels
from tasks.modeling.heads import AnyHead


@dataclass(frozen=True)
class Transfer:
    """Primary metric of a task by the model of all tasks (`together`) and by one of this task (`alone`).

    `low` and `high` bound the 95% paired bootstrap interval of the first less the second.
    """

    task: str
    split: str
    together: float
    alone: float
    low: float
    high: float
    rows: int

    @property
    def difference(self) -> float:
        """What learning together gains."""
        return self.together - self.alone

    @property
    def loses(self) -> bool:
        """Whether the task is worse off together, beyond chance."""
        return self.high < 0

    @property
    def gains(self) -> bool:
        """Whether the task is better off together, beyond chance."""
        return self.low > 0


def measure_transfer(
    snapshot: Path,
    heads: Mapping[str, AnyHead],
    together: Path,
    alone: Mapping[str, Path],
    splits: Iterable[str],
    group_column: str | None = None,
) -> list[Transfer]:
    """Every task of `alone`, which are folders of answers by task, on every split that has labels for it.

    Rows with the same value of `group_column` are drawn together.
    """
    found = []
    for split in splits:
        clusters = read_clusters(snapshot, split, group_column)
        for task, folder in alone.items():
            head = {task: heads[task]}
            labels = read_labels(snapshot, split, head)[task]
            first, second = (read_answers(of / f"{split}.parquet", head).answers[task] for of in (together, folder))
            paired = paired_rows(heads[task], labels, first, second, clusters)
            if not paired.known.any():
                continue
            values = [float(paired.score(of.sum(axis=0)[None])[0]) for of in (paired.candidate, paired.opponent)]
            low, high = interval_of_difference(paired)
            found.append(Transfer(task, split, values[0], values[1], low, high, int(paired.known.sum())))
    return found


def transfer_in_words(found: Iterable[Transfer]) -> list[str]:
    """Sentences that name the tasks that lose, and those that gain, in domain; one that says so where none does."""
    inside = [effect for effect in found if effect.split == IN_DOMAIN]
    if not inside:
        return []
    sentences = [
        f"{effect.task} loses by learning together: {effect.together:.3f}, and {effect.alone:.3f} alone "
        f"({effect.difference:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}]). Give it its own model, or more weight."
        for effect in inside
        if effect.loses
    ]
    if not sentences:
        sentences.append("No task loses by learning together, beyond chance.")
    if gaining := [f"{effect.task} {effect.difference:+.3f}" for effect in inside if effect.gains]:
        sentences.append(f"Gaining by it: {', '.join(gaining)}.")
    return sentences


def write_transfers(path: Path, found: list[Transfer]) -> None:
    """Writes them as JSON."""
    path.write_text(json.dumps([asdict(effect) for effect in found], indent=1), encoding="utf-8")


def read_transfers(path: Path) -> list[Transfer]:
    """What `write_transfers` wrote."""
    return [Transfer(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
