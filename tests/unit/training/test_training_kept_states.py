"""States on disk: whole or absent, and in memory where the disk has no room."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tasks.training import kept_states as module
from tasks.training.kept_states import RowStates, keep_states, layout_order

LENGTHS = [2, 5, 3, 5]
PIECES = [torch.arange(30.0).view(10, 3) / 7, torch.arange(30.0, 45.0).view(5, 3) / 7]
WHOLE = torch.cat(PIECES)


def counted(dtype: torch.dtype = torch.float32) -> tuple[list[int], Callable[[], Iterator[Tensor]]]:
    """A computation in two pieces, and what it did so far."""
    done: list[int] = []

    def compute() -> Iterator[Tensor]:
        for number, piece in enumerate(PIECES):
            done.append(number)
            yield piece.to(dtype)

    return done, compute


def test_the_states_of_a_row_are_found_where_the_order_by_length_puts_them() -> None:
    assert layout_order(LENGTHS) == [1, 3, 2, 0]
    rows = RowStates(WHOLE, LENGTHS)
    assert torch.equal(rows.at(1), WHOLE[0:5])
    assert torch.equal(rows.at(3), WHOLE[5:10])
    assert torch.equal(rows.at(2), WHOLE[10:13])
    assert torch.equal(rows.at(0), WHOLE[13:15])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_states_are_the_same_to_the_bit_on_disk_and_are_not_computed_twice(tmp_path: Path, dtype: torch.dtype) -> None:
    done, compute = counted(dtype)
    for _ in range(2):
        kept = keep_states(tmp_path / "new" / "states.bin", (15, 3), dtype, compute)
        assert kept is not None
        assert kept.dtype == dtype
        assert torch.equal(kept, WHOLE.to(dtype))
    assert done == [0, 1]
    assert not (tmp_path / "new" / "states.draft").exists()


def test_a_computation_that_was_broken_off_leaves_nothing_that_would_be_taken_up(tmp_path: Path) -> None:
    def broken() -> Iterator[Tensor]:
        yield PIECES[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_states(tmp_path / "states.bin", (15, 3), torch.float32, broken)
    done, compute = counted()
    kept = keep_states(tmp_path / "states.bin", (15, 3), torch.float32, compute)
    assert kept is not None
    assert torch.equal(kept, WHOLE)
    assert done == [0, 1]


def test_a_file_of_another_size_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "states.bin").write_bytes(b"half of it")
    kept = keep_states(tmp_path / "states.bin", (15, 3), torch.float32, counted()[1])
    assert kept is not None
    assert torch.equal(kept, WHOLE)


def test_without_room_on_disk_states_are_kept_in_memory_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "FREE_BYTES_LEFT", 1 << 60)
    kept = keep_states(tmp_path / "states.bin", (15, 3), torch.float32, counted()[1])
    assert kept is not None
    assert torch.equal(kept, WHOLE)
    assert f"kept in memory, for the disk of {tmp_path} is full" in caplog.text
    assert not (tmp_path / "states.bin").exists()


def test_a_disk_that_is_full_before_the_file_is_whole_costs_only_the_file(tmp_path: Path) -> None:
    # A device that takes no byte, as a full disk does.
    (tmp_path / "states.draft").symlink_to("/dev/full")
    kept = keep_states(tmp_path / "states.bin", (15, 3), torch.float32, counted()[1])
    assert kept is not None
    assert torch.equal(kept, WHOLE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["states.lock"]


def test_states_for_which_there_is_no_room_at_all_are_not_kept_and_the_log_says_what_would_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FREE_BYTES_LEFT", 1 << 60)
    monkeypatch.setattr(module, "MOST_BYTES_IN_MEMORY", 4 * 45)
    assert keep_states(tmp_path / "states.bin", (15, 3), torch.float32, counted()[1]) is not None
    monkeypatch.setattr(module, "MOST_BYTES_IN_MEMORY", 4 * 45 - 1)
    done, compute = counted()
    assert keep_states(tmp_path / "states.bin", (15, 3), torch.float32, compute) is None
    assert done == []
    assert "computed in every step: what they give takes 0.00 GiB, too much for memory" in caplog.text
    assert "With more room there, training is faster" in caplog.text


def test_of_several_that_want_the_same_states_at_once_one_computes_them(tmp_path: Path) -> None:
    done, compute = counted()
    kept: list[Tensor | None] = []

    def keep() -> None:
        kept.append(keep_states(tmp_path / "states.bin", (15, 3), torch.float32, compute))

    threads = [threading.Thread(target=keep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [0, 1]
    assert [states is not None and torch.equal(states, WHOLE) for states in kept] == [True] * 4
