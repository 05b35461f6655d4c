import re
from pathlib import Path

import pytest

from tasks.reporting.markdown import markdown_of
from tasks.reporting.page import Page, write_page
from tasks.reporting.sections import Cell, Column, Section, Table, Tone

TABLE = Table((Column("text", "text"), Column("share", "number")), [("كم تكلفة الشحن؟", 0.5)], "All rows", folded=True)


@pytest.fixture
def page(tmp_path: Path) -> str:
    """A page with a table that is folded."""
    write_page(Page("shop", "HOLD", "doubt", "facts", [Section("all", "All", tables=[TABLE])]), tmp_path)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_each_column_of_a_table_has_a_header_that_a_reader_aloud_and_a_second_sheet_of_paper_know(page: str) -> None:
    heads = re.findall(r"<thead><tr>(.*)</tr></thead>", page)
    assert [re.findall(r'<th scope="col"[^>]*>(\w+)</th>', head) for head in heads] == [["text", "share"]]


def test_paper_shows_what_is_folded_and_the_last_columns_in_dark_letters(page: str) -> None:
    styles = page[page.index("<style>") : page.index("</style>")]
    printed = styles[styles.index("@media print") :]
    # A browser hides what is folded by this part, and no longer by `display`.
    assert "details::details-content { content-visibility: visible;" in printed
    assert ".wide { overflow: visible; }" in printed
    assert "print-color-adjust: exact" in printed
    assert "@media screen and (prefers-color-scheme: dark)" in styles


def test_a_text_from_right_to_left_is_read_so_beside_texts_that_are_not(page: str) -> None:
    assert re.search(r"td \{ unicode-bidi: plaintext; \}", page)


def test_in_markdown_a_cell_is_marked_where_the_page_has_a_colour() -> None:
    tones: list[Tone] = ["bad", "strong", "doubt", "good", ""]
    table = Table([Column(tone or "none", "number") for tone in tones], [[Cell(0.5, tone) for tone in tones]])
    lines = markdown_of([Section("all", "All", tables=[table])]).splitlines()
    assert lines[-1] == "| **0.500** | **0.500** | *0.500* | 0.500 | 0.500 |"


def test_a_name_that_is_long_breaks_and_leaves_room_for_the_other_columns(page: str) -> None:
    assert re.search(r"td\.name span \{[^}]* max-width: 18rem; white-space: normal;", page)


def test_a_heading_of_one_long_word_leaves_a_narrow_screen_no_wider(page: str) -> None:
    assert re.search(r"body \{[^}]*overflow-wrap: anywhere; \}", page)
