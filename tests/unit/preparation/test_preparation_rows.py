"""A snapshot whose training rows are balanced and augmented, and nothing else."""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from data_contracts.errors import InputError
from tasks.preparation import rows as rows_module
from tasks.preparation.balancing import Balancing
from tasks.preparation.rows import prepare_rows
from tasks.preparation.settings import Preparation

TAGGED = pa.struct([("tokens", pa.list_(pa.string())), ("tags", pa.list_(pa.string()))])
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("intent", pa.string()),
        ("places", TAGGED),
        ("urgency", pa.float64()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("_id", pa.string()),
        ("_row", pa.int64()),
    ]
)
CITIES = ("Oslo", "Lima", "Hue", "Cairo")
EVERYTHING = [{"kind": kind, "share": 1.0} for kind in ("punctuation", "casing", "typing_noise", "word_dropout")]


def row(number: int, intent: str | None, *, tagged: bool = True) -> dict[str, Any]:
    """A row whose text, tags and other columns are told by its number."""
    tokens = ["parcel", str(number), "should", "be", "in", CITIES[number % 4], "today", "."]
    tags = ["O"] * 5 + ["B-PLACE", "O", "O"]
    return {
        "text": " ".join(tokens[:-1]) + ".",
        "intent": intent,
        "places": {"tokens": tokens, "tags": tags} if tagged else None,
        "urgency": number / 100,
        "created_at": datetime(2026, 1, 1, 0, number % 60, tzinfo=UTC),
        "_id": f"id-{number}",
        "_row": number,
    }


def write_snapshot(folder: Path, train: list[dict[str, Any]], **splits: list[dict[str, Any]]) -> Path:
    """A snapshot as the contract's gate leaves it: rows of each split, the quarantine, the record of the checks."""
    (folder / "pages").mkdir(parents=True)
    for split, rows in {"train": train, **splits}.items():
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), folder / f"{split}.parquet", compression="zstd")
    (folder / "quarantine.jsonl").write_text('{"split": "train", "row": 3}\n')
    (folder / "checks.json").write_text("{}")
    (folder / "pages" / "index.html").write_text("<p>checks</p>")
    return folder


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """Twelve rows for refunds, three for deliveries, one without an intent; other splits have other numbers."""
    train = [row(n, "refund") for n in range(12)] + [row(n, "delivery") for n in range(12, 15)] + [row(15, None)]
    return write_snapshot(
        tmp_path / "snapshot", train, validation=[row(n, "refund") for n in range(20, 24)], test=[row(30, "delivery")]
    )


def prepare(snapshot: Path, name: str = "prepared", **settings: Any) -> list[dict[str, Any]]:
    """The training rows after preparation, which is left beside the snapshot under that name."""
    output = snapshot.parent / name
    output.mkdir()
    facts = prepare_rows(
        snapshot,
        Preparation.model_validate(settings),
        text_column="text",
        tag_columns=("places",),
        output=output,
    )
    table = pq.read_table(output / "train.parquet")
    assert table.schema == SCHEMA
    assert facts == {path.stem: pq.read_metadata(path).num_rows for path in output.glob("*.parquet")}
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file, by its path in the folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def train_rows(snapshot: Path) -> list[dict[str, Any]]:
    """The training rows as they were."""
    found: list[dict[str, Any]] = pq.read_table(snapshot / "train.parquet").to_pylist()
    return found


@pytest.mark.parametrize("kind", ["oversample", "undersample"])
def test_rows_to_be_judged_on_are_the_same_to_the_byte(snapshot: Path, kind: str) -> None:
    before = digests(snapshot)
    prepare(snapshot, balance={"kind": kind, "column": "intent"}, augment=EVERYTHING)
    after = digests(snapshot.parent / "prepared")
    assert set(after) == {
        *("train.parquet", "validation.parquet", "test.parquet"),
        *("quarantine.jsonl", "checks.json", "pages/index.html"),
    }
    assert {name for name in after if after[name] != before[name]} == {"train.parquet"}
    assert digests(snapshot) == before


def test_originals_come_first_as_they_are_then_copies_then_variants_kind_by_kind(snapshot: Path) -> None:
    originals = train_rows(snapshot)
    found = prepare(
        snapshot, balance={"kind": "oversample", "column": "intent", "ratio": 0.5}, augment=EVERYTHING[1::-1]
    )
    assert found[:16] == originals
    kinds = [row["_id"].rpartition("~")[2] for row in found[16:]]
    assert kinds[:3] == ["oversample1"] * 3
    assert kinds[3:] == sorted(kinds[3:])
    assert set(kinds[3:]) == {"casing1", "punctuation1"}
    ids = [row["_id"] for row in found]
    assert len(set(ids)) == len(ids)


def test_copies_and_variants_keep_every_column_but_text_and_tokens(snapshot: Path) -> None:
    originals = {row["_id"]: row for row in train_rows(snapshot)}
    found = prepare(snapshot, balance={"kind": "oversample", "column": "intent"}, augment=EVERYTHING)
    assert len(found) > 60
    for new in found:
        origin = originals[new["_id"].partition("~")[0]]
        changed = {name for name in origin if new[name] != origin[name]}
        assert changed <= {"_id", "text", "places"}
        if new["_id"].endswith(("~oversample1", "~oversample2", "~oversample3")):
            assert changed == {"_id"}
        position = 0
        for token in new["places"]["tokens"]:
            position = new["text"].index(token, position) + len(token)
        assert "".join(tag[0] for tag in new["places"]["tags"]).count("B") == 1


def test_labels_are_balanced_and_rows_without_one_are_kept(snapshot: Path) -> None:
    more = prepare(snapshot, "more", balance={"kind": "oversample", "column": "intent"})
    less = prepare(snapshot, "less", balance={"kind": "undersample", "column": "intent"})
    assert Counter(row["intent"] for row in more) == {"refund": 12, "delivery": 12, None: 1}
    assert Counter(row["intent"] for row in less) == {"refund": 3, "delivery": 3, None: 1}
    assert [row["_row"] for row in less] == sorted(row["_row"] for row in less)


class ShownTwice(Balancing):
    """A way of its own."""

    kind: Literal["shown_twice"] = "shown_twice"

    def times(self, ids: Sequence[str], labels: Sequence[Any], seed: int) -> NDArray[np.int64]:
        return np.full(len(ids), 2, dtype=np.int64)


def test_a_row_that_is_repeated_is_called_by_the_way_of_balancing(tmp_path: Path) -> None:
    snapshot = write_snapshot(tmp_path / "checked", [row(1, "refund")])
    settings = Preparation.model_construct(balance=ShownTwice(column="intent"), augment=(), seed=1)
    prepare_rows(snapshot, settings, text_column="text", tag_columns=(), output=tmp_path / "prepared")
    ids = pq.read_table(tmp_path / "prepared" / "train.parquet").column("_id").to_pylist()
    assert ids == ["id-1", "id-1~shown_twice1"]


def test_a_part_of_the_rows_is_varied_and_always_the_same_part(snapshot: Path) -> None:
    half = [{"kind": "typing_noise", "share": 0.5, "copies": 3}]
    first, again = (prepare(snapshot, name, augment=half) for name in ("first", "again"))
    assert first == again
    assert digests(snapshot.parent / "first") == digests(snapshot.parent / "again")
    varied = Counter(row["_id"].partition("~")[0] for row in first[16:])
    assert 3 <= len(varied) <= 13
    assert max(varied.values()) == 3
    assert prepare(snapshot, "other", augment=half, seed=14) != first


def test_a_row_gets_the_same_variants_when_other_rows_come(snapshot: Path, tmp_path: Path) -> None:
    rows = train_rows(snapshot)
    grown = write_snapshot(tmp_path / "grown" / "snapshot", [row(99, "refund"), *reversed(rows)])
    half = [{"kind": "word_dropout", "share": 0.5}, {"kind": "typing_noise", "share": 0.5}]
    before, after = ({row["_id"]: row for row in prepare(folder, augment=half)} for folder in (snapshot, grown))
    assert before.items() <= after.items()


def test_rows_of_one_text_draw_lots_of_their_own(tmp_path: Path) -> None:
    same = [
        {**row(number, "refund"), **{key: row(1, "refund")[key] for key in ("text", "places")}} for number in range(9)
    ]
    found = prepare(write_snapshot(tmp_path / "snapshot", same), augment=[{"kind": "typing_noise", "share": 1.0}])
    assert len({row["text"] for row in found[9:]}) > 4


def test_a_variant_that_is_a_text_of_any_split_is_left_out(tmp_path: Path) -> None:
    train = [{**row(1, "refund", tagged=False), "text": "go"}]
    capital = [{**row(20, "refund", tagged=False), "text": "GO"}]
    casing = [{"kind": "casing", "share": 1.0, "copies": 16}]
    alone = prepare(write_snapshot(tmp_path / "a" / "snapshot", train), augment=casing)
    beside = prepare(write_snapshot(tmp_path / "b" / "snapshot", train, test=capital), augment=casing)
    # Two different variants there are, `Go` and `GO`, however often one is drawn.
    assert sorted(row["text"] for row in alone) == ["GO", "Go", "go"]
    assert sorted(row["text"] for row in beside) == ["go"]


def test_a_variant_has_never_the_words_of_a_text_to_be_judged_on(tmp_path: Path) -> None:
    told = [{**row(n, "refund", tagged=False), "text": f"please refund order {n} today"} for n in range(60)]
    judged = [{**row(n, "refund", tagged=False), "text": f"Refund order {n} today!"} for n in range(60)]
    varied = [{"kind": kind, "share": 1.0, "copies": 5} for kind in ("word_dropout", "casing")]
    found = prepare(write_snapshot(tmp_path / "snapshot", told, test=judged), augment=varied)
    texts = {" ".join(one["text"].lower().split()) for one in found}
    assert len(texts) > 100
    assert not texts & {f"refund order {n} today" for n in range(60)}
    assert len(found) > len(texts), "what differs from training in its letters alone is new"


def test_a_variant_of_a_pair_is_one_of_its_first_text_and_known_only_with_its_second(tmp_path: Path) -> None:
    rows = [{"_id": str(n), "text": "go", "body": body} for n, body in enumerate(("to Oslo", "to Hue", None))]
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "prepared").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "snapshot" / "train.parquet")
    pq.write_table(pa.Table.from_pylist([{**rows[0], "text": "GO"}]), tmp_path / "snapshot" / "test.parquet")
    casing = Preparation.model_validate({"augment": [{"kind": "casing", "share": 1.0, "copies": 16}]})
    settings = {"text_column": "text", "tag_columns": (), "pair_column": "body"}
    prepare_rows(tmp_path / "snapshot", casing, output=tmp_path / "prepared", **settings)
    found = pq.read_table(tmp_path / "prepared" / "train.parquet").to_pylist()
    assert sorted((row["body"] or "", row["text"]) for row in found) == [
        ("", "GO"), ("", "Go"), ("", "go"),
        ("to Hue", "GO"), ("to Hue", "Go"), ("to Hue", "go"),
        ("to Oslo", "go"),
    ]  # fmt: skip


def test_rows_whose_text_holds_an_answer_are_left_out_of_every_variation_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quote = {"text": ["Oslo"], "start": [3]}
    rows = [{"_id": "a", "text": "to Oslo", "quote": quote}, {"_id": "b", "text": "to Hue", "quote": None}]
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "prepared").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "snapshot" / "train.parquet")
    casing = Preparation.model_validate({"augment": [{"kind": "casing", "share": 1.0}]})
    settings = {"text_column": "text", "tag_columns": (), "answer_columns": ("quote",)}
    with caplog.at_level("WARNING"):
        prepare_rows(tmp_path / "snapshot", casing, output=tmp_path / "prepared", **settings)
    found = pq.read_table(tmp_path / "prepared" / "train.parquet").to_pylist()
    assert [(row["_id"], row["quote"]) for row in found] == [("a", quote), ("b", None), ("b~casing1", None)]
    assert "casing: 1 rows drawn for it carry tags or answers" in caplog.text


def test_a_variant_without_words_is_none(tmp_path: Path) -> None:
    marks = write_snapshot(tmp_path / "snapshot", [{**row(1, "refund", tagged=False), "text": "?"}])
    found = prepare(marks, augment=[{"kind": "punctuation", "share": 1.0, "copies": 16}])
    # One of the forms is without the mark, and so without anything.
    assert {row["text"] for row in found} in ({"?", "??"}, {"?", "???"}, {"?", "??", "???"})


def test_rows_without_a_text_have_no_variants(tmp_path: Path) -> None:
    empty = write_snapshot(tmp_path / "snapshot", [{**row(1, "refund"), "text": None}, row(2, "refund")])
    found = prepare(empty, augment=EVERYTHING)
    assert {row["_id"].partition("~")[0] for row in found[2:]} == {"id-2"}


def test_the_result_does_not_depend_on_how_many_rows_are_read_at_a_time(
    snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"balance": {"kind": "oversample", "column": "intent"}, "augment": EVERYTHING}
    whole = prepare(snapshot, "whole", **settings)
    monkeypatch.setattr(rows_module, "ROWS_PER_BATCH", 5)
    assert prepare(snapshot, "pieces", **settings) == whole


def test_rows_with_tags_are_left_out_of_back_translation_and_counted(
    translators: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = [row(n, "refund") for n in range(3)]
    train += [{**row(n, "refund", tagged=False), "text": "thanks a lot"} for n in (3, 4)]
    there, back = ({"name": str(folder)} for folder in translators)
    variation = {"kind": "back_translation", "share": 1.0, "forward": there, "backward": back}
    with caplog.at_level(logging.INFO, "tasks.preparation"):
        found = prepare(write_snapshot(tmp_path / "snapshot", train), augment=[variation])
    # The second of the two would have the text that the first one got.
    assert [(row["_id"], row["text"], row["places"]) for row in found[5:]] == [
        ("id-3~back_translation1", "many thanks", None)
    ]
    assert "back_translation: 1 variants of 2 rows" in caplog.text
    assert "back_translation: 3 rows drawn for it carry tags" in caplog.text


def test_tokens_that_do_not_stand_in_the_text_are_refused_by_row(tmp_path: Path) -> None:
    wrong = {**row(7, "refund"), "text": "something else"}
    with pytest.raises(InputError, match=r"row id-7 of train: token 1, 'parcel', .* parts of 'text'"):
        prepare(write_snapshot(tmp_path / "snapshot", [wrong]), augment=EVERYTHING)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            "intention",
            r"column: intention` is no column of the rows; they have text, intent, places, urgency, created_at",
        ),
        ("_id", "column: _id` is no column"),
        ("urgency", "column: urgency` holds double, which has no labels"),
        ("places", "column: places` holds struct"),
    ],
)
def test_a_column_without_labels_cannot_be_balanced_by(snapshot: Path, column: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(snapshot, balance={"kind": "oversample", "column": column})


def test_a_snapshot_without_training_rows_cannot_be_prepared(snapshot: Path) -> None:
    (snapshot / "train.parquet").unlink()
    with pytest.raises(InputError, match="no split `train`"):
        prepare(snapshot, augment=EVERYTHING)
