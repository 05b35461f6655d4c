"""The report as markdown, for the pages of a Prefect server: what a reader sees first of every section."""

import re
from collections.abc import Collection, Sequence

from tasks.reporting.sections import Section, Table, Tone

ROWS_SHOWN = 15
MARKS = re.compile(r"([\\`*_{}\[\]#|~])")
# A page has colours for these.
MARKED: dict[Tone, str] = {"bad": "**", "strong": "**", "doubt": "*"}
ENTITIES = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def markdown_of(sections: Sequence[Section], pictures: Collection[str] = ()) -> str:
    """Sentences, tables that are not folded, and those of the pictures that are named; texts stand as they are."""
    parts = []
    for section in sections:
        tables = [table for table in section.tables if not table.folded]
        shown = [picture for picture in section.pictures if picture.name in pictures]
        if not (section.sentences or tables or shown):
            continue
        parts += [f"## {section.title}", *([plain(section.note)] if section.note else [])]
        parts += ["\n".join(f"- {plain(sentence)}" for sentence in section.sentences)] if section.sentences else []
        parts += [f"![{plain(of.caption)}](data:image/png;base64,{of.encoded})" for of in shown]
        parts += [_table(table) for table in tables]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """A text that markdown, and HTML in it, leave as it is; on one line."""
    return MARKS.sub(r"\\\1", " ".join(text.split()).translate(ENTITIES))


def _table(table: Table) -> str:
    titles = " | ".join(plain(column.title) or " " for column in table.columns)
    ends = " | ".join("---:" if column.kind == "number" else "---" for column in table.columns)
    rows = [" | ".join(_cell(shown, tone) for _, shown, tone in row) for row in table.cells[:ROWS_SHOWN]]
    lines = [f"| {line} |" for line in (titles, ends, *rows)]
    left = len(table.cells) - ROWS_SHOWN
    more = [f"\nand {left} more in the report"] if left > 0 else []
    return "\n".join([*([f"**{plain(table.title)}**\n"] if table.title else []), *lines, *more])


def _cell(shown: str, tone: Tone) -> str:
    text = plain(shown)
    mark = MARKED.get(tone, "")
    return f"{mark}{text}{mark}" if text else text
