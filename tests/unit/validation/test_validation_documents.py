"""What people are shown of the gate: data docs, the run's page, and the rows they may mend."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from great_expectations.expectations.registry import get_expectation_impl

from data_contracts.dataset import DatasetContract
from data_contracts.errors import InputError
from tasks.validation.checks import count_by_rule, read_findings
from tasks.validation.documents import build_documents
from tasks.validation.pages import data_page
from tasks.validation.quarantine import read_mended, rows_to_mend

Row = dict[str, Any]
Check = Callable[..., Any]
Make = Callable[..., DatasetContract]
NASTY = "<script>alert('x')</script> | `code` **bold** ~~gone~~ &lt;"


@pytest.fixture
def contract(contract_of: Make) -> DatasetContract:
    labels = [{"property": "role", "value": "label"}, {"property": "labels", "value": ["good", "bad"]}]
    return contract_of(
        {"name": "text", "logicalType": "string"},
        {"name": "label", "logicalType": "string", "customProperties": labels},
        {"name": "score", "logicalType": "number"},
        budget=0.9,
    )


@pytest.fixture
def checked(check: Check, contract: DatasetContract) -> Any:
    rows = [
        {"text": "one", "label": "good", "score": 1},
        {"text": "two", "label": NASTY, "score": 1},
        {"text": "\ufffd", "label": "ugly", "score": 1},
        {"text": "four", "label": "bad", "score": "much"},
        "no object",
        {"text": "six", "label": "bad", "score": 1},
    ]
    return check(contract, train=rows)


@pytest.mark.parametrize(
    "name",
    [
        "expect_column_values_to_be_legal_bio_tags",
        "expect_column_values_to_be_undamaged_text",
        "expect_column_values_to_hold_no_personal_data",
        "expect_column_values_to_have_tokens",
        "expect_column_lists_to_hold_known_items",
        "expect_column_pair_tokens_to_stand_in_text",
    ],
)
def test_graft_s_own_expectations_are_registered_so_that_a_contract_may_name_them(name: str) -> None:
    assert get_expectation_impl(name).expectation_type == name


def test_data_docs_have_a_page_a_split_and_show_markup_as_text(
    checked: Any, contract: DatasetContract, tmp_path: Path
) -> None:
    output = tmp_path / "docs"
    build_documents(checked.checks, contract, datetime(2026, 3, 1, tzinfo=UTC), output)
    (page,) = output.glob("validations/**/*.html")
    index = (output / "index.html").read_text(encoding="utf-8")
    # Without a network, too, and in a folder that was moved.
    assert "://" not in index
    assert [(output / unquote(place)).is_file() for place in re.findall(r'href="([^"]+)"', index)] == [True, True]
    assert ">train</a>: 2 rows, 4 in quarantine" in index
    assert sum(file.stat().st_size for file in output.rglob("*") if file.is_file()) < 200_000
    html = page.read_text(encoding="utf-8")
    assert "undamaged text" in html
    assert "<script>alert('x')" not in html
    assert "alert(" in html


def test_a_contract_of_any_name_has_data_docs(contract_of: Any, check: Any, tmp_path: Path) -> None:
    contract = contract_of({"name": "text", "logicalType": "string"}).model_copy(update={"name": "shop/../reviews"})
    checked = check(contract, train=[{"text": "one"}])
    build_documents(checked.checks, contract, datetime(2026, 1, 5, tzinfo=UTC), tmp_path / "docs")
    assert len(list((tmp_path / "docs" / "validations").rglob("*.html"))) == 1


def test_the_runs_page_says_what_was_kept_out_and_shows_markup_as_text(
    checked: Any, contract: DatasetContract, tmp_path: Path
) -> None:
    checks = checked.checks
    verdict, reasons = checks.verdict(contract), checks.reasons(contract)
    page = data_page("shop", verdict, reasons, checks, checked.folder, tmp_path / "index.html")
    assert page.startswith("# Data of shop: PASS_WITH_QUARANTINE\n")
    assert "| train | 2 | 4 |" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert r"\~\~gone\~\~ &amp;lt;" in page
    rows = [line for line in page.splitlines() if line.startswith("| ") and "jsonl" in line]
    assert len(rows) == 5
    assert all(line.replace("\\|", "").count("|") == 6 for line in rows)
    assert "graft quarantine show shop" in page
    # A link to a file is none on a server's page.
    assert f"`{tmp_path / 'index.html'}`" in page
    assert "](" not in page


def test_texts_that_repeat_others_are_counted_together_whichever_rows_they_repeat() -> None:
    rules = ["the same text stands in test, row 1", "the same text stands in test, row 22", "one of a, row 3, b: c"]
    findings = [{"split": "train", "column": "text", "rule": rule} for rule in rules]
    assert count_by_rule(findings) == [
        ("train", "text", "the same text stands in test", 2),
        ("train", "text", "one of a, row 3, b", 1),
    ]


def test_rules_are_counted_and_rows_are_written_out_to_be_mended(checked: Any) -> None:
    assert count_by_rule(read_findings(checked.folder))[0] == ("train", "label", "one of good, bad", 2)
    rows = list(rows_to_mend(checked.folder, read_findings(checked.folder)))
    assert [row["_row"] for row in rows] == [4, 5, 2, 3]
    by_row = {row["_row"]: row for row in rows}
    assert sorted(by_row[3]["_rules"]) == ["label: one of good, bad", "text: undamaged text: a replacement character"]
    assert by_row[4]["score"] == "much"
    assert by_row[5]["_content"] == '"no object"'
    assert by_row[2]["text"] == "two"


def written(path: Path, *rows: Row | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_mended_rows_are_read_with_those_that_nobody_touched(
    checked: Any, contract: DatasetContract, tmp_path: Path
) -> None:
    rows = {row["_row"]: row for row in rows_to_mend(checked.folder, read_findings(checked.folder))}
    # A text may hold what is the end of a line elsewhere.
    text = "two\x85 and\u2028three"
    row = {**rows[2], "text": text, "label": "bad"}
    # Some editors put a mark before the first line; rows of the same content have the same id.
    path = written(tmp_path / "mend.jsonl", "\ufeff" + json.dumps(row) + "\n", rows[3], rows[2], row, "\n")
    mended, unchanged = read_mended(path, contract, checked.folder)
    assert mended == {rows[2]["_id"]: {"text": text, "label": "bad", "score": 1.0}}
    assert unchanged == 2


def test_every_line_that_cannot_be_readmitted_is_named(checked: Any, contract: DatasetContract, tmp_path: Path) -> None:
    rows = {row["_row"]: row for row in rows_to_mend(checked.folder, read_findings(checked.folder))}
    path = written(
        tmp_path / "mend.jsonl",
        "{\n",
        {"text": "x"},
        {**rows[2], "_id": "0" * 24},
        rows[5],
        {**rows[2], "mood": "up"},
        f'{{"text": {"[" * 100_000}\n',
        json.dumps({**rows[2], "text": "\ud800"}) + "\n",
        {**rows[2], "text": "first"},
        {**rows[2], "text": "second"},
    )
    told = (
        *("not JSON", "no object with an `_id`", "not in the quarantine any more", "still has `_content`", "mood: no"),
        *("nested too deeply", "half of a character", None, "stands there twice, mended in two ways"),
    )
    with pytest.raises(InputError) as error:
        read_mended(path, contract, checked.folder)
    lines = str(error.value).splitlines()
    wrong = [(number, words) for number, words in enumerate(told, start=1) if words is not None]
    assert lines[0].endswith(f"mend.jsonl: {len(wrong)} mistake(s)")
    for line, (number, words) in zip(lines[1:-1], wrong, strict=True):
        assert line.startswith(f"  - line {number}: ")
        assert words in line
    assert lines[-1] == "Nothing was readmitted."
