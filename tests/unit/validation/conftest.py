"""Rows from real files through reading and the gate."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from data_contracts.artifacts import SourceFile
from data_contracts.dataset import DatasetContract
from data_contracts.yaml_files import model_of
from tasks.ingestion.reading import Reading, read_sources
from tasks.validation.checking import check_snapshot
from tasks.validation.checks import Checks

Row = dict[str, Any]
SINCE: dict[str, Row] = {
    name: {"split": "train", "held_out_split": "fresh_week", "held_out_share": share}
    for name, share in (("fresh_week", 1.0), ("train_since", 0.0))
}


class Checked(NamedTuple):
    """What the gate made of the files it was given, one a split."""

    folder: Path
    checks: Checks

    @property
    def accepted(self) -> dict[str, int]:
        return self.checks.rows

    @property
    def quarantined(self) -> dict[str, int]:
        return self.checks.quarantined

    @property
    def findings(self) -> list[Row]:
        return [json.loads(line) for line in (self.folder / "quarantine.jsonl").open(encoding="utf-8")]

    def of_row(self, number: int) -> list[Row]:
        return [finding for finding in self.findings if finding["row"] == number]


Check = Callable[..., Checked]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Reads rows (a list for each split) from files and checks them.

    Those of "fresh_week" and of "train_since", which belongs to train, were labelled since.
    """

    def run(contract: DatasetContract, **splits: list[Row]) -> Checked:
        # A test may check more than once.
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        read, checked = folder / "read", folder / "checked"
        read.mkdir(parents=True)
        checked.mkdir()
        files = []
        for split, rows in splits.items():
            content = "".join(json.dumps(row) + "\n" for row in rows).encode()
            path = folder / f"{split}.jsonl"
            path.write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            of_file = {"address": str(path), "sha256": digest, "reader": {"kind": "json_lines"}}
            files.append(SourceFile(**SINCE.get(split, {"split": split}), **of_file))
        read_sources(files, Reading(contract), read)
        return Checked(checked, check_snapshot(read, files, contract, checked))

    return run


@pytest.fixture(scope="session")
def contract_of() -> Callable[..., DatasetContract]:
    """Makes a contract of columns, given as ODCS has them, and a quarantine budget."""

    def make(*properties: Row, budget: float = 0.0, **more: Any) -> DatasetContract:
        content = {
            "apiVersion": "v3.0.2",
            "kind": "DataContract",
            "id": "t",
            "name": "t",
            "version": "2.0.0",
            "schema": [{"name": "t", "properties": list(properties)}],
            "customProperties": [{"property": "quarantineBudget", "value": budget}],
            **more,
        }
        return model_of(content, DatasetContract, "t.yaml")

    return make
