"""The real data sets: their files, the split that each feeds, and how many rows the folder's README gives it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from data_contracts.dataset import DatasetContract, load_contract
from tasks.ingestion.endings import source_of
from tasks.ingestion.plan import PlannedFile

DATASETS = Path(__file__).resolve().parents[3] / "shared" / "datasets"
CONTRACTS = Path(__file__).parent / "contracts"
needs_data = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATASETS.is_dir(), reason="the real data sets (../shared/datasets) are not here"),
]


@dataclass(frozen=True)
class RealSet:
    """Files of one contract: {name in `folder`: (split, rows)}; `broken` counts quarantined rows by rule."""

    folder: str
    files: Mapping[str, tuple[str, int]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    broken: Mapping[str, int] = field(default_factory=dict)

    def planned(self, base: str | None = None) -> list[PlannedFile]:
        """The files with their splits; from another place than the disk, where `base` names it."""
        return [
            PlannedFile(split=split, source=source_of(f"{base or DATASETS}/{self.folder}/{name}", None, self.settings))
            for name, (split, _) in self.files.items()
        ]

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each split."""
        counts: dict[str, int] = {}
        for split, rows in self.files.values():
            counts[split] = counts.get(split, 0) + rows
        return counts


def contract_of(name: str) -> DatasetContract:
    """The contract of a real data set."""
    return load_contract(str(CONTRACTS / f"{name}.yaml"))


def _three(train: int, validation: int, test: int) -> dict[str, tuple[str, int]]:
    rows = {"train": train, "validation": validation, "test": test}
    return {f"{split}.jsonl": (split, count) for split, count in rows.items()}


def _tagged(column: str) -> dict[str, Any]:
    return {column: {"tokens": "tokens", "tags": "tags"}}


def _domains(**rows: tuple[int, int, int]) -> dict[str, tuple[str, int]]:
    splits = ("train", "validation", "test")
    return {
        f"{domain}_{split}.jsonl": (split, count)
        for domain, counts in rows.items()
        for split, count in zip(splits, counts, strict=True)
    }


SAME, CONFLICT, DAMAGED = "the same text stands in", "one text, conflicting labels", "undamaged text"
NEARLY = "nearly the same text stands in"
SETS = {
    "clinc150": RealSet(
        "clinc150",
        {
            **_three(15_000, 3_000, 4_500),
            "oos_train.jsonl": ("train", 100),
            "oos_validation.jsonl": ("oos_validation", 100),
            "oos_test.jsonl": ("oos_test", 1_000),
        },
        broken={SAME: 39, NEARLY: 15},
    ),
    "snips": RealSet(
        "snips",
        _three(13_084, 700, 700),
        {"columns": _tagged("slots")},
        {SAME: 84, NEARLY: 10, CONFLICT: 2, DAMAGED: 1},
    ),
    "hwu64": RealSet(
        "hwu64",
        _three(8_884, 1_076, 1_076),
        {"columns": _tagged("slots")},
        {SAME: 1, NEARLY: 16, CONFLICT: 4},
    ),
    "wnut17": RealSet(
        "wnut17",
        _three(3_394, 1_009, 1_287),
        {"columns": {**_tagged("entities"), "text": {"join": "tokens"}}},
        {SAME: 1, CONFLICT: 30},
    ),
    "bc5cdr": RealSet(
        "bc5cdr",
        _three(4_560, 4_581, 4_797),
        {"columns": {**_tagged("entities"), "text": {"join": "tokens"}}},
        {SAME: 38},
    ),
    "vader_sentiment": RealSet(
        "vader_sentiment",
        _domains(
            tweets=(3_360, 420, 420), amazon=(3_073, 335, 300), movies=(8_484, 1_060, 1_061), nyt=(4_136, 530, 524)
        ),
        broken={SAME: 124, CONFLICT: 21},
    ),
    "cuad_clauses": RealSet("cuad_clauses", _three(3_910, 489, 489), broken={SAME: 11, NEARLY: 19, CONFLICT: 16}),
    "cuad_multilabel": RealSet("cuad_clauses", {"multilabel.jsonl": ("train", 398)}),
    "wiki_toxicity": RealSet(
        "wiki_toxicity",
        {"test.jsonl": ("test", 1_492), "test_identity_swapped.jsonl": ("test_identity_swapped", 1_492)},
        broken={DAMAGED: 4},
    ),
}
