"""Which file feeds which split, and what the located sources are called."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from data_contracts.dataset import load_contract
from data_contracts.errors import InputError
from tasks.ingestion.plan import DataSettings, WindowSource, past_windows, planned_files
from tasks.ingestion.reading import Reading, read_sources
from tasks.ingestion.sources import JsonLines
from tasks.ingestion.task import count_fresh_rows, locate_sources, with_rows


def json_lines(path: str | Path) -> dict[str, Any]:
    return {"kind": "json_lines", "path": str(path)}


@pytest.fixture
def data(ticket: dict[str, Any], tmp_path: Path) -> DataSettings:
    """Three splits, an out-of-domain split, two windows, of which the second has fresh rows."""
    text = json.dumps(ticket) + "\n"
    for name in ("train", "validation", "test", "slang", "windows/week_1", "windows/week_2", "fresh/week_2"):
        path = tmp_path / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text * len(name), encoding="utf-8")
    return DataSettings.model_validate(
        {
            "contract": "support",
            **{split: json_lines(tmp_path / f"{split}.jsonl") for split in ("train", "validation", "test")},
            "out_of_domain": {"slang": json_lines(tmp_path / "slang.jsonl")},
            "windows": {"source": json_lines(tmp_path / "windows" / "{window}.jsonl")},
            "fresh": {"source": json_lines(tmp_path / "fresh" / "{window}.jsonl"), "held_out_share": 0.4},
        }
    )


def test_a_training_run_reads_every_split_and_the_fresh_rows_it_was_given(data: DataSettings) -> None:
    plain = planned_files(data, (), None)
    assert [file.split for file in plain] == ["train", "validation", "test", "slang"]
    assert all(file.held_out_split is None for file in plain)
    fresh = planned_files(data, ("week_2",), None)[4:]
    assert [(file.split, file.held_out_split, file.held_out_share) for file in fresh] == [
        ("train", "fresh_week_2", 0.4)
    ]
    assert fresh[0].source.path.endswith("/fresh/week_2.jsonl")


def test_a_window_that_was_retrained_for_without_rows_to_learn_from_ends_no_run_and_is_named(
    data: DataSettings, caplog: pytest.LogCaptureFixture
) -> None:
    files = planned_files(data, ("week_7", "week_2"), None)
    assert [file.held_out_split for file in files[4:]] == ["fresh_week_2"]
    assert re.search(r"no rows are learnt from window week_7: .*/fresh/week_7\.jsonl does not exist", caplog.text)


def test_a_watched_window_is_read_alone(data: DataSettings) -> None:
    files = planned_files(data, (), "week_1")
    assert [(file.split, Path(file.source.path).stem) for file in files] == [("window", "week_1")]


def test_the_steps_say_which_window_they_are_about(data: DataSettings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="graft.steps"):
        locate_sources.fn(data)
        locate_sources.fn(data, window="week_1")
    assert [record.getMessage() for record in caplog.records] == ["locate_sources: window week_1"]


@pytest.mark.parametrize("nothing", ["", "\n\n"], ids=["no bytes", "empty lines"])
def test_a_window_without_rows_is_named_and_left_until_it_has_some(
    data: DataSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture, nothing: str
) -> None:
    holiday = tmp_path / "windows" / "week_0.jsonl"
    holiday.write_text(nothing, encoding="utf-8")
    assert with_rows.fn(data, ["week_0", "week_1"]) == ["week_1"]
    assert "window week_0 holds no rows, and is watched as soon as it holds some" in caplog.text
    # What cannot be read is told by whoever watches it.
    for text in ('{"text": 1', "{}"):
        holiday.write_text(text, encoding="utf-8")
        assert with_rows.fn(data, ["week_0", "week_1"]) == ["week_0", "week_1"]
    holiday.unlink()
    (tmp_path / "windows" / "week_0.jsonl").mkdir()
    assert with_rows.fn(data, ["week_0"]) == ["week_0"]


def test_an_unknown_window_is_answered_with_those_there_are(data: DataSettings) -> None:
    with pytest.raises(InputError, match=r"no window 'week_9': .*week_9\.jsonl .*; windows there are: week_1, week_2$"):
        planned_files(data, (), "week_9")


def test_a_pipeline_without_windows_says_so_when_it_is_to_watch_one(data: DataSettings) -> None:
    with pytest.raises(InputError, match=r"names no `data\.windows`"):
        planned_files(data.model_copy(update={"windows": None}), (), "week_1")


def test_a_window_source_has_to_say_where_the_windows_name_stands() -> None:
    with pytest.raises(ValidationError, match=r"source\.path needs \{window\} where"):
        WindowSource.model_validate({"source": json_lines("windows/week.jsonl")})


@pytest.mark.parametrize("pattern", ["{window}/rows.jsonl", "{window}/{window}.jsonl", "[a] b/{window}.jsonl"])
def test_the_windows_name_may_stand_anywhere_in_the_path(tmp_path: Path, pattern: str) -> None:
    source = WindowSource.model_validate({"source": json_lines(tmp_path / pattern)})
    assert source.known() == []
    for name in ("b", "a"):
        path = tmp_path / pattern.replace("{window}", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert source.known() == ["a", "b"]
    assert Path(source.at("a").path) == tmp_path / pattern.replace("{window}", "a")


def test_the_digest_of_sources_is_that_of_their_bytes_and_use_and_not_of_their_place(
    data: DataSettings, tmp_path: Path
) -> None:
    original = locate_sources.fn(data)
    moved_path = tmp_path / "moved.jsonl"
    moved_path.write_bytes(Path(data.test.path).read_bytes())
    moved = data.model_copy(update={"test": data.test.model_copy(update={"path": str(moved_path)})})
    renamed = data.model_copy(update={"out_of_domain": {"dialect": data.out_of_domain["slang"]}})
    assert locate_sources.fn(moved).digest == original.digest
    assert locate_sources.fn(renamed).digest != original.digest
    assert locate_sources.fn(data, ("week_2",)).digest != original.digest
    moved_path.write_bytes(moved_path.read_bytes() + b"\n")
    assert locate_sources.fn(moved).digest != original.digest


def test_fresh_rows_are_counted_where_there_are_some(data: DataSettings) -> None:
    assert count_fresh_rows.fn(data, "week_2", load_contract("support")) == len("fresh/week_2")
    assert count_fresh_rows.fn(data, "week_1", load_contract("support")) == 0
    assert count_fresh_rows.fn(data.model_copy(update={"fresh": None}), "week_2", load_contract("support")) == 0


def test_a_row_that_nobody_has_labelled_yet_is_not_counted(data: DataSettings, ticket: dict[str, Any]) -> None:
    assert data.fresh is not None
    labels = ("intent", "sentiment", "entities", "urgency")
    unlabelled = {**ticket, **dict.fromkeys(labels)}
    rows = [unlabelled, {**unlabelled, "intent": "refund"}, {"text": "no such keys"}, {**unlabelled, "urgency": 0.0}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    Path(data.fresh.at("week_2").path).write_text(lines, encoding="utf-8")
    assert count_fresh_rows.fn(data, "week_2", load_contract("support")) == 2


def test_windows_of_a_bucket_are_found_and_counted_as_they_arrive(s3_bucket: str, data: DataSettings) -> None:
    import boto3

    s3 = boto3.client("s3")
    source = WindowSource.model_validate({"source": json_lines(f"s3://{s3_bucket}/fresh/{{window}}.jsonl")})
    remote = data.model_copy(update={"fresh": source})
    assert source.known() == []
    for week, count in (("week_1", 2), ("week_2", 3)):
        s3.put_object(Bucket=s3_bucket, Key=f"fresh/{week}.jsonl", Body=b'{"intent": "refund"}\n' * count)
        assert count_fresh_rows.fn(remote, week, load_contract("support")) == count
    assert source.known() == ["week_1", "week_2"]
    assert count_fresh_rows.fn(remote, "week_3", load_contract("support")) == 0
    with pytest.raises(InputError, match=r"no window 'week_3': s3://.*; windows there are: week_1, week_2"):
        source.at("week_3")


def test_neither_names_nor_order_of_shards_are_part_of_what_was_read(
    ticket: dict[str, Any], tmp_path: Path, data: DataSettings
) -> None:
    contract = load_contract("support")
    lines = [json.dumps({**ticket, "text": f"{ticket['text']} {n}"}) + "\n" for n in range(6)]
    found = []
    for names in (("a", "b", "c"), ("z", "y", "x")):
        folder = tmp_path / "".join(names)
        folder.mkdir()
        for name, part in zip(names, (lines[:1], lines[1:3], lines[3:]), strict=True):
            (folder / f"{name}.jsonl").write_text("".join(part), encoding="utf-8")
        shards = data.model_copy(update={"train": JsonLines(path=str(folder / "*.jsonl"))})
        sources = locate_sources.fn(shards)
        rows = tmp_path / f"rows-{names[0]}"
        rows.mkdir()
        read_sources(sources.files, Reading(contract), rows)
        found.append((sources.digest, (rows / "train.parquet").read_bytes()))
    assert found[0] == found[1]
    (tmp_path / "abc" / "a.jsonl").write_text(lines[5], encoding="utf-8")
    changed = data.model_copy(update={"train": JsonLines(path=str(tmp_path / "abc" / "*.jsonl"))})
    assert locate_sources.fn(changed).digest != found[0][0]


def test_a_window_is_one_file() -> None:
    with pytest.raises(ValidationError, match="a window is one file"):
        WindowSource.model_validate({"source": json_lines("windows/{window}/*.jsonl")})


def test_past_windows_in_a_folder_are_read_like_the_pipelines_own_or_as_json_lines(
    data: DataSettings, tmp_path: Path
) -> None:
    own = {"kind": "csv", "path": str(tmp_path / "now" / "week_{window}.csv.gz"), "delimiter": ";"}
    data = data.model_copy(update={"windows": WindowSource.model_validate({"source": own})})
    (tmp_path / "past").mkdir()
    for name in ("a.jsonl", "b.csv.gz", "c.csv.gz"):
        (tmp_path / "past" / name).touch()
    chosen, names = past_windows(data, str(tmp_path / "past"), str(tmp_path / "fresh"))
    assert names == ["b", "c"]
    assert chosen.windows is not None
    assert chosen.audit is not None
    assert chosen.windows.at("b").model_dump() == data.windows.source.model_dump() | {
        "path": str(tmp_path / "past" / "b.csv.gz")
    }
    assert chosen.audit == chosen.fresh
    assert isinstance(chosen.audit.source, JsonLines)
    for name in ("b.csv.gz", "c.csv.gz"):
        (tmp_path / "past" / name).unlink()
    assert past_windows(data, str(tmp_path / "past"), None)[1] == ["a"]
