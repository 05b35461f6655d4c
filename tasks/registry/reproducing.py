"""Two trainings of the same: whether their weights are the same bytes, and how far apart they are where not."""

from dataclasses import dataclass
from pathlib import Path

from tasks.registry.passport import WEIGHTS, sha256_of


@dataclass(frozen=True)
class WeightDifference:
    """`equal` bytes; else the largest and the mean distance of a weight, which of them moves most, and how many do.

    `unlike` are weights that only one of the two has, or in another shape.
    """

    equal: bool
    before: str
    after: str
    largest: float = 0.0
    mean: float = 0.0
    where: str = ""
    moved: int = 0
    weights: int = 0
    unlike: tuple[str, ...] = ()


def compare_weights(before: Path, after: Path) -> WeightDifference:
    """What sets the weights in two model folders apart."""
    digests = [sha256_of(folder / WEIGHTS) or "" for folder in (before, after)]
    if digests[0] == digests[1]:
        return WeightDifference(True, digests[0], digests[1])
    from safetensors.torch import load_file

    old, new = (load_file(folder / WEIGHTS) for folder in (before, after))
    unlike = {name for name in old | new if name not in old or name not in new or old[name].shape != new[name].shape}
    largest, where, total, moved, count = 0.0, "", 0.0, 0, 0
    for name in sorted(old.keys() & new.keys() - unlike):
        distances = (old[name].double() - new[name].double()).abs()
        total, count, moved = (
            total + float(distances.sum()),
            count + distances.numel(),
            moved + int((distances > 0).sum()),
        )
        if distances.numel() and float(distances.max()) > largest:
            largest, where = float(distances.max()), name
    mean = total / max(1, count)
    return WeightDifference(False, digests[0], digests[1], largest, mean, where, moved, count, tuple(sorted(unlike)))
