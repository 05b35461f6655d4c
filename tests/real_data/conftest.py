"""Real data sets, read and checked once a session."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_contracts.artifacts import SourceFiles
from tasks.ingestion.task import read_once
from tasks.validation.checks import Checks
from tasks.validation.task import check_once
from tests.real_data.sets import SETS, contract_of


@dataclass(frozen=True)
class Gated:
    """What the gate made of one data set."""

    sources: SourceFiles
    checks: Checks
    folder: Path

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Every broken rule of every row."""
        return self._lines("quarantine.jsonl")

    @property
    def quarantined(self) -> list[dict[str, Any]]:
        """Every quarantined row with its content."""
        return self._lines("quarantined.jsonl")

    def accepted_by_file(self) -> Counter[str]:
        """Accepted rows by the name of the file they come from."""
        names = {file.sha256: Path(file.address).name for file in self.sources.files}
        counts: Counter[str] = Counter()
        for split in self.checks.rows:
            files = pq.read_table(self.folder / f"{split}.parquet", columns=["_file"]).column(0).to_pylist()
            counts.update(names[digest] for digest in files)
        return counts

    def _lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).open(encoding="utf-8")]


@pytest.fixture(scope="session")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Gated]:
    """Gives what the gate made of a data set, by its name."""
    known: dict[str, Gated] = {}

    def gate(name: str) -> Gated:
        if name not in known:
            rows, output = tmp_path_factory.mktemp("rows"), tmp_path_factory.mktemp("checked")
            contract = contract_of(name)
            sources = read_once(SETS[name].planned(), contract, rows)
            known[name] = Gated(sources, check_once(rows, sources, contract, output), output)
        return known[name]

    return gate
