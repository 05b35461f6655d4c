"""What fits into memory: halved, remembered, and kept to."""

from pathlib import Path

import pytest
import torch

from data_contracts.errors import InputError
from tasks.training import memory
from tasks.training.memory import (
    Ceiling,
    below,
    ceiling_of,
    half,
    is_out_of_memory,
    kernel_kills,
    known_ceiling,
    remember_ceiling,
    setup_of,
)
from tasks.training.recipe import Recipe


@pytest.mark.parametrize(
    ("ceiling", "rows_per_step", "longest", "expected"),
    [
        (Ceiling(2048, None), 64, 128, Ceiling(1024, None)),
        (Ceiling(2048, 16), 64, 128, Ceiling(1024, 8)),
        (Ceiling(2048, None), 8, 20, Ceiling(80, None)),  # a step has no more than eight rows of 20 tokens
        (Ceiling(2048, 4), 8, 20, Ceiling(40, 2)),
        (Ceiling(150, None), 8, 100, Ceiling(100, None)),  # the longest row has to pass
        (Ceiling(100, None), 8, 100, None),
        (Ceiling(2048, 1), 8, 100, None),
        (Ceiling(2048, None), 1, 100, None),
    ],
)
def test_half_is_less_than_what_was_held_and_one_row_cannot_be_halved(
    ceiling: Ceiling, rows_per_step: int, longest: int, expected: Ceiling | None
) -> None:
    assert half(ceiling, rows_per_step, longest) == expected


def test_a_recipe_is_kept_below_the_ceiling_and_otherwise_as_it_is() -> None:
    recipe = Recipe(tokens_per_batch=1000, rows_per_batch=10)
    assert below(recipe, None) == recipe
    assert below(recipe, Ceiling(2000, None)) == recipe
    assert below(recipe, Ceiling(500, 20)) == recipe.model_copy(update={"tokens_per_batch": 500})
    assert below(Recipe(), Ceiling(500, 4)) == Recipe(tokens_per_batch=500, rows_per_batch=4)


def test_a_recipe_that_leaves_micro_batches_to_the_device_has_those_that_suit_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ceiling_of(Recipe(tokens_per_batch=1000, rows_per_batch=10)) == Ceiling(1000, 10)
    for device, tokens in (("cpu", 2048), ("cuda", 16_384)):
        monkeypatch.setattr(memory, "device_of_choice", lambda device=device: torch.device(device))
        assert ceiling_of(Recipe()) == Ceiling(tokens, None)
        assert below(Recipe(), Ceiling(100_000, 4)) == Recipe(tokens_per_batch=tokens, rows_per_batch=4)


def test_ceilings_are_remembered_by_setup(tmp_path: Path) -> None:
    path = tmp_path / "home" / "ceilings.json"
    assert known_ceiling(path, "one") is None
    remember_ceiling(path, "one", Ceiling(512, None))
    remember_ceiling(path, "two", Ceiling(256, 8))
    remember_ceiling(path, "one", Ceiling(128, None))
    assert known_ceiling(path, "one") == Ceiling(128, None)
    assert known_ceiling(path, "two") == Ceiling(256, 8)
    assert known_ceiling(path, "three") is None
    assert [file.name for file in path.parent.iterdir()] == ["ceilings.json"]


def test_a_file_of_ceilings_that_is_damaged_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "ceilings.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"ceilings\.json is no JSON.*Delete it"):
        known_ceiling(tmp_path / "ceilings.json", "one")


def test_a_setup_is_told_from_others_by_what_memory_hangs_on_and_not_by_what_it_does_not() -> None:
    plain = setup_of(Recipe(), "d" * 64, 128, 1)
    assert "encoder dddddddddddd, 128 tokens, precision auto, dropout 0.1, frozen layers None, fixed" in plain
    for same in (Recipe(tokens_per_batch=8), Recipe(epochs=3), Recipe(processes=2)):
        assert setup_of(same, "d" * 64, 128, 2) == plain
    others = [
        setup_of(Recipe(), "e" * 64, 128, 1),
        setup_of(Recipe(), "d" * 64, 256, 1),
        setup_of(Recipe(precision="bf16"), "d" * 64, 128, 1),
        setup_of(Recipe(encoder_dropout=0.2), "d" * 64, 128, 1),
        setup_of(Recipe(frozen_layers=1), "d" * 64, 128, 1),
        setup_of(Recipe.model_validate({"loss_weighting": {"kind": "pcgrad"}}), "d" * 64, 128, 1),
        setup_of(Recipe(sharding="full"), "d" * 64, 128, 2),
        setup_of(Recipe(sharding="full"), "d" * 64, 128, 4),
    ]
    assert len({plain, *others}) == 9


def test_a_lack_of_memory_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as lacking:
        torch.empty(1 << 60)
    assert is_out_of_memory(lacking.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as other:
        torch.ones(2) @ torch.ones(3)
    assert not is_out_of_memory(other.value)
    assert not is_out_of_memory(ValueError("memory"))
    assert not is_out_of_memory(None)


def test_an_error_that_came_of_a_lack_of_memory_is_one() -> None:
    def record() -> None:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            torch.ones(2) @ torch.ones(3)  # as what is being recorded complains of where it stands

    with pytest.raises(RuntimeError) as found:
        record()
    assert not isinstance(found.value, torch.OutOfMemoryError)
    assert is_out_of_memory(found.value)


def test_what_the_kernel_has_ended_is_read_from_its_counters(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 12\noom_kill 3\npswpin 0\n", encoding="utf-8")
    assert kernel_kills(tmp_path / "vmstat") == 3
    assert kernel_kills(tmp_path / "elsewhere") == 0
    assert kernel_kills(Path("/proc/vmstat")) >= 0
