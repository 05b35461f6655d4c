"""Real data from elsewhere than the disk, and contracts drafted from it."""

from pathlib import Path

import pytest
import yaml

from data_contracts.dataset import DatasetContract
from data_contracts.yaml_files import model_of
from tasks.ingestion.drafting import draft_of_source
from tasks.ingestion.endings import source_of
from tasks.ingestion.plan import PlannedFile
from tasks.ingestion.task import read_once
from tasks.validation.task import check_once
from tests.real_data.sets import DATASETS, SETS, contract_of, needs_data

pytestmark = needs_data
LEARNED_FROM = [
    (name, file)
    for name, real in SETS.items()
    for file, (split, _) in real.files.items()
    if (split == "train" and file != "oos_train.jsonl") or name == "wiki_toxicity"
]


@pytest.mark.parametrize(("name", "file"), LEARNED_FROM)
def test_a_file_passes_the_contract_that_is_drafted_from_it(name: str, file: str, tmp_path: Path) -> None:
    source = source_of(str(DATASETS / SETS[name].folder / file), None, SETS[name].settings)
    contract = model_of(yaml.safe_load(draft_of_source(name, source)), DatasetContract, "draft")
    written = contract_of(name)
    assert {c.name: c.logical_type for c in contract.columns} == {c.name: c.logical_type for c in written.columns}
    assert [c.name for c in contract.text_columns] == ["text"]
    # In a file of one domain there is nothing to tell apart.
    told = {c.name for c in contract.columns if c.labels is not None}
    assert told == {c.name for c in written.columns if c.labels is not None} - (
        {"domain"} if name == "vader_sentiment" else set()
    )
    rows, output = tmp_path / "rows", tmp_path / "checked"
    rows.mkdir()
    output.mkdir()
    sources = read_once([PlannedFile(split="train", source=source)], contract, rows)
    checks = check_once(rows, sources, contract, output)
    assert checks.verdict(contract) != "FAIL", checks.reasons(contract)
    # What a draft cannot know from columns alone: texts with two labels, and damage.
    assert checks.quarantined["train"] <= 0.015 * checks.rows["train"]


@pytest.mark.parametrize("name", ["snips", "wnut17"])
def test_the_same_bytes_in_a_bucket_are_the_same_source(name: str, s3_bucket: str, tmp_path: Path) -> None:
    import boto3

    for file in SETS[name].files:
        path = DATASETS / SETS[name].folder / file
        boto3.client("s3").upload_file(str(path), s3_bucket, f"{SETS[name].folder}/{file}")
    contract = contract_of(name)
    digests = []
    for base in (None, f"s3://{s3_bucket}"):
        output = tmp_path / str(len(digests))
        output.mkdir()
        sources = read_once(SETS[name].planned(base), contract, output)
        digests.append(sources.digest)
        assert all(file.address.startswith(str(base or DATASETS)) for file in sources.files)
    assert digests[0] == digests[1]
    assert (tmp_path / "0" / "train.parquet").read_bytes() == (tmp_path / "1" / "train.parquet").read_bytes()
