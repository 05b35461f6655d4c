"""Cleaning: what is done to a text before anything else sees it, in training and in use alike."""

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.plain_text import Form, plain_text


class Cleaning(BaseModel):
    """Which cleaning a text goes through; by default none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unicode: Form = Field("as_is", description="Unicode normal form of every text")
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
    return plain_text(text, unicode=cleaning.unicode, markup=cleaning.markup, whitespace=cleaning.whitespace)
