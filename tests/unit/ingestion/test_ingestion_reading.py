"""Reading: typed rows with ids of their own, and every row that could not be read on record."""

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_contracts.artifacts import SourceFile
from data_contracts.cleaning import Cleaning
from data_contracts.dataset import DatasetContract, load_contract
from data_contracts.errors import InputError
from tasks.ingestion.reading import Reading, read_file, read_sources, split_lines
from tasks.ingestion.splits import RandomSplit, StratifiedSplit, TimeSplit

Row = dict[str, Any]
Read = Callable[..., Path]


@pytest.fixture
def contract() -> DatasetContract:
    return load_contract("support")


@pytest.fixture
def snapshot(tmp_path: Path, contract: DatasetContract) -> Read:
    """Reads files, given as SourceFile, into a new folder, which is returned."""

    def read(*files: SourceFile) -> Path:
        output = tmp_path / f"snapshot-{len(list(tmp_path.iterdir()))}"
        output.mkdir()
        read_sources(files, Reading(contract), output)
        return output

    return read


def located(path: Path, split: str = "train", **settings: Any) -> SourceFile:
    reader = {"kind": settings.pop("kind", "json_lines"), **settings.pop("reader", {})}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return SourceFile(split=split, address=str(path), sha256=digest, reader=reader, **settings)


def written(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def many(ticket: Row, count: int) -> list[Row]:
    return [{**ticket, "text": f"{ticket['text']} {n}"} for n in range(count)]


def rows_of(folder: Path, split: str = "train") -> list[Row]:
    rows: list[Row] = pq.read_table(folder / f"{split}.parquet").to_pylist()
    return rows


def problems_of(folder: Path) -> list[Row]:
    return [json.loads(line) for line in (folder / "problems.jsonl").open(encoding="utf-8")]


def without_origin(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name not in ("_file", "_row")} for row in rows]


def test_the_same_rows_in_any_format_are_the_same_snapshot_rows(
    ticket: Row, tmp_path: Path, contract: DatasetContract
) -> None:
    rows = [*many(ticket, 3), {**ticket, "intent": None}]
    lines = written(tmp_path / "a.jsonl", rows)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.read_bytes()))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    flat = [{**row, "entities": json.dumps(row["entities"]), "intent": row["intent"] or ""} for row in rows]
    cells = [[str(row[name]).replace('"', '""') for name in ticket] for row in flat]
    csv_text = "\n".join([",".join(ticket), *('"' + '","'.join(line) + '"' for line in cells)])
    (tmp_path / "a.csv").write_text(csv_text, encoding="utf-8")
    kinds = {"a.jsonl": "json_lines", "a.jsonl.gz": "json_lines", "a.csv": "csv", "a.parquet": "parquet"}
    found = []
    for name, kind in kinds.items():
        output = tmp_path / f"{name}-read"
        output.mkdir()
        assert read_sources((located(tmp_path / name, kind=kind),), Reading(contract), output) == {"train": 4}
        found.append(without_origin(rows_of(output)))
    assert found[0][3]["intent"] is None
    assert found[0][0]["urgency"] == 0.5
    assert all(rows == found[0] for rows in found[1:])


def test_rows_keep_their_file_and_line(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + json.dumps(ticket) + "\n\n" + json.dumps({**ticket, "urgency": 1}), encoding="utf-8")
    file = located(path)
    assert [(row["_file"], row["_row"]) for row in rows_of(snapshot(file))] == [(file.sha256, 2), (file.sha256, 4)]


def test_columns_named_otherwise_are_read_under_the_contracts_names(
    ticket: Row, tmp_path: Path, snapshot: Read
) -> None:
    renamed = {"body" if name == "text" else name: value for name, value in ticket.items()}
    path = written(tmp_path / "a.jsonl", [renamed])
    found = rows_of(snapshot(located(path, reader={"columns": {"text": "body"}})))
    assert found[0]["text"] == ticket["text"]


def test_an_unreadable_line_and_a_wrong_type_are_problems_with_their_row(
    ticket: Row, tmp_path: Path, snapshot: Read
) -> None:
    path = tmp_path / "a.jsonl"
    wrong = {**ticket, "urgency": "high", "created_at": "yesterday"}
    path.write_text("\n".join([json.dumps(ticket), '{"text": ', json.dumps(wrong)]), encoding="utf-8")
    file = located(path)
    folder = snapshot(file)
    assert [row["_row"] for row in rows_of(folder)] == [1]
    problems = problems_of(folder)
    assert {(p["split"], p["file"]) for p in problems} == {("train", file.sha256)}
    assert [(p["row"], p["column"], p["value"]) for p in problems] == [
        (2, "", '{"text": '),
        (3, "urgency", "high"),
        (3, "created_at", "yesterday"),
    ]
    assert problems[1]["rule"] == "type: expected a number"


def test_a_value_that_no_file_could_hold_is_a_problem_of_its_row(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    rows = [ticket, {**ticket, "urgency": 10**400}, {**ticket, "urgency": float("inf")}]
    folder = snapshot(located(written(tmp_path / "a.jsonl", rows)))
    assert [(p["row"], p["column"]) for p in problems_of(folder)] == [(2, "urgency"), (3, "urgency")]
    assert len(rows_of(folder)) == 1


def test_missing_and_extra_columns_are_shown_together(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    del ticket["urgency"], ticket["language"]
    path = written(tmp_path / "a.jsonl", [{**ticket, "mood": "sunny"}])
    with pytest.raises(InputError) as error:
        snapshot(located(path))
    assert str(error.value).splitlines() == [
        f"{path} does not have the columns of contract support",
        "  - column 'language' is missing",
        "  - column 'urgency' is missing",
        "  - column 'mood' is not in the contract",
        "Name the file's columns under `columns` of the source, `drop` some, or change the contract.",
    ]


def test_labels_in_a_window_are_said_to_be_what_windows_have_none_of(ticket: Row, tmp_path: Path) -> None:
    contract = load_contract("support").without_labels()
    file = located(written(tmp_path / "a.jsonl", [ticket]), split="window")
    with pytest.raises(InputError, match="'urgency' is a label, which windows have none of, or not in the contract"):
        read_sources([file], Reading(contract), tmp_path)


def test_a_key_that_some_rows_leave_out_is_a_missing_value(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    without = {name: value for name, value in ticket.items() if name != "intent"}
    found = rows_of(snapshot(located(written(tmp_path / "a.jsonl", [ticket, without]))))
    assert [row["intent"] for row in found] == ["refund", None]


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [("a.jsonl", "json_lines", b""), ("a.jsonl", "json_lines", b"\n\n"), ("a.csv", "csv", b"text,language\n")],
    ids=["no bytes", "empty lines", "only a header"],
)
def test_a_file_without_rows_is_named(tmp_path: Path, snapshot: Read, name: str, kind: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} holds no rows; split 'test' needs some"):
        snapshot(located(tmp_path / name, "test", kind=kind))


def test_a_file_of_unreadable_lines_is_shown_with_the_first(tmp_path: Path, snapshot: Read) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"<html>\n</html>\n")
    with pytest.raises(InputError, match=r"a\.jsonl holds no rows that can be read; the first, row 1, is not JSON"):
        snapshot(located(tmp_path / "a.jsonl"))


def test_a_file_that_changes_after_it_was_located_ends_the_run(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    file = located(written(tmp_path / "a.jsonl", [ticket]))
    written(tmp_path / "a.jsonl", [ticket, {**ticket, "urgency": 1.0}])
    with pytest.raises(InputError, match=r"a\.jsonl changed while the run was reading it\. Run again"):
        snapshot(file)


@pytest.mark.parametrize("more", ["another row", None], ids=["it grows", "it is gone"])
def test_a_file_that_changes_behind_its_digest_ends_the_run(
    ticket: Row, tmp_path: Path, contract: DatasetContract, more: str | None
) -> None:
    path = written(tmp_path / "a.jsonl", [ticket])
    tables = read_file(located(path), Reading(contract), io.StringIO())
    assert next(tables).num_rows == 1
    written(path, [ticket, {**ticket, "text": more}]) if more else path.unlink()
    with pytest.raises(InputError, match=r"a\.jsonl changed while the run was reading it\. Run again"):
        next(tables)


def test_a_row_keeps_its_id_when_its_file_grows_moves_or_is_sorted(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    first, second, third = many(ticket, 3)
    before = rows_of(snapshot(located(written(tmp_path / "a.jsonl", [first, second]))))
    after = rows_of(snapshot(located(written(tmp_path / "b.jsonl", [third, second, first]))))
    ids = {row["text"]: row["_id"] for row in after}
    assert [ids[row["text"]] for row in before] == [row["_id"] for row in before]
    assert len(set(ids.values())) == 3


def test_any_changed_value_gives_another_id(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    rows = [ticket, {**ticket, "urgency": 0.51}, {**ticket, "intent": None}, {**ticket, "text": "where is my refund?"}]
    assert len({row["_id"] for row in rows_of(snapshot(located(written(tmp_path / "a.jsonl", rows))))}) == 4


def test_rows_of_the_same_content_have_the_same_id(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    ids = [row["_id"] for row in rows_of(snapshot(located(written(tmp_path / "a.jsonl", [ticket] * 3))))]
    assert len(set(ids)) == 1
    assert len(ids[0]) == 24


def test_a_share_of_the_rows_is_held_out_by_their_texts(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    rows = many(ticket, 400)
    held_out = {"held_out_split": "fresh", "held_out_share": 0.25}
    folder = snapshot(located(written(tmp_path / "a.jsonl", rows), **held_out))
    kept, out = rows_of(folder), rows_of(folder, "fresh")
    assert len(kept) + len(out) == 400
    # 400 draws at a quarter: 100 expected, with a standard deviation of 8.7.
    assert 65 <= len(out) <= 135


def test_what_people_repeat_is_learnt_or_judged_on_and_never_both(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    again = [
        {**row, "text": row["text"].upper() + "!", "created_at": "2026-02-01T00:00:00Z"} for row in many(ticket, 100)
    ]
    rows = written(tmp_path / "a.jsonl", many(ticket, 100) + again)
    folder = snapshot(located(rows, held_out_split="fresh", held_out_share=0.5))
    learnt, judged = ({row["text"].rstrip("!").lower() for row in rows_of(folder, of)} for of in ("train", "fresh"))
    assert learnt
    assert judged
    assert not learnt & judged


def test_a_held_out_row_stays_held_out_as_the_file_grows_and_so_do_its_copies(
    ticket: Row, tmp_path: Path, snapshot: Read
) -> None:
    rows = many(ticket, 40)
    held_out = {"held_out_split": "fresh", "held_out_share": 0.5}
    small = snapshot(located(written(tmp_path / "a.jsonl", rows[:20]), **held_out))
    large = snapshot(located(written(tmp_path / "b.jsonl", rows[::-1] + rows[:20]), **held_out))
    assert 0 < len(rows_of(small, "fresh")) < 20
    for split in ("train", "fresh"):
        texts = {row["text"] for row in rows_of(small, split)}
        assert texts <= {row["text"] for row in rows_of(large, split)}
    assert not {row["text"] for row in rows_of(large)} & {row["text"] for row in rows_of(large, "fresh")}


def test_files_of_one_split_are_put_together(ticket: Row, tmp_path: Path, contract: DatasetContract) -> None:
    first, second = many(ticket, 2)
    files = (
        located(written(tmp_path / "a.jsonl", [first])),
        located(written(tmp_path / "b.jsonl", [second])),
        located(written(tmp_path / "c.jsonl", [ticket]), "test"),
    )
    assert read_sources(files, Reading(contract), tmp_path) == {"train": 2, "test": 1}
    assert [row["text"] for row in rows_of(tmp_path)] == [first["text"], second["text"]]


def test_a_row_that_its_owner_mended_stands_in_for_the_one_that_was_read(
    ticket: Row, tmp_path: Path, contract: DatasetContract
) -> None:
    rows = [ticket, {**ticket, "urgency": "high"}, {**ticket, "text": "My k\ufffdttle leaks"}]
    path = written(tmp_path / "a.jsonl", rows)
    path.write_text(path.read_text(encoding="utf-8") + '{"text": \n', encoding="utf-8")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    read_sources((located(path),), Reading(contract), first)
    bad = {problem["row"]: problem["id"] for problem in problems_of(first)}
    bad[3] = rows_of(first)[1]["_id"]
    corrected = {
        bad[2]: {**ticket, "urgency": 0.9},
        bad[3]: {**ticket, "text": "My kettle leaks"},
        bad[4]: {**ticket, "text": "A whole row"},
        "0" * 24: {**ticket, "text": "stands for a row that is not there"},
    }
    second.mkdir()
    assert read_sources((located(path),), Reading(contract, corrected=corrected), second) == {"train": 4}
    assert problems_of(second) == []
    found = rows_of(second)
    assert [(row["_row"], row["text"], row["urgency"]) for row in found] == [
        (1, ticket["text"], 0.5),
        (2, ticket["text"], 0.9),
        (3, "My kettle leaks", 0.5),
        (4, "A whole row", 0.5),
    ]
    assert found[2]["_id"] != bad[3]


def test_a_mended_row_that_is_still_of_the_wrong_type_is_a_problem_where_it_stands(
    ticket: Row, tmp_path: Path, contract: DatasetContract
) -> None:
    path = written(tmp_path / "a.jsonl", [ticket, {**ticket, "urgency": "high"}])
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    read_sources((located(path),), Reading(contract), first)
    corrected = {problems_of(first)[0]["id"]: {**ticket, "urgency": "higher"}}
    assert read_sources((located(path),), Reading(contract, corrected=corrected), second) == {"train": 1}
    assert [(p["row"], p["value"]) for p in problems_of(second)] == [(2, "higher")]


def test_texts_and_their_tokens_are_cleaned_before_anything_else_sees_them(
    ticket: Row, tmp_path: Path, contract: DatasetContract
) -> None:
    tokens = {"tokens": ["Cafe\u0301", "<br>", "opens"], "tags": ["B-PLACE", "O", "O"]}
    rows = [
        {**ticket, "text": "  Cafe\u0301 <br> opens\tat 9 ", "entities": tokens},
        {
            **ticket,
            "text": "Caf\u00e9 opens at 9",
            "entities": {"tokens": ["Caf\u00e9", "opens"], "tags": ["B-PLACE", "O"]},
        },
    ]
    cleaning = Cleaning(unicode="NFC", markup=True, whitespace=True)
    path = written(tmp_path / "a.jsonl", rows)
    read_sources((located(path),), Reading(contract, cleaning), tmp_path)
    first, second = rows_of(tmp_path)
    assert first["text"] == "Caf\u00e9 opens at 9"
    assert first["entities"] == {"tokens": ["Caf\u00e9", "opens"], "tags": ["B-PLACE", "O"]}
    assert first["_id"] == second["_id"]


def test_rows_of_an_undivided_file_go_where_the_rule_sends_them(
    ticket: Row, tmp_path: Path, contract: DatasetContract
) -> None:
    path = written(tmp_path / "a.jsonl", [*many(ticket, 200), {**ticket, "urgency": "high"}])
    splits = RandomSplit(validation=0.2, test=0.2)
    file = located(path).model_copy(update={"split": None})
    rows = read_sources((file,), Reading(contract, splits=splits), tmp_path)
    assert set(rows) == {"train", "validation", "test"}
    assert sum(rows.values()) == 200
    assert 20 <= rows["test"] <= 60
    # A row that cannot be placed counts against the split that can least do without it.
    assert [problem["split"] for problem in problems_of(tmp_path)] == ["train"]


def test_a_rule_that_leaves_a_split_without_rows_ends_the_run(
    ticket: Row, tmp_path: Path, contract: DatasetContract
) -> None:
    file = located(written(tmp_path / "a.jsonl", many(ticket, 8))).model_copy(update={"split": None})
    moments = {"validation_from": datetime(2037, 1, 1, tzinfo=UTC), "test_from": datetime(2039, 1, 1, tzinfo=UTC)}
    splits = TimeSplit(column="created_at", **moments)
    with pytest.raises(
        InputError, match=r"`data\.splits` leaves no row for validation and test \(train 8\)\. Add rows"
    ):
        read_sources((file,), Reading(contract, splits=splits), tmp_path)
    given = [located(written(tmp_path / f"{split}.jsonl", [ticket]), split) for split in ("validation", "test")]
    counts = read_sources((file, *given), Reading(contract, splits=splits), tmp_path)
    assert counts == {"train": 8, "validation": 1, "test": 1}


def test_lines_of_strata_are_drawn_from_the_undivided_files_alone(
    ticket: Row, tmp_path: Path, contract: DatasetContract
) -> None:
    rows = [{**row, "sentiment": ("neutral", "negative")[n % 2]} for n, row in enumerate(many(ticket, 40))]
    undivided = located(written(tmp_path / "a.jsonl", rows)).model_copy(update={"split": None})
    given = located(written(tmp_path / "b.jsonl", [{**ticket, "sentiment": "positive"}]), "slang")
    reading = Reading(contract, splits=StratifiedSplit(column="sentiment", validation=0.1, test=0.2))
    lines = split_lines((undivided, given), reading, {})
    assert sorted(lines) == ["negative", "neutral"]
    counts = read_sources((undivided, given), Reading(contract, splits=reading.splits, lines=lines), tmp_path)
    assert counts == {"train": 28, "validation": 4, "test": 8, "slang": 1}


def test_reading_holds_no_more_than_a_batch_of_a_file(ticket: Row, tmp_path: Path, snapshot: Read) -> None:
    folder = snapshot(located(written(tmp_path / "a.jsonl", many(ticket, 70_000))))
    assert pq.ParquetFile(folder / "train.parquet").num_row_groups >= 2
    assert len(rows_of(folder)) == 70_000


def test_a_row_may_be_mended_twice(ticket: Row, tmp_path: Path, contract: DatasetContract) -> None:
    path = written(tmp_path / "a.jsonl", [ticket, {**ticket, "urgency": "high"}])
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    read_sources((located(path),), Reading(contract), folders[0])
    corrected = {problems_of(folders[0])[0]["id"]: {**ticket, "text": "mended once"}}
    read_sources((located(path),), Reading(contract, corrected=corrected), folders[1])
    corrected |= {rows_of(folders[1])[1]["_id"]: {**ticket, "text": "mended twice"}}
    # Nor does a row that stands for one like itself go round in circles.
    corrected |= {rows_of(folders[1])[0]["_id"]: ticket}
    read_sources((located(path),), Reading(contract, corrected=corrected), folders[2])
    assert [row["text"] for row in rows_of(folders[2])] == [ticket["text"], "mended twice"]


def test_a_nan_of_a_parquet_file_is_a_missing_value_and_an_infinite_one_a_problem(
    ticket: Row, tmp_path: Path, snapshot: Read
) -> None:
    rows = [{**ticket, "urgency": value} for value in (0.25, float("nan"), float("inf"))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    folder = snapshot(located(tmp_path / "a.parquet", kind="parquet"))
    assert [row["urgency"] for row in rows_of(folder)] == [0.25, None]
    assert [(p["row"], p["rule"]) for p in problems_of(folder)] == [(3, "type: expected a finite number")]
    pq.write_table(pa.Table.from_pylist(rows[:2]), tmp_path / "b.parquet")
    assert [row["urgency"] for row in rows_of(snapshot(located(tmp_path / "b.parquet", kind="parquet")))] == [
        0.25,
        None,
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_moment_that_no_calendar_has_is_a_problem_of_its_row(
    ticket: Row, tmp_path: Path, snapshot: Read, name: str
) -> None:
    rows = [ticket, {**ticket, "created_at": "9999-12-31T23:59:59-05:00"}]
    if name == "a.jsonl":
        written(tmp_path / name, rows)
    else:
        moments = pa.array([0, 2**62], pa.timestamp("us", "UTC"))
        table = pa.Table.from_pylist(rows)
        table = table.set_column(table.column_names.index("created_at"), "created_at", moments)
        pq.write_table(table, tmp_path / name)
    folder = snapshot(located(tmp_path / name, kind="parquet" if name == "a.parquet" else "json_lines"))
    assert len(rows_of(folder)) == 1
    assert [(problem["row"], problem["column"]) for problem in problems_of(folder)] == [(2, "created_at")]
