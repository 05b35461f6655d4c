"""Rows in domain cut into folds."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.errors import InputError
from tasks.preparation.folds import cut_folds
from tasks.preparation.settings import Folding

FOLDS = 4
MOODS = ["good"] * 12 + ["bad"] * 8


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """Twenty rows in domain, two of them of the same words, three out of domain, and another file."""
    folder = tmp_path / "snapshot"
    folder.mkdir()
    texts = [f"text {number}" for number in range(20)]
    texts[19] = "Text, 3!"
    rows = [{"_id": f"r{n}", "text": t, "mood": m} for n, (t, m) in enumerate(zip(texts, MOODS, strict=True))]
    for split, part in {"train": rows[:14], "validation": rows[14:17], "test": rows[17:]}.items():
        pq.write_table(pa.Table.from_pylist(part), folder / f"{split}.parquet")
    pq.write_table(pa.Table.from_pylist(rows[:3]), folder / "noisy.parquet")
    (folder / "quarantine.json").write_text("[]", encoding="utf-8")
    return folder


def cut(snapshot: Path, fold: int, **changed: Any) -> tuple[Path, dict[str, int]]:
    settings = {"folds": FOLDS, "texts": ("text",), "group_column": None, "strata": "mood", "seed": 1} | changed
    output = snapshot.parent / f"fold-{fold}-{len(list(snapshot.parent.iterdir()))}"
    output.mkdir()
    return output, cut_folds(snapshot, fold, Folding.model_validate(settings), output)


def ids(folder: Path, split: str) -> list[str]:
    found: list[str] = pq.read_table(folder / f"{split}.parquet").column("_id").to_pylist()
    return found


def test_every_row_is_tested_once_and_never_by_a_model_that_has_seen_it(snapshot: Path) -> None:
    tested = []
    for fold in range(FOLDS):
        folder, counts = cut(snapshot, fold)
        parts = {split: ids(folder, split) for split in ("train", "validation", "test")}
        assert Counter(row for part in parts.values() for row in part) == Counter(f"r{n}" for n in range(20))
        assert counts == {split: len(part) for split, part in parts.items()} | {"noisy": 3}
        tested += parts["test"]
    assert Counter(tested) == Counter(f"r{n}" for n in range(20))


def test_texts_of_the_same_words_stay_in_one_part(snapshot: Path) -> None:
    for fold in range(FOLDS):
        folder, _ = cut(snapshot, fold)
        assert any({"r3", "r19"} <= set(ids(folder, split)) for split in ("train", "validation", "test"))


def test_each_fold_has_about_the_same_share_of_every_label(snapshot: Path) -> None:
    for fold in range(FOLDS):
        folder, _ = cut(snapshot, fold)
        found = Counter(pq.read_table(folder / "test.parquet").column("mood").to_pylist())
        assert 2 <= found["good"] <= 4
        assert 1 <= found["bad"] <= 3


def test_rows_of_one_group_stay_together(snapshot: Path) -> None:
    for fold in range(2):
        folder, _ = cut(snapshot, fold, folds=2, group_column="mood", strata=None)
        parts = (
            pq.read_table(folder / f"{split}.parquet").column("mood").to_pylist() for split in ("validation", "test")
        )
        assert sorted(set(mood) for mood in map(tuple, parts)) in ([{"bad"}, {"good"}], [{"good"}, {"bad"}])


def test_rows_without_a_group_stand_alone_but_for_those_of_the_same_words(snapshot: Path) -> None:
    for split in ("train", "validation", "test"):
        table = pq.read_table(snapshot / f"{split}.parquet")
        shops = [int(name[1:]) % 2 if int(name[1:]) < 3 else None for name in table.column("_id").to_pylist()]
        pq.write_table(table.append_column("shop", pa.array(shops, pa.int64())), snapshot / f"{split}.parquet")
    for fold in range(FOLDS):
        folder, counts = cut(snapshot, fold, group_column="shop", strata=None)
        parts = [set(ids(folder, split)) for split in ("train", "validation", "test")]
        assert 3 <= counts["test"] <= 7
        for together in ({"r0", "r2"}, {"r3", "r19"}):
            assert any(together <= part for part in parts)


def test_what_is_out_of_domain_and_all_else_is_copied(snapshot: Path) -> None:
    folder, _ = cut(snapshot, 0)
    for name in ("noisy.parquet", "quarantine.json"):
        assert (folder / name).read_bytes() == (snapshot / name).read_bytes()


def test_the_same_seed_cuts_alike_and_another_otherwise(snapshot: Path) -> None:
    first, again, other = (ids(cut(snapshot, 0, seed=seed)[0], "test") for seed in (1, 1, 2))
    assert first == again != other


def test_more_folds_than_texts_are_refused(snapshot: Path) -> None:
    with pytest.raises(InputError, match=r"20 folds need as many different values of text, .* hold 19"):
        cut(snapshot, 0, folds=20)
