"""A contract drafted from data: what it says of each kind of column, and that it can be read again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
import yaml

from data_contracts.dataset import DATASETS, DatasetContract, Property
from data_contracts.errors import InputError
from data_contracts.yaml_files import model_of
from tasks.ingestion import column_facts
from tasks.ingestion.column_facts import ColumnFacts
from tasks.ingestion.draft_lines import in_yaml, outwards, round_down, round_up
from tasks.ingestion.drafting import draft_contract, draft_of_source
from tasks.ingestion.endings import KINDS, source_of
from tasks.ingestion.rows import RawRows, UnreadableRow
from tasks.ingestion.sources import Source

SAMPLE = DATASETS.parent / "samples" / "support" / "train.jsonl"


def batch(unreadable: Sequence[UnreadableRow] = (), **columns: Any) -> RawRows:
    rows = len(next(iter(columns.values())))
    return RawRows(range(1, rows + 1), columns, tuple(unreadable))


def drafted(*batches: RawRows, **settings: Any) -> DatasetContract:
    return parsed(draft_contract("reviews", batches, **settings))


def parsed(draft: str) -> DatasetContract:
    return model_of(yaml.safe_load(draft), DatasetContract, "draft")


def only(values: Any, **settings: Any) -> Property:
    """The column that values make, beside a text that takes that role."""
    beside = [f"text number {position} of them" for position in range(len(values))]
    return drafted(batch(text=beside, column=values), **settings).column("column")


def texts(count: int, ending: str = "") -> list[str]:
    return [f"this is text {number}{ending}" for number in range(count)]


@pytest.mark.parametrize(
    ("values", "logical_type"),
    [
        (["a b", "c", None], "string"),
        ([1, 2, None], "integer"),
        ([1, 2.5], "number"),
        ([0.5, float("nan")], "number"),
        ([True, False], "boolean"),
        (["2026-01-05T08:00:00Z", "2026-01-05"], "timestamp"),
        (["2026-01-05", "2026-13-05"], "string"),
        (["20260105", "20260106"], "string"),
        ([datetime(2026, 1, 5, tzinfo=UTC)], "timestamp"),
        ([["a", "b"], []], "array"),
        ([{"tokens": ["a"], "tags": ["O"]}], "object"),
        ([{"text": "is", "start": 5}, {"text": [], "answer_start": []}, {"start": 5, "end": 7}], "object"),
        ([None, None], "string"),
        (["1", "2"], "string"),
    ],
)
def test_the_type_of_a_column_is_that_of_its_values(values: list[Any], logical_type: str) -> None:
    assert only(values).logical_type == logical_type


@pytest.mark.parametrize(
    ("cells", "logical_type"),
    [
        (["1", "-20", None], "integer"),
        (["1", "2.5"], "number"),
        (["01", "02"], "string"),
        (["0.5", "1e-3"], "number"),
        (["nan", "1"], "string"),
        (["1", "one"], "string"),
        (["1_0", "2"], "string"),
        (["2026-01-05", None], "timestamp"),
    ],
)
def test_in_a_format_of_texts_alone_numbers_are_read_from_them(cells: list[Any], logical_type: str) -> None:
    assert only(cells, typed=False).logical_type == logical_type


def test_a_column_is_required_where_every_row_has_it() -> None:
    contract = drafted(batch(a=["x y", "z"], b=["x", None]), batch(a=["v w"]))
    assert contract.column("a").required
    assert not contract.column("b").required
    assert "# Missing in 2 of 3 rows (66.7%)." in draft_contract("r", [batch(a=["x y"] * 3, b=["x", None, None])])


def test_the_text_is_required_even_where_rows_lack_it_and_the_budget_lets_these_go() -> None:
    rows = batch(text=[*texts(9), None], label=["x"] * 10)
    assert drafted(rows).column("text").required
    assert drafted(rows).quarantine_budget == 0.1
    assert "# Missing in 1 of 10 rows (10.0%); without it they are quarantined." in draft_contract("r", [rows])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["0.5"] * 19 + ["n/a"], "# 19 of 20 values are each a number, but not n/a."),
        (["2026-01-05"] * 19 + ["05/01/2026"], "# 19 of 20 values are each a timestamp, but not 05/01/2026."),
        (["0.5"] * 17 + ["n/a"] * 3, None),
    ],
)
def test_a_column_of_texts_says_which_one_keeps_it_from_being_numbers_or_times(
    values: list[str], said: str | None
) -> None:
    draft = draft_contract("r", [batch(text=texts(20), column=values)], typed=False)
    assert parsed(draft).column("column").logical_type == "string"
    assert (said in draft) if said else ("values are each a" not in draft)


def test_numbers_with_commas_are_no_labels_and_the_setting_that_reads_them_is_named() -> None:
    given = ["0,5", "1.200,5", "3"] * 20
    assert only(given).labels is None
    setting = "columns: {column: {number: column}}"
    draft = draft_contract("c", [batch(text=texts(60), column=given)], typed=False)
    assert "Numbers with commas, as '0,5'." in draft
    assert setting in draft
    draft = draft_contract("c", [batch(text=texts(60), column=["999", "1.590", "12.400"] * 20)], typed=False)
    assert "If the point parts thousands, 1.590 is read wrongly" in draft
    assert setting in draft
    for values in (["0.125", "1"], ["1.59", "2"], ["7", "8"]):
        assert setting not in draft_contract("c", [batch(text=texts(60), column=values * 30)], typed=False)


def test_few_values_that_repeat_are_a_label_and_the_rarest_tells_the_support() -> None:
    moods = ["good"] * 40 + ["bad"] * 11 + ["mixed"] * 9
    column = only(moods)
    assert column.is_label
    assert column.labels == ("bad", "good", "mixed")
    assert column.rules.minimum_support == 4


@pytest.mark.parametrize(
    ("different", "rows", "labels"),
    [
        (150, 1_500, True),
        (150, 1_499, False),
        (500, 5_000, True),
        (501, 9_000, False),
        (20, 60, True),
        (20, 59, False),
        (21, 63, False),
        (21, 210, True),
        (1, 50, False),
    ],
)
def test_a_label_has_at_most_500_values_of_ten_rows_each_or_20_of_three(
    different: int, rows: int, labels: bool
) -> None:
    assert only([f"value{row % different}" for row in range(rows)]).is_label == labels


def test_a_column_that_is_named_a_label_is_one_whatever_it_looks_like() -> None:
    assert only(["a", "b", "c"], labels=["column"]).labels == ("a", "b", "c")
    score = only([0.5, 1.0, 0.75], labels=["column"])
    assert score.is_label
    assert not only([0.5, 1.0, 0.75]).is_label


def test_lists_of_few_entries_are_labels_and_lists_of_tags_are_not() -> None:
    assert only([["a"], ["a", "b"], ["b"]] * 3).labels == ("a", "b")
    assert only([["O", "B-PLACE"], ["O", "I-PLACE"]] * 30).labels is None


def test_tags_tell_their_kinds() -> None:
    tagged = [{"tokens": ["a", "b", "c"], "tags": ["B-PLACE", "I-PLACE", "O"]}, {"tokens": ["a"], "tags": ["B-DATE"]}]
    column = only(tagged)
    assert column.tag_kinds == ("DATE", "PLACE")
    assert column.is_label


def test_the_longest_text_of_several_words_is_what_is_learned_from() -> None:
    rows = {"title": texts(30), "body": texts(30, " and more"), "link": ["x" * 90 + str(n) for n in range(30)]}
    contract = drafted(batch(**rows))
    assert [column.name for column in contract.text_columns] == ["body"]
    body = contract.column("body")
    # 23 and 24 characters.
    assert (body.logical_type_options.min_length, body.logical_type_options.max_length) == (20, 50)
    assert body.rules.duplicates.similarity == 0.9
    assert body.rules.duplicates.across == "fail"
    assert [column.name for column in drafted(batch(**rows), text="title").text_columns] == ["title"]


def test_a_text_that_is_named_is_no_label_though_it_repeats() -> None:
    column = drafted(batch(text=["yes", "no"] * 30), text="text").column("text")
    assert column.labels is None
    assert column.rules.role == "text"


def test_numbers_to_learn_are_limited_to_the_range_that_was_seen_rounded_outwards() -> None:
    limits = only([-3.875, 0.5, 3.94], labels=["column"]).logical_type_options
    assert (limits.minimum, limits.maximum) == (-4, 4)


def test_other_numbers_may_grow_and_a_comment_says_what_was_seen_of_them() -> None:
    draft = draft_contract("r", [batch(text=texts(60), customer=[1 + row % 30 for row in range(60)])])
    limits = parsed(draft).column("customer").logical_type_options
    assert (limits.minimum, limits.maximum) == (None, None)
    assert "# 1 to 30." in draft
    assert (
        "# Later rows may well go beyond. A limit would be said so: logicalTypeOptions: {minimum: 0, maximum: 30}"
        in draft
    )


@pytest.mark.parametrize(
    ("low", "high", "rounded"),
    [
        (0.01, 0.98, (0, 1)),
        (1, 5, (1, 5)),
        (0.1, 0.3, (0.1, 0.3)),
        (-0.5, -0.1, (-0.5, -0.1)),
        (13, 187, (0, 200)),
        (101, 109, (101, 109)),
        (7.25, 7.25, (7.25, 7.25)),
    ],
)
def test_limits_are_rounded_by_the_width_of_the_range(low: float, high: float, rounded: tuple[float, float]) -> None:
    assert outwards(low, high) == rounded


def test_lengths_are_rounded_to_one_two_and_five() -> None:
    assert [round_up(length) for length in (1, 3, 5, 6, 186, 1001)] == [1, 5, 5, 10, 200, 2000]
    assert [round_down(length) for length in (1, 3, 5, 9, 186, 1999)] == [1, 2, 5, 5, 100, 1000]


def test_values_that_all_differ_are_unique_where_they_look_like_an_id() -> None:
    assert only([f"r{number}" for number in range(20)]).unique
    assert not only([f"r{number}" for number in range(19)]).unique
    assert not only([f"r{number % 19}" for number in range(20)]).unique
    assert not only(texts(20)).unique
    assert not only(list(range(20))).unique
    numbered = drafted(batch(text=texts(20), rev_id=list(range(20)))).column("rev_id")
    assert numbered.unique
    assert numbered.logical_type_options.maximum is None


def test_a_repeat_in_a_later_batch_is_seen() -> None:
    first, second = [f"r{number}" for number in range(20)], [f"r{number}" for number in range(19, 39)]
    assert not drafted(batch(key=first), batch(key=second)).column("key").unique


def test_what_was_not_looked_at_to_the_end_is_not_called_unique(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_facts, "MOST_IDS", 30)
    assert only([f"r{number}" for number in range(30)]).unique
    assert not only([f"r{number}" for number in range(31)]).unique


def test_what_is_kept_of_a_column_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_facts, "MOST_IDS", 5_000)
    facts = ColumnFacts()
    for start in range(0, 50_000, 1_000):
        facts.add([f"{number}" for number in range(start, start + 1_000)])
        assert len(facts.hashes or ()) <= 5_000
        assert len(facts.counts or ()) <= 500
    assert facts.present == 50_000


def test_columns_of_arrow_give_the_same_draft_as_python_lists() -> None:
    rows = {
        "text": texts(40),
        "mood": ["good", "bad"] * 20,
        "score": [0.5, None] * 20,
        "entities": [{"tokens": ["a"], "tags": ["B-PLACE"]}] * 40,
    }
    arrow = {name: pa.array(values) for name, values in rows.items()}
    assert draft_contract("r", [batch(**rows)]) == draft_contract("r", [batch(**arrow)])


def test_values_of_a_second_type_and_unreadable_rows_widen_the_quarantine_budget() -> None:
    unreadable = [UnreadableRow(number, "not JSON", "{") for number in range(4)]
    contract = drafted(batch(text=texts(46), score=[*range(44), "many", "few"], unreadable=unreadable))
    # Two texts among the scores and four lines of 50.
    assert contract.quarantine_budget == 0.12
    assert drafted(batch(text=texts(50))).quarantine_budget == 0.02


def test_truths_that_are_to_be_learnt_are_drafted_as_two_labels() -> None:
    column = only([True, False, False, None], labels=["column"])
    assert (column.logical_type, column.labels, column.required) == ("string", ("false", "true"), False)
    assert "learn? Then draft it with --label." in draft_contract("r", [batch(text=texts(2), column=[True, False])])


@pytest.mark.parametrize("typed", [True, False])
def test_whole_numbers_that_are_to_be_learnt_are_told_how_they_may_be_classes(typed: bool) -> None:
    def draft(values: list[int]) -> str:
        column = values if typed else list(map(str, values))
        return draft_contract("r", [batch(text=texts(len(values)), column=column)], ["column"], typed=typed)

    assert "# {property: labels, value: ['-1', '2', '10']}; numbers" in draft([10, 2, -1, 2])
    assert "labels" not in draft(list(range(21)))


def test_all_that_no_contract_can_hold_is_said_at_once() -> None:
    rows = {"_id": ["a"], "nested": [{"a": 1}], "flags": [True], "at": [datetime(2026, 1, 5)], "text": ["a b"]}
    with pytest.raises(InputError) as error:
        draft_contract("r", [batch(**rows)], labels=["mood", "at"], text="flags")
    lines = str(error.value).splitlines()
    assert lines[0] == "no contract can be drafted from this data"
    assert lines[1:-1] == [
        "  - there is no column 'mood'; columns are '_id', 'nested', 'flags', 'at', 'text'",
        "  - column '_id': names with a leading underscore are those of graft's own columns",
        "  - column 'nested' holds values that no contract has a type for, as {'a': 1}; of lists and objects there are "
        "lists of text, tagged tokens {tokens, tags}, and one answer {text, start} a text",
        "  - column 'flags' holds values of type boolean, so it is no text",
        "  - column 'at' holds moments, which no head learns",
    ]
    assert "`drop`" in lines[-1]


def test_data_without_rows_gives_no_contract() -> None:
    with pytest.raises(InputError, match="it holds no row"):
        draft_contract("r", [])


def test_data_that_cannot_be_read_is_shown_with_its_first_row(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('[{"text": "a b"}]\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"the first, row 1, is list, not an object, in '\[\{.* an object a line"):
        draft_of_source("r", source_of(str(file)))


@pytest.mark.parametrize(
    "value", ["yes", "no", "1", "a: b", "a, b", "[a", "#", "'", '"', "", "null", "a\nb", "ơ", "- a"]
)
def test_labels_are_read_back_as_the_text_they_are(value: str) -> None:
    assert yaml.safe_load(in_yaml(value)) == value
    assert yaml.safe_load(in_yaml([value, value])) == [value, value]
    assert set(only([value, "other"] * 30).labels or ()) == {value, "other"}


def test_the_draft_of_the_samples_is_read_again_and_says_what_the_owner_has_to_settle() -> None:
    source = source_of(str(SAMPLE))
    draft = draft_contract("tickets", source.batches(SAMPLE), labels=["urgency"], typed=source.typed)
    contract = parsed(draft)
    assert {column.name: column.logical_type for column in contract.columns} == {
        "text": "string",
        "language": "string",
        "intent": "string",
        "sentiment": "string",
        "entities": "object",
        "urgency": "number",
        "created_at": "timestamp",
    }
    assert len(contract.column("intent").labels or ()) == 16
    assert contract.column("urgency").is_label
    assert contract.status == "draft"
    assert "# Drafted from 1,280 rows." in draft
    assert "personalData" in draft
    assert "personalData" not in str(contract.model_dump())


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("a/b.jsonl", "json_lines"),
        ("b.json", "json_lines"),
        ("b.NDJSON", "json_lines"),
        ("b.jsonl.gz", "json_lines"),
        ("B.JSONL.GZ", "json_lines"),
        ("https://host/b.csv.gz?signature=a.b/c", "csv"),
        ("s3://bucket/b.csv.bz2", "csv"),
        ("b.tsv", "csv"),
        ("b.parquet", "parquet"),
        ("b.arrow", "arrow"),
        ("b.conll.xz", "conll"),
        ("b.txt", "conll"),
        ("shards/*.jsonl", "json_lines"),
    ],
)
def test_the_ending_of_a_file_tells_its_kind(address: str, kind: str) -> None:
    assert source_of(address).kind == kind


def test_no_ending_speaks_for_two_kinds() -> None:
    endings = [ending for kind in get_args(get_args(Source)[0]) for ending in kind.endings]
    assert len(endings) >= 12
    assert sorted(endings) == sorted(KINDS)


def test_a_kind_and_settings_that_are_given_win_over_the_ending() -> None:
    assert source_of("a.txt", "csv", {"delimiter": ";"}).model_dump()["delimiter"] == ";"
    assert source_of("a.tsv").model_dump()["delimiter"] == "\t"
    assert source_of("a.tsv", None, {"delimiter": ";"}).model_dump()["delimiter"] == ";"


def test_an_ending_that_tells_nothing_is_answered_with_those_that_do() -> None:
    with pytest.raises(InputError, match=r"'\.doc' does not say .* \.jsonl, .* --kind"):
        source_of("a.doc")


@pytest.mark.parametrize(
    ("kind", "settings", "complaint"),
    [("xml", {}, "'xml'"), ("csv", {"delimeter": ";"}, "delimeter: unknown key"), ("csv", {"drop": 3}, "drop")],
)
def test_settings_that_a_kind_does_not_have_are_named(kind: str, settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError) as error:
        source_of("a.csv", kind, settings)
    assert complaint in str(error.value)
    assert str(error.value).startswith("a.csv cannot be read so")


def test_a_file_of_cells_is_drafted_with_the_types_they_stand_for(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    rows = [f"text number {number},{number % 5 + 1},{'good' if number % 2 else 'bad'}" for number in range(40)]
    path.write_text("\n".join(["text,stars,mood", *rows]) + "\n", encoding="utf-8")
    source = source_of(str(path))
    contract = parsed(draft_contract("reviews", source.batches(path), typed=source.typed))
    assert contract.column("stars").logical_type == "integer"
    assert contract.column("mood").labels == ("bad", "good")


def test_answers_are_taken_for_parts_of_the_text_that_is_learned_from() -> None:
    said = [{"text": "text", "start": 8}, {"text": [], "start": []}, None]
    draft = draft_contract("reviews", [batch(context=texts(3, " of some length"), question=texts(3), said=said)])
    column = parsed(draft).column("said")
    assert (column.logical_type, column.is_label, column.rules.answers_in) == ("object", True, "context")
    assert "# Answers that are parts of context?" in draft
    other = parsed(draft_contract("r", [batch(a=texts(3, " of some length"), b=texts(3), said=said)], text="b"))
    assert other.column("said").rules.answers_in == "b"
    with pytest.raises(InputError, match=r"'said' holds answers .* Name the one that they stand in with --text"):
        draft_contract("reviews", [batch(word=["a", "b", "c"], said=said)])
