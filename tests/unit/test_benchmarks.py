"""Benchmarks: each says what it does, and the work of the data benchmark is what it says it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.data_peers.task import BAD_EVERY, contract_text, write_rows
from benchmarks.measuring import peak_bytes
from data_contracts.dataset import DatasetContract
from data_contracts.yaml_files import parse_yaml
from tasks.ingestion.plan import PlannedFile
from tasks.ingestion.sources import JsonLines
from tasks.ingestion.task import read_once
from tasks.validation.task import check_once

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in ("__init__", "measuring"))


def test_there_are_benchmarks() -> None:
    assert {"data", "training", "scaling"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_explains_itself(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"python -m benchmarks.{name}" in done.stdout
    assert "JSON" in done.stdout


def test_one_row_in_a_thousand_of_the_work_is_bad_and_found(tmp_path: Path) -> None:
    rows, read, checked = tmp_path / "rows.jsonl", tmp_path / "read", tmp_path / "checked"
    read.mkdir()
    checked.mkdir()
    write_rows(rows, 5 * BAD_EVERY)
    (tmp_path / "contract.yaml").write_text(contract_text(), encoding="utf-8")
    contract = parse_yaml(tmp_path / "contract.yaml", DatasetContract)
    sources = read_once([PlannedFile(split="train", source=JsonLines(path=str(rows)))], contract, read)
    checks = check_once(read, sources, contract, checked)
    assert checks.quarantined == {"train": 5}
    assert checks.verdict(contract) == "PASS_WITH_QUARANTINE"


def test_peak_memory_is_that_of_this_process() -> None:
    before = peak_bytes()
    block = bytearray(64 << 20)
    block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
    assert peak_bytes() >= before
    assert peak_bytes() > len(block)
