"""Memory: how many tokens a device holds at once, found by running out of it and remembered for the next training."""

import json
import logging
import os
from pathlib import Path
from typing import NamedTuple

from data_contracts.errors import InputError
from tasks.modeling.inference import device_of_choice
from tasks.training.recipe import Recipe

logger = logging.getLogger(__name__)
GIBIBYTE = 1 << 30
# Padded tokens of a micro-batch, where a recipe leaves them to the device.
TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 16_384}
# What a processor's memory lacks is a RuntimeError of no kind of its own, as torch says it.
NO_MEMORY_LEFT = "DefaultCPUAllocator: "
# Processes that the kernel has ended for memory since it started; in a container, those of its neighbours too.
KILLS = "oom_kill"


class Ceiling(NamedTuple):
    """The most that a micro-batch may hold; `rows` is None where the tokens alone decide."""

    tokens: int
    rows: int | None


def ceiling_of(recipe: Recipe) -> Ceiling:
    """What the recipe asks for, or else what suits the device of this process."""
    return Ceiling(recipe.tokens_per_batch or TOKENS_PER_BATCH[device_of_choice().type], recipe.rows_per_batch)


def below(recipe: Recipe, ceiling: Ceiling | None) -> Recipe:
    """The recipe with micro-batches that the ceiling allows; what is learnt is the same."""
    if ceiling is None:
        return recipe
    rows = min((rows for rows in (recipe.rows_per_batch, ceiling.rows) if rows is not None), default=None)
    tokens = min(ceiling_of(recipe).tokens, ceiling.tokens)
    return recipe.model_copy(update={"tokens_per_batch": tokens, "rows_per_batch": rows})


def half(ceiling: Ceiling, rows_per_step: int, longest: int) -> Ceiling | None:
    """Half of what a micro-batch held at most, or None where that was one row; the `longest` row has so many tokens."""
    rows = min(ceiling.rows or rows_per_step, rows_per_step)
    held = min(ceiling.tokens, rows * longest)
    if rows == 1 or held <= longest:
        return None
    return Ceiling(max(longest, held // 2), max(1, rows // 2) if ceiling.rows else None)


def known_ceiling(path: Path, setup: str) -> Ceiling | None:
    """What was found out for a setup, if anything was."""
    found = _read(path).get(setup)
    return Ceiling(**found) if found else None


def remember_ceiling(path: Path, setup: str, ceiling: Ceiling) -> None:
    """Keeps what was found out, atomically."""
    draft = path.with_suffix(f".{os.getpid()}.draft")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text(json.dumps({**_read(path), setup: ceiling._asdict()}, indent=1), encoding="utf-8")
    os.replace(draft, path)


def setup_of(recipe: Recipe, encoder_digest: str, max_tokens: int, processes: int) -> str:
    """All that memory hangs on besides the size of a micro-batch, for people and as a key."""
    parts = [
        _device_in_words(),
        f"encoder {encoder_digest[:12]}",
        f"{max_tokens} tokens",
        f"precision {recipe.precision}",
        f"dropout {recipe.encoder_dropout:g}",
        f"frozen layers {recipe.frozen_layers}",
        recipe.loss_weighting.kind,
        *([f"sharded over {processes}"] if recipe.sharding == "full" else []),
    ]
    return ", ".join(parts)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether a device, or the machine, has no memory left, as the error says or one that it came of."""
    if error is None:
        return False
    import torch

    lacking = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    said = isinstance(error, RuntimeError) and NO_MEMORY_LEFT in str(error)
    return lacking or said or is_out_of_memory(error.__cause__ or error.__context__)


def kernel_kills(counters: Path) -> int:
    """How many processes Linux has ended for memory so far; 0 on other systems."""
    if not counters.is_file():
        return 0
    found = dict(line.split() for line in counters.read_text(encoding="utf-8").splitlines())
    return int(found.get(KILLS, 0))


def _device_in_words() -> str:
    import torch

    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(torch.cuda.current_device())
        return f"{device.name} of {device.total_memory / GIBIBYTE:.0f} GiB"
    return f"CPU with {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIBIBYTE:.0f} GiB"


def _read(path: Path) -> dict[str, dict[str, int]]:
    if not path.is_file():
        return {}
    try:
        found: dict[str, dict[str, int]] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        remedy = "Delete it: what fits into memory is then found out anew."
        raise InputError(f"{path} is no JSON ({error}). {remedy}") from error
    return found
