"""A page: its verdict on top, then its sections. As one HTML file that fetches nothing, and as markdown."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.reporting.markdown import markdown_of
from tasks.reporting.sections import Section, Tone

HTML, MARKDOWN = "report.html", "report.md"


@dataclass(frozen=True)
class Page:
    """What a report says: of what, its verdict and how that is to be taken, a line of facts, and the sections."""

    title: str
    verdict: str
    tone: Tone
    facts: str
    sections: Sequence[Section]


def write_page(page: Page, output: Path, in_markdown: Collection[str] = ()) -> None:
    """Writes `report.html`, each picture as a PNG, and `report.md` with those pictures that are named."""
    for picture in (picture for section in page.sections for picture in section.pictures):
        (output / f"{picture.name}.png").write_bytes(picture.png)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    (output / HTML).write_text(environment.get_template("page.html").render(page=page), encoding="utf-8")
    (output / MARKDOWN).write_text(markdown_of(page.sections, in_markdown), encoding="utf-8")
