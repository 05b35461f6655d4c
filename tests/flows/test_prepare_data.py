"""Data on its way to training, through the command line: divided, kept out, mended, refused, from a bucket."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from tests.flows.conftest import PIPELINE, SAMPLES, Outcome, Shop

Row = dict[str, Any]
Prepare = Callable[..., Outcome]


class Parcel:
    """A pipeline of its own on the first rows of the sample data, which one rule divides."""

    def __init__(self, folder: Path, shop: Shop, name: str) -> None:
        self.folder = folder
        self.name = name
        self.shop = shop
        lines = (SAMPLES / "train.jsonl").read_text(encoding="utf-8").splitlines()
        self.rows: list[Row] = [json.loads(line) for line in lines]
        self.rule: Row = {"kind": "stratified", "column": "sentiment", "validation": 0.2, "test": 0.2}

    @property
    def pipeline(self) -> str:
        return str(self.folder / f"{self.name}.yaml")

    def write(self, rows: list[Row], **data: Any) -> None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.folder / "rows.jsonl").write_text(text, encoding="utf-8")
        undivided = {"kind": "json_lines", "path": "rows.jsonl"}
        settings = {"contract": "support", "undivided": undivided, "splits": self.rule, **data}
        content = {**PIPELINE, "name": self.name, "data": settings}
        (self.folder / f"{self.name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    def prepare(self) -> Outcome:
        return self.shop.graft("prepare", self.pipeline)

    def accepted(self) -> dict[str, set[str]]:
        """{split: texts} of the last accepted data."""
        note = json.loads((self.shop.home / "store" / "notes" / "accepted" / f"{self.name}.json").read_bytes())
        folder = self.shop.home / "store" / "objects" / note["digest"]
        return {
            path.stem: set(pq.read_table(path, columns=["text"]).column(0).to_pylist())
            for path in folder.glob("*.parquet")
        }


@pytest.fixture
def parcel(tmp_path: Path, shop: Shop, services: Outcome, request: pytest.FixtureRequest) -> Parcel:
    name = request.node.name.removeprefix("test_").replace("_", "-")[:30].strip("-")
    return Parcel(tmp_path, shop, name)


def test_no_row_moves_when_data_grows_and_nothing_is_done_twice(parcel: Parcel) -> None:
    parcel.write(parcel.rows[:200])
    first = parcel.prepare()
    assert first.code == 0, first.text
    before = parcel.accepted()
    assert {split: len(texts) for split, texts in before.items()} == {"train": 120, "validation": 40, "test": 40}
    again = parcel.prepare()
    assert set(again.steps()) == {"draw_lines", "ingest", "check_contract", "document_checks", "tokenize"}
    assert set(again.steps().values()) == {"reused"}
    parcel.write(parcel.rows[:600][::-1])
    grown = parcel.prepare()
    assert grown.code == 0, grown.text
    assert grown.steps()["draw_lines"] == "running"
    after = parcel.accepted()
    assert sum(map(len, after.values())) == 600
    assert all(before[split] <= after[split] for split in before)
    assert set(parcel.prepare().steps().values()) == {"reused"}


def test_an_owner_looks_mends_and_readmits(parcel: Parcel, tmp_path: Path) -> None:
    rows = parcel.rows[:300]
    wrong = {**rows[5], "sentiment": "angry"}
    loud = {**rows[7], "urgency": "very"}
    parcel.write([*rows[:5], wrong, rows[6], loud, *rows[8:]])
    assert parcel.prepare().code == 0
    graft, mended = parcel.shop.graft, tmp_path / "mended.jsonl"
    listed = graft("quarantine", "list", parcel.pipeline).text
    assert "PASS_WITH_QUARANTINE" in listed
    assert "one of negative, neutral, positive" in listed
    shown = graft("quarantine", "show", parcel.pipeline, "--rule", "one of").text
    assert "angry" in shown
    assert "rows.jsonl" in shown
    assert "very" not in shown
    assert graft("quarantine", "show", parcel.pipeline, "--output", str(mended)).code == 0
    written = {row["_row"]: row for row in map(json.loads, mended.read_text(encoding="utf-8").splitlines())}
    assert sorted(written) == [6, 8]
    assert graft("quarantine", "show", parcel.pipeline, "--output", str(mended)).code == 2
    still = {**written[6], "sentiment": "cross"}
    mended.write_text(json.dumps(still) + "\n", encoding="utf-8")
    refused = graft("quarantine", "readmit", str(mended), "--pipeline", parcel.pipeline)
    assert refused.code == 2
    assert "mended rows still break the contract" in refused.text
    assert "found cross" in refused.text
    good = [{**written[6], "sentiment": rows[5]["sentiment"]}, {**written[8], "urgency": rows[7]["urgency"]}]
    mended.write_text("".join(json.dumps(row) + "\n" for row in good), encoding="utf-8")
    tried = graft("quarantine", "readmit", str(mended), "--pipeline", parcel.pipeline, "--dry-run")
    assert "2 rows would be readmitted" in tried.text
    assert "PASS_WITH_QUARANTINE" in parcel.prepare().text
    assert graft("quarantine", "readmit", str(mended), "--pipeline", parcel.pipeline).code == 0
    healed = parcel.prepare()
    assert healed.code == 0, healed.text
    assert "accept_data: PASS;" in healed.text
    texts = set().union(*parcel.accepted().values())
    assert {rows[5]["text"], rows[7]["text"]} <= texts
    assert "nothing is kept out" in graft("quarantine", "list", parcel.pipeline).text


def test_data_that_is_refused_leaves_the_last_good_data_in_use(parcel: Parcel) -> None:
    parcel.write(parcel.rows[:100])
    assert parcel.prepare().code == 0
    before = parcel.accepted()
    given = {"kind": "json_lines", "path": str(SAMPLES / "test.jsonl")}
    leak = json.loads((SAMPLES / "test.jsonl").read_text(encoding="utf-8").splitlines()[3])
    train = {"kind": "json_lines", "path": "rows.jsonl"}
    parcel.write([*parcel.rows[:100], leak], undivided=None, splits=None, train=train, validation=given, test=given)
    refused = parcel.prepare()
    assert refused.code == 2, refused.text
    assert "Traceback" not in refused.text
    for words in ("train, text: 1 rows of 101", "stands in", "row 4", "stays in use", "graft quarantine show"):
        assert words in refused.text, words
    assert parcel.accepted() == before
    pages = [artifact for artifact in parcel.shop.api("artifacts/latest/filter", {}) if parcel.name in artifact["key"]]
    assert ["FAIL" in page["description"] for page in pages] == [True]


def test_rows_of_a_bucket_are_the_same_rows_and_nothing_is_done_again(
    parcel: Parcel, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    parcel.write(parcel.rows[:150])
    assert parcel.prepare().code == 0
    s3 = boto3.client("s3")
    whole = (parcel.folder / "rows.jsonl").read_bytes()
    s3.put_object(Bucket=s3_bucket, Key="data/rows.jsonl", Body=whole)
    parcel.write(parcel.rows[:150], undivided={"kind": "json_lines", "path": f"s3://{s3_bucket}/data/*.jsonl"})
    moved = parcel.prepare()
    assert moved.code == 0, moved.text
    assert set(moved.steps().values()) == {"reused"}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    gone = parcel.prepare()
    assert gone.code == 2
    assert f"s3://{s3_bucket}/data" in gone.text
    assert "Traceback" not in gone.text
