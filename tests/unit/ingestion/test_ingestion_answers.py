"""Answers that are parts of a text: the forms that files give them in, and what cleaning the text does to them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from data_contracts.artifacts import SourceFile
from data_contracts.cleaning import Cleaning, clean_texts
from data_contracts.dataset import DatasetContract
from data_contracts.yaml_files import model_of
from tasks.ingestion.answers import answer_of, carried, with_texts
from tasks.ingestion.reading import Reading, read_sources
from tasks.ingestion.sources import JsonLines

CONTRACT = {
    "apiVersion": "v3.0.2",
    "kind": "DataContract",
    "id": "q",
    "name": "q",
    "version": "1.0.0",
    "schema": [
        {
            "name": "q",
            "properties": [
                # Ahead of the text that it stands in.
                {
                    "name": "answer",
                    "logicalType": "object",
                    "customProperties": [{"property": "answersIn", "value": "context"}],
                },
                {
                    "name": "context",
                    "logicalType": "string",
                    "customProperties": [{"property": "role", "value": "text"}],
                },
            ],
        }
    ],
}
ALL = Cleaning(unicode="NFC", markup=True, whitespace=True)


def read(folder: Path, rows: list[dict[str, Any]], cleaning: Cleaning, kind: str = "json_lines", **reader: Any) -> Any:
    """The snapshot's rows and the problems."""
    path = folder / "rows"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = SourceFile(split="train", address=str(path), sha256=digest, reader={"kind": kind, **reader})
    (folder / "out").mkdir()
    read_sources([file], Reading(model_of(CONTRACT, DatasetContract, "q.yaml"), cleaning), folder / "out")
    problems = [json.loads(line) for line in (folder / "out" / "problems.jsonl").open(encoding="utf-8")]
    return pq.read_table(folder / "out" / "train.parquet").to_pylist(), problems


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"text": "Oslo", "start": 3}, {"text": ["Oslo"], "start": [3]}),
        ({"text": ["Oslo"], "answer_start": [3]}, {"text": ["Oslo"], "start": [3]}),
        ({"text": ["in Oslo", "Oslo"], "start": [0, 3]}, {"text": ["in Oslo", "Oslo"], "start": [0, 3]}),
        ({"text": [], "answer_start": []}, {"text": [], "start": []}),
        ({"text": "", "start": -1}, {"text": [], "start": []}),
        ({"text": None, "start": None}, {"text": [], "start": []}),
        ({"start": None, "end": None}, {"text": [], "start": []}),
    ],
)
def test_an_answer_is_read_as_files_have_it(given: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert answer_of(given) == wanted


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("Oslo", "expected an object with `text` and `start`"),
        ({"text": "Oslo"}, "counts characters from 0"),
        ({"text": "Oslo", "start": -1}, "counts characters from 0"),
        ({"text": "Oslo", "start": 1.5}, "counts characters from 0"),
        ({"text": ["Oslo", ""], "start": [1, 2]}, "expected an object"),
        ({"text": ["Oslo"], "start": [1, 2]}, "found 1 texts but 2 starts"),
        ({"start": 3}, "expected an object"),
        ({"start": 3, "end": 9}, "expected an object"),
    ],
)
def test_a_value_that_is_no_answer_is_told_what_was_expected(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        answer_of(given)


@pytest.mark.parametrize("kind", ["json_lines", "parquet"])
def test_start_and_end_are_an_answer_where_they_lie_in_the_text(tmp_path: Path, kind: str) -> None:
    rows = [
        {"context": "in Oslo now", "answer": {"start": 3, "end": 7}},
        {"context": "in Oslo now", "answer": None},
        {"context": "in Oslo now", "answer": {"start": 8, "end": 12}},
        {"context": None, "answer": {"start": 0, "end": 2}},
        {"context": "in Oslo now", "answer": {"start": 8, "end": 8}},
    ]
    found, problems = read(tmp_path, rows, Cleaning(), kind)
    assert [row["answer"] for row in found] == [{"text": ["Oslo"], "start": [3]}, None]
    assert [problem["row"] for problem in problems] == [3, 4, 5]
    assert {problem["column"] for problem in problems} == {"answer"}
    assert "`start` and `end` in the text" in problems[0]["rule"]


def test_an_answer_may_be_made_of_columns(tmp_path: Path) -> None:
    rows = [{"context": "in Oslo", "said": "Oslo", "at": 3}, {"context": "in Oslo", "said": None, "at": None}]
    made = {"columns": {"answer": {"text": "said", "start": "at"}}}
    assert [row["answer"] for row in read(tmp_path, rows, Cleaning(), **made)[0]] == [
        {"text": ["Oslo"], "start": [3]},
        None,
    ]
    with pytest.raises(ValidationError, match="give one of the two"):
        JsonLines.model_validate({"path": "a", "columns": {"answer": {"start": "at"}}})


def test_answers_go_along_when_their_text_is_cleaned(tmp_path: Path) -> None:
    text = "<p>We  are in <b>Da\u0300 Nang</b>&amp;  Oslo, Oslo</p>"
    answers = [(part, text.index(part)) for part in ("Da\u0300 Nang", "We  are", "Oslo, Oslo")]
    answers.append(("Oslo", text.rindex("Oslo")))
    rows = [{"context": text, "answer": {"text": part, "start": start}} for part, start in answers]
    rows.append({"context": text, "answer": {"text": [], "start": []}})
    found, _ = read(tmp_path, rows, ALL)
    clean = "We are in Dà Nang& Oslo, Oslo"
    assert {row["context"] for row in found} == {clean}
    assert [row["answer"] for row in found] == [
        {"text": ["Dà Nang"], "start": [10]},
        {"text": ["We are"], "start": [0]},
        {"text": ["Oslo, Oslo"], "start": [19]},
        {"text": ["Oslo"], "start": [25]},
        {"text": [], "start": []},
    ]


@pytest.mark.parametrize(
    ("part", "start", "text"),
    [
        ("<b>", 3, "in <b>Oslo</b>"),
        ("b>Os", 4, "in <b>Oslo</b>"),
        ("Lima", 6, "in <b>Oslo</b>"),
        ("Oslo", 0, "in <b>Oslo</b>"),
        # It is said to begin one character too late.
        ("Oslo", 5, "in  Oslo"),
        # It stands elsewhere, too, where it was not meant.
        ("Oslo", 9, "<i title=Oslo>now</i> in Oslo"),
    ],
)
def test_what_does_not_stand_in_the_cleaned_text_stays_as_it_is(part: str, start: int, text: str) -> None:
    answer = {"text": [part], "start": [start]}
    (cleaned,) = clean_texts([text], ALL)
    assert "Oslo" in cleaned
    assert carried(answer, text, cleaned, ALL) == answer


@pytest.mark.parametrize("cleaning", [Cleaning(whitespace=True), Cleaning(markup=True), ALL])
def test_every_word_of_a_text_is_found_again(cleaning: Cleaning) -> None:
    text = "  <div>one two\n\n two  one</div> <br/>one &lt; two\tone<p>two</p>  "
    (cleaned,) = clean_texts([text], cleaning)
    for word in ("one", "two"):
        places = [at for at in range(len(text)) if text.startswith(word, at)]
        wanted = [at for at in range(len(cleaned)) if cleaned.startswith(word, at)]
        found = [carried({"text": [word], "start": [at]}, text, cleaned, cleaning)["start"][0] for at in places]
        assert found == wanted


def test_a_cell_that_is_nested_without_end_is_left_for_the_contract_to_refuse() -> None:
    texts = ["they said yes", "they said no"]
    deep = "[" * 100_000
    assert with_texts([deep, '{"start": 10, "end": 12}'], texts) == [deep, {"text": "no", "start": 10}]
