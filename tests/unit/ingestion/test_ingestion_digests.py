"""Source files looked at again, long after they were read."""

import hashlib
from pathlib import Path

from data_contracts.artifacts import SourceFile
from tasks.ingestion.plan import DataSettings
from tasks.ingestion.task import JsonLines, PlannedFile, digest_of_sources, digest_today, locate_sources


def located(path: Path) -> SourceFile:
    source = JsonLines(path=str(path))
    data = DataSettings(contract="support", train=source, validation=source, test=source)
    return locate_sources.fn(data).files[0]


def test_a_file_is_hashed_again_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a"}\n', encoding="utf-8")
    file = located(path)
    assert digest_today(file) == file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text('{"text": "b"}\n', encoding="utf-8")
    assert digest_today(file) == hashlib.sha256(b'{"text": "b"}\n').hexdigest() != file.sha256


def test_of_a_file_that_is_gone_there_is_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    file = located(path)
    path.unlink()
    assert digest_today(file) is None


def test_the_digest_of_sources_is_about_content_and_reading_and_not_about_addresses(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    file = located(path)
    moved, other = file.model_copy(update={"address": "s3://b/k"}), file.model_copy(update={"split": "test"})
    assert digest_of_sources([file]) == digest_of_sources([moved]) != digest_of_sources([other])
    assert PlannedFile(split="train", source=JsonLines(path=str(path))).facts()["address"] == file.address
