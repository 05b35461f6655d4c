"""Rules about answers that are parts of a text: where they stand, that one pair has one answer, and masking."""

from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from data_contracts.dataset import DatasetContract
from data_contracts.errors import InputError

Row = dict[str, Any]
Make = Callable[..., DatasetContract]
Check = Callable[..., Any]


def text(name: str, **rules: Any) -> Row:
    given = [{"property": key, "value": value} for key, value in {"role": "text", **rules}.items()]
    return {"name": name, "logicalType": "string", "customProperties": given}


def answers(**rules: Any) -> Row:
    given = [
        {"property": key, "value": value} for key, value in {"role": "label", "answersIn": "context", **rules}.items()
    ]
    return {"name": "answer", "logicalType": "object", "customProperties": given}


def row(context: str | None, said: str, start: int, question: str = "where ?") -> Row:
    return {"question": question, "context": context, "answer": {"text": said, "start": start}}


def test_an_answer_stands_in_its_text_where_it_is_said_to_begin(check: Check, contract_of: Make) -> None:
    contract = contract_of(text("question"), text("context"), answers(), budget=0.9)
    rows = [
        row("in Oslo", "Oslo", 3, "a"),
        {"question": "b", "context": "in Oslo", "answer": {"text": [], "start": []}},
        {"question": "c", "context": None, "answer": {"text": [], "start": []}},
        {"question": "d", "context": "in Oslo", "answer": None},
        # Counted in bytes, as some tools do.
        row("ở Oslo", "Oslo", 4, "e"),
        row("in Oslo", "Oslo", 7, "f"),
        row(None, "Oslo", 3, "g"),
        {"question": "h", "context": "in Oslo", "answer": {"text": ["Oslo", "in"], "start": [3, 1]}},
    ]
    found = check(contract, train=rows)
    assert found.accepted == {"train": 4}
    rules = {finding["row"]: finding["rule"] for finding in found.findings}
    assert rules == {
        5: "answers stand in context: 'Oslo' does not stand at character 4, where the text says 'lo'",
        6: "answers stand in context: 'Oslo' begins at character 7 of a text of 7",
        7: "answers stand in context: there is no text for 'Oslo' to stand in",
        8: "answers stand in context: 'in' does not stand at character 1, where the text says 'n '",
    }
    assert {finding["column"] for finding in found.findings} == {"answer"}


def test_one_pair_has_one_answer(check: Check, contract_of: Make) -> None:
    contract = contract_of(text("question"), text("context"), answers(), budget=0.9)
    rows = [
        row("in Oslo now", "Oslo", 3),
        row("In Oslo, now", "now", 9),
        row("in Oslo now", "now", 8, "when ?"),
        {**row("in Oslo now", "Oslo", 3), "answer": {"text": ["Oslo"], "start": [3]}},
    ]
    found = check(contract, train=rows)
    assert sorted({finding["row"] for finding in found.findings}) == [1, 2, 4]
    assert found.of_row(1)[0]["rule"] == "one text, conflicting labels: Oslo, now"


def test_an_answer_is_masked_as_its_text_is(check: Check, contract_of: Make) -> None:
    masking = {"personalData": {"action": "mask"}}
    contract = contract_of(text("question"), text("context", **masking), answers())
    found = check(contract, train=[row("write to ana@example.com", "ana@example.com", 9), row("to Oslo", "Oslo", 3)])
    kept = pq.read_table(found.folder / "train.parquet").to_pylist()
    assert [(of["context"], of["answer"]) for of in kept] == [
        ("write to xxx@xxxxxxx.xxx", {"text": ["xxx@xxxxxxx.xxx"], "start": [9]}),
        ("to Oslo", {"text": ["Oslo"], "start": [3]}),
    ]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            {**answers(), "logicalType": "string"},
            "answersIn is for an object of answers, not for a column of type string",
        ),
        (answers(tagKinds=["X"]), "answersIn and tagKinds are for two kinds of columns"),
        (answers(answersIn="story"), "answersIn 'story' is none of the columns of text: question, context"),
    ],
)
def test_a_column_of_answers_is_an_object_in_a_text_that_there_is(contract_of: Make, column: Row, message: str) -> None:
    with pytest.raises(InputError, match=message):
        contract_of(text("question"), text("context"), column)
