"""Passages: texts with their tagged tokens, which stay where they belong whatever is done to the letters."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from tasks.modeling.words import WORD, spans_of


class Token(NamedTuple):
    """Where a token stands, in characters, and its tag."""

    start: int
    end: int
    tag: str


@dataclass(frozen=True)
class Passage:
    """A text and, by tag column, its tokens in order; a column without tags for this text is not among them."""

    text: str
    tagged: dict[str, tuple[Token, ...]]

    @property
    def words(self) -> list[tuple[int, int]]:
        """Start and end of each word and mark of the text."""
        return [match.span() for match in WORD.finditer(self.text)]

    @property
    def in_entities(self) -> set[int]:
        """Positions of the characters that belong to an entity."""
        return {
            at
            for tokens in self.tagged.values()
            for start, end, tag in tokens
            if tag != "O"
            for at in range(start, end)
        }

    def edited(self, edits: Mapping[int, str]) -> "Passage":
        """With some characters replaced, by position; what takes the place of a token's characters belongs to it.

        The position behind the last character takes what is added to the end. A token that nothing is left of goes.
        """
        characters = [*self.text, ""]
        for position, replacement in edits.items():
            characters[position] = replacement
        at = [0, *accumulate(map(len, characters))]
        tagged = {
            column: tuple(Token(at[start], at[end], tag) for start, end, tag in tokens if at[start] < at[end])
            for column, tokens in self.tagged.items()
        }
        return Passage("".join(characters), tagged)

    def value_of(self, column: str) -> dict[str, list[str]] | None:
        """Tokens and tags as a snapshot holds them."""
        if column not in self.tagged:
            return None
        tokens = self.tagged[column]
        return {"tokens": [self.text[start:end] for start, end, _ in tokens], "tags": [tag for _, _, tag in tokens]}

    @property
    def is_findable(self) -> bool:
        """Whether each token is where tokenization looks for it: the first of its spelling after the one before."""
        for tokens in self.tagged.values():
            spans = [(start, end) for start, end, _ in tokens]
            if not spans or spans_of([self.text[start:end] for start, end in spans], self.text) != spans:
                return False
        return True


def passage_of(text: str, tagged: Mapping[str, Any]) -> Passage:
    """The passage of a row's text and its values of the tag columns.

    Raises ValueError where a token does not stand in the text.
    """
    found = {
        column: tuple(
            Token(start, end, tag)
            for (start, end), tag in zip(spans_of(value["tokens"], text), value["tags"], strict=True)
        )
        for column, value in tagged.items()
        if value
    }
    return Passage(text, found)
