"""Cleaning: what is done to a text before anything else sees it, in training and in use alike."""

import re
import unicodedata
from html.parser import HTMLParser
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

# Elements and boolean attributes of the HTML Living Standard (https://html.spec.whatwg.org/multipage/indices.html), and
# the obsolete ones of its section 16.2 that old pages and e-mails are full of.
INLINE = (
    "a abbr acronym area audio b bdi bdo big button canvas cite code data datalist del dfn em embed font i iframe img "
    "input ins kbd label link map mark meta meter noscript object output param picture progress q ruby rp rt s samp "
    "script select slot small source span strike strong style sub sup svg template textarea time track tt u var video "
    "wbr"
)
BLOCK = (
    "address article aside base blockquote body br caption center col colgroup dd details dialog div dl dt fieldset "
    "figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li main menu nav "
    "ol optgroup option p pre search section summary table tbody td tfoot th thead title tr ul"
)
WITHOUT_VALUE = (
    "allowfullscreen async autofocus autoplay checked compact controls default defer disabled formnovalidate hidden "
    "inert ismap itemscope loop multiple muted nomodule noshade novalidate nowrap open playsinline readonly required "
    "reversed selected"
)
NOT_TEXT = ("script", "style")
SEPARATING = frozenset(BLOCK.split())
# What `a < b`, `<3`, `<ana@example.com>` and `a <b and c> d` are not.
TAG = re.compile(
    rf"</?(?:{'|'.join([*INLINE.split(), *BLOCK.split()])})"
    rf"(?:\s+(?:[\w:.@-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+)|(?:{'|'.join(WITHOUT_VALUE.split())})(?=[\s/>])))*"
    r"\s*/?>|<!--.*?-->|<!doctype\s[^<>]*>",
    re.IGNORECASE | re.DOTALL,
)
# Without a semicolon `&copy=2` of an address would be read as ©, as browsers do for the sake of old pages.
REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")


class Cleaning(BaseModel):
    """Which cleaning a text goes through; by default none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unicode: Literal["as_is", "NFC", "NFKC"] = Field("as_is", description="Unicode normal form of every text")
    markup: bool = Field(False, description="takes HTML tags out and turns character references into characters")
    whitespace: bool = Field(False, description="runs of white space become one space, and none is left at the ends")

    @property
    def changes_nothing(self) -> bool:
        """Whether every text comes out as it went in."""
        return self == Cleaning()


def clean_texts(texts: list[str], cleaning: Cleaning) -> list[str]:
    """The texts without markup, then in the normal form, then with plain white space: as far as `cleaning` says so.

    To clean twice is to clean once, unless a text shows markup in references (`&lt;b&gt;`) or full-width characters:
    those become `<b>`, which a second pass would take for a tag.
    """
    if cleaning.changes_nothing:
        return texts
    return [_clean(text, cleaning) for text in texts]


def clean_tagged(tokens: list[str], tags: list[str], cleaning: Cleaning) -> tuple[list[str], list[str]]:
    """Each token cleaned; one that nothing is left of goes with its tag, and its entity begins at the next one.

    Markup is seen inside a token only: where a tokenizer cut `<b>` or `&amp;` into several, these stay, and then do
    not stand in the cleaned text. Raises ValueError where there are more tokens than tags, or fewer.
    """
    if cleaning.changes_nothing:
        return tokens, tags
    kept_tokens, kept_tags = [], []
    headless = ""
    for token, tag in zip(tokens, tags, strict=True):
        tag = f"B-{headless}" if headless and tag == f"I-{headless}" else tag
        # What a block's tag left at its ends would not stand in a text whose white space is cleaned, too.
        word = _clean(token, cleaning).strip()
        headless = tag[2:] if not word and tag.startswith("B-") else ""
        if word:
            kept_tokens.append(word)
            kept_tags.append(tag)
    return kept_tokens, kept_tags


def _clean(text: str, cleaning: Cleaning) -> str:
    if cleaning.markup and ("<" in text or "&" in text):
        text = _without_markup(text)
    if cleaning.unicode != "as_is" and not text.isascii():
        text = unicodedata.normalize(cleaning.unicode, text)
    return " ".join(text.split()) if cleaning.whitespace else text


def _without_markup(text: str) -> str:
    """What a browser would show, with a line break where a block ends; a `<` or `&` that begins no markup stays."""
    reader = _Reader()
    position = 0
    for tag in TAG.finditer(text):
        if _never_ends(tag):
            continue
        reader.feed(_escaped(text[position : tag.start()]) + tag.group())
        position = tag.end()
    reader.feed(_escaped(text[position:]))
    reader.close()
    return "".join(reader.pieces)


def _never_ends(tag: re.Match[str]) -> bool:
    """Whether it begins a script or style sheet without an end: all the rest of the text would count as that."""
    name = tag.group()[1:].split(">")[0].split()[0].lower()
    return name in NOT_TEXT and f"</{name}" not in tag.string[tag.end() :].lower()


def _escaped(text: str) -> str:
    """The text with `<` and `&` written as references, except where `&` begins one."""
    pieces = REFERENCE.split(text)
    references = REFERENCE.findall(text)
    plain = [piece.replace("&", "&amp;").replace("<", "&lt;") for piece in pieces]
    return "".join(part for pair in zip(plain, [*references, ""], strict=True) for part in pair)


class _Reader(HTMLParser):
    """Collects what is text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A block's tag separates words, an inline one does not; what scripts and style sheets hold is no text."""
        self.pieces += ["\n"] * (tag in SEPARATING)
        self.hidden = self.hidden or (tag if tag in NOT_TEXT else "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """As a tag that begins and ends."""
        self.pieces += ["\n"] * (tag in SEPARATING)

    def handle_endtag(self, tag: str) -> None:
        """The end of a block separates words; of a script, what follows is text again."""
        self.pieces += ["\n"] * (tag in SEPARATING)
        self.hidden = "" if tag == self.hidden else self.hidden

    def handle_data(self, data: str) -> None:
        """Text, with its references turned into characters."""
        self.pieces += [] if self.hidden else [data]
