"""Bad data of every kind: quarantined with file and row, or refused with the file named; never a traceback."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from data_contracts.dataset import DatasetContract
from data_contracts.errors import InputError
from tasks.ingestion.plan import PlannedFile
from tasks.ingestion.sources import Source
from tasks.ingestion.task import read_once
from tasks.validation.acceptance import late_failures
from tasks.validation.checks import Checks, one_line, read_findings
from tasks.validation.task import check_once

Row = dict[str, Any]
ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXTS = [
    "where is my parcel, it should have come on Monday",
    "please cancel the order that I placed this morning",
    "the kettle leaks and I want my money back at once",
    "how do I set the clock of the oven to summer time",
    "thank you, the new washing machine is wonderful",
    "my invoice shows the old address of our company",
    "is the blue toaster available in green as well",
    "somebody else has logged in to my account today",
]


class Outcome(NamedTuple):
    """What became of some files: quarantined rows as people read them, and why all of it was refused, if so."""

    quarantined: list[str]
    refused: str


class Data:
    """Files of some splits, good as they are, and the contract that they satisfy."""

    def __init__(self, folder: Path, contract: DatasetContract) -> None:
        self.folder = folder
        self.contract = contract
        self.train = [row(text, n) for n, text in enumerate(TEXTS)]
        self.test = [row(f"{text} again, said somebody else entirely {n}", n) for n, text in enumerate(TEXTS)]
        self.sources: dict[str, Row] = {}

    def write(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def outcome(self) -> Outcome:
        """Reads and checks everything, at a fixed hour, as a run does."""
        defaults = {
            "train": {"kind": "json_lines", "path": str(self.folder / "train.jsonl")},
            "test": {"kind": "json_lines", "path": str(self.folder / "test.jsonl")},
        }
        for split, rows in (("train", self.train), ("test", self.test)):
            if split not in self.sources:
                self.write(f"{split}.jsonl", lines(rows))
        adapter: TypeAdapter[Source] = TypeAdapter(Source)
        planned = [
            PlannedFile(split=split, source=adapter.validate_python(source))
            for split, source in {**defaults, **self.sources}.items()
        ]
        rows_folder, checked = self.folder / "rows", self.folder / "checked"
        rows_folder.mkdir()
        checked.mkdir()
        try:
            checks = check_once(rows_folder, read_once(planned, self.contract, rows_folder), self.contract, checked)
        except InputError as error:
            return Outcome([], str(error))
        late = late_failures(checks, self.contract, None, NOW)
        checks = checks.model_copy(update={"failures": (*checks.failures, *late)})
        return Outcome([one_line(finding) for finding in read_findings(checked)], refusal(checks, self.contract))


def refusal(checks: Checks, contract: DatasetContract) -> str:
    return "; ".join(checks.reasons(contract)) if checks.verdict(contract) == "FAIL" else ""


def row(text: str, n: int) -> Row:
    tokens = text.replace(",", " ,").split()
    tags = ["B-THING" if token in ("parcel", "kettle", "oven", "toaster") else "O" for token in tokens]
    return {
        "text": text,
        "label": ("good", "bad")[n % 2],
        "score": n % 9 / 10,
        "tags": {"tokens": tokens, "tags": tags},
        "at": f"2026-02-2{n % 8}T10:00:00Z",
    }


def lines(rows: list[Row]) -> bytes:
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in rows).encode("utf-8", "surrogatepass")


@pytest.fixture
def data(tmp_path: Path, contract_of: Callable[..., DatasetContract]) -> Data:
    def custom(**values: Any) -> list[Row]:
        return [{"property": name, "value": value} for name, value in values.items()]

    contract = contract_of(
        {
            "name": "text",
            "logicalType": "string",
            "required": True,
            "logicalTypeOptions": {"minLength": 3, "maxLength": 400},
            "customProperties": custom(
                role="text",
                duplicates={"similarity": 0.8},
                tokenLength={"maximum": 64},
                personalData={"action": "quarantine"},
                languageMix={"shares": {"en": [0.5, 1.0]}, "others": 0.3},
            ),
        },
        {
            "name": "label",
            "logicalType": "string",
            "required": True,
            "customProperties": custom(role="label", labels=["good", "bad"], minimumSupport=2),
        },
        {
            "name": "score",
            "logicalType": "number",
            "required": True,
            "logicalTypeOptions": {"minimum": 0, "maximum": 1},
            "customProperties": custom(role="label"),
        },
        {"name": "tags", "logicalType": "object", "customProperties": custom(role="label", tagKinds=["THING"])},
        {"name": "at", "logicalType": "timestamp"},
        budget=0.5,
        slaProperties=[{"property": "freshness", "value": 30, "unit": "d", "element": "at"}],
    )
    return Data(tmp_path, contract)


def changed(**values: Any) -> Callable[[Data], None]:
    """The third row of training with other values."""

    def spoil(data: Data) -> None:
        data.train[2] |= values

    return spoil


def tokens_of(text: str, tags: list[str]) -> Row:
    return {"tokens": text.split(), "tags": tags}


def test_the_data_is_good_before_it_is_spoilt(data: Data) -> None:
    assert data.outcome() == Outcome([], "")


QUARANTINED: dict[str, tuple[Callable[[Data], None], str]] = {
    "unknown label": (changed(label="ugly"), "label: one of good, bad, found ugly"),
    "missing label": (changed(label=None), "label: required"),
    "fewer tags than tokens": (changed(tags={"tokens": ["the", "kettle"], "tags": ["O"]}), "2 tokens but 1 tags"),
    "illegal BIO": (changed(tags=tokens_of("the kettle", ["O", "I-THING"])), "I-THING at token 2 continues nothing"),
    "unknown kind of tag": (changed(tags=tokens_of("the kettle", ["O", "B-CITY"])), "unknown tag 'B-CITY'"),
    "tokens of another text": (changed(tags=tokens_of("the dog", ["O", "O"])), "token 2, 'dog', does not stand"),
    "empty text": (changed(text="", tags=None), "3 to 400 characters"),
    "no text": (changed(text=None, tags=None), "text: required"),
    "NaN as target": (changed(score=float("nan")), "score: required"),
    "infinite target": (changed(score=float("inf")), "expected a finite number"),
    "target out of range": (changed(score=1.5), "between 0.0 and 1.0, found 1.5"),
    "wrong type": (changed(score="a lot"), "type: expected a number, found a lot"),
    "no moment": (
        changed(at="yesterday"),
        "type: expected a moment in ISO 8601, as 2026-08-10T09:30:00Z is one, found yesterday",
    ),
    "UTF-8 read as Latin-1": (changed(text="Ich mÃ¶chte mein Geld zurÃ¼ck", tags=None), "UTF-8 read as"),
    "replacement character": (changed(text="the k\ufffdttle leaks", tags=None), "undamaged text"),
    "control character": (changed(text="the kettle\u0007 leaks", tags=None), "undamaged text"),
    "too many characters": (changed(text="leak " * 100, tags=None), "3 to 400 characters"),
    "too many tokens": (changed(text="a b c " * 40, tags=None), "1 to 64 tokens"),
    "personal data": (changed(text="write to ana.lima@example.com please", tags=None), "no personal data: email"),
}


@pytest.mark.parametrize("defect", QUARANTINED)
def test_a_row_that_is_bad_is_quarantined_with_file_row_and_rule(data: Data, defect: str) -> None:
    spoil, words = QUARANTINED[defect]
    spoil(data)
    found = data.outcome()
    assert found.refused == ""
    (line,) = [entry for entry in found.quarantined if words in entry]
    assert line.startswith(f"{data.folder / 'train.jsonl'}, row 3")
    assert all(f"{data.folder / 'train.jsonl'}, row 3" in entry for entry in found.quarantined)
    assert "ana.lima" not in line


def test_a_wrong_type_is_found_in_row_17(data: Data) -> None:
    data.train += [row(f"a text that nobody else has written, number {n} of them", n) for n in range(9, 20)]
    data.train[16]["score"] = [0.5]
    found = data.outcome()
    assert found.refused == ""
    assert found.quarantined == [
        f"{data.folder / 'train.jsonl'}, row 17, score: type: expected a number, not list, found [0.5]"
    ]


def test_a_line_that_is_no_json_is_quarantined(data: Data) -> None:
    whole = lines(data.train).splitlines(keepends=True)
    data.sources["train"] = {
        "kind": "json_lines",
        "path": data.write("train.jsonl", b"".join([*whole[:4], b'{"text": "the\n', *whole[4:]])),
    }
    (line,) = data.outcome().quarantined
    assert line.startswith(f"{data.folder / 'train.jsonl'}, row 5: not JSON")


def test_conflicting_labels_of_one_text_are_all_quarantined(data: Data) -> None:
    data.train.append({**data.train[0], "text": data.train[0]["text"].upper(), "label": "bad", "tags": None})
    found = data.outcome()
    assert [entry.split(", found")[0] for entry in found.quarantined if "label:" in entry] == [
        f"{data.folder / 'train.jsonl'}, row {n}, label: one text, conflicting labels: bad, good" for n in (1, 9)
    ]


def test_a_near_duplicate_across_splits_leaves_training(data: Data) -> None:
    long = "the delivery man left the heavy parcel in front of the garden gate although it was raining all day"
    data.train.append({**row(long, 1)})
    data.test.append({**row(f"{long} long", 1)})
    found = data.outcome()
    assert found.refused == ""
    (line,) = found.quarantined
    assert line.startswith(
        f"{data.folder / 'train.jsonl'}, row 9, text: nearly the same text stands in test, row 9, found the delivery"
    )


def repeat_across(data: Data) -> None:
    data.train.append({**data.test[3], "tags": None, "text": data.test[3]["text"].upper() + "!"})


def one_class(data: Data) -> None:
    for entry in data.train:
        entry["label"] = "good"


def constant_target(data: Data) -> None:
    for entry in data.train:
        entry["score"] = 0.3


def stale(data: Data) -> None:
    for entry in data.train:
        entry["at"] = "2025-12-31T00:00:00Z"


def other_language(data: Data) -> None:
    data.train = [
        row(text, n)
        for n, text in enumerate(
            [
                "ich möchte meine Bestellung bitte sofort stornieren",
                "wo bleibt mein Paket, es sollte gestern kommen",
                "der Wasserkocher ist undicht und ich will mein Geld zurück",
                "können Sie mir bitte eine neue Rechnung schicken",
                "die neue Waschmaschine ist wirklich wunderbar leise",
            ]
        )
    ]


def without_column(data: Data) -> None:
    for entry in data.train:
        del entry["score"]


def truncated_gzip(data: Data) -> None:
    packed = gzip.compress(lines(data.train))
    data.sources["train"] = {"kind": "json_lines", "path": data.write("train.jsonl.gz", packed[:-40])}


def wrong_delimiter(data: Data) -> None:
    content = "text;label;score;tags;at\n" + "".join(f"{entry['text']};good;0.5;;\n" for entry in data.train)
    data.sources["train"] = {"kind": "csv", "path": data.write("train.csv", content.encode())}


def mixed_shards(data: Data) -> None:
    data.write("part-1.jsonl", lines(data.train[:4]))
    data.write("part-2.jsonl", lines([{"body": entry["text"]} for entry in data.train[4:]]))
    data.sources["train"] = {"kind": "json_lines", "path": str(data.folder / "part-*.jsonl")}


def empty_shard(data: Data) -> None:
    data.write("part-1.jsonl", lines(data.train))
    data.write("part-2.jsonl", b"")
    data.sources["train"] = {"kind": "json_lines", "path": str(data.folder / "part-*.jsonl")}


def no_shard(data: Data) -> None:
    data.sources["train"] = {"kind": "json_lines", "path": str(data.folder / "piece-*.jsonl")}


def damaged_parquet(data: Data) -> None:
    path = data.folder / "train.parquet"
    pq.write_table(pa.Table.from_pylist(data.train), path)
    path.write_bytes(path.read_bytes()[:-30])
    data.sources["train"] = {"kind": "parquet", "path": str(path)}


def no_such_file(data: Data) -> None:
    data.sources["train"] = {"kind": "json_lines", "path": str(data.folder / "nowhere.jsonl")}


def mostly_bad(data: Data) -> None:
    for entry in data.train[:5]:
        entry["label"] = "ugly"


REFUSED: dict[str, tuple[Callable[[Data], None], tuple[str, ...]]] = {
    "missing column": (without_column, ("train.jsonl", "column 'score' is missing")),
    "duplicate across splits": (repeat_across, ("train, text: 1 rows of 9", "row 9", "stands in test, row 4")),
    "one class only": (one_class, ("train, label: every labelled row says 'good'",)),
    "a label without support": (one_class, ("every label needs 2 rows, but bad (0)",)),
    "constant target": (constant_target, ("train, score: every labelled row says 0.3",)),
    "stale data": (stale, ("the newest row of training is 60.0 days old", "30.0 days are allowed")),
    "another language": (other_language, ("train, text: 0% of the texts are en", "50% to 100% are allowed")),
    "truncated gzip": (truncated_gzip, ("train.jsonl.gz is not a whole gzip file", "Copy it again")),
    "wrong delimiter": (wrong_delimiter, ("train.csv", "';'", "delimiter")),
    "mixed schemas across shards": (mixed_shards, ("part-2.jsonl", "column 'body' is not in the contract")),
    "empty shard": (empty_shard, ("part-2.jsonl holds no rows",)),
    "no shard at all": (no_shard, ("piece-*.jsonl",)),
    "damaged Parquet": (damaged_parquet, ("train.parquet is not a whole Parquet file",)),
    "no such file": (no_such_file, ("nowhere.jsonl does not exist",)),
    "more bad rows than the budget": (mostly_bad, ("train: 5 of 8 rows (62.5%)",)),
}


@pytest.mark.parametrize("defect", REFUSED)
def test_data_that_is_bad_as_a_whole_is_refused_with_the_file_or_split_named(data: Data, defect: str) -> None:
    spoil, words = REFUSED[defect]
    spoil(data)
    refused = data.outcome().refused
    assert [word for word in words if word not in refused] == []


def test_a_file_that_may_not_be_read_is_refused(data: Data, tmp_path: Path) -> None:
    # Root may read everything, so the reading is done by somebody else.
    if os.getuid() != 0:
        pytest.skip("needs root, to become a user who may not read the file")
    path = tmp_path / "closed.jsonl"
    path.write_bytes(lines(data.train))
    path.chmod(0o600)
    tmp_path.chmod(0o755)
    script = (
        "import os, sys; from tasks.ingestion.sources import JsonLines; from data_contracts.errors import InputError\n"
        "source = JsonLines(path=sys.argv[1]); os.setuid(65534)\n"
        "try:\n with source.local_copy(None) as f: list(source.batches(f))\n"
        "except InputError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "closed.jsonl may not be read" in done.stdout, done.stderr


def test_there_are_at_least_twenty_kinds_of_defects() -> None:
    assert len({**QUARANTINED, **REFUSED}) >= 30
