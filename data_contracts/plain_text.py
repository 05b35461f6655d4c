"""A text as people would read it: without markup, in one Unicode form, with plain white space.

Ships in every exported model, so it imports nothing of ours.
"""

import re
import unicodedata
from html.parser import HTMLParser
from typing import Literal

Form = Literal["as_is", "NFC", "NFKC"]
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


def plain_text(text: str, *, unicode: Form, markup: bool, whitespace: bool) -> str:
    """The text without markup, then in the normal form, then with plain white space: as far as asked for."""
    if markup and ("<" in text or "&" in text):
        text = _without_markup(text)
    if unicode != "as_is" and not text.isascii():
        text = unicodedata.normalize(unicode, text)
    return " ".join(text.split()) if whitespace else text


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
