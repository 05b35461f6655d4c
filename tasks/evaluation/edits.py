"""Edits: what is done to a text before a model is asked about it again. An edit may leave a text as it is."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.evaluation.templates import check_places
from tasks.evaluation.word_exchange import Phrase, exchanged, found_in
from tasks.modeling.slips import slips_in
from tasks.modeling.words import CAPITAL, MARKS, WORD

# Not the digits of a name such as S7.
NUMBER = re.compile(r"(?<!\w)\d+(?!\w)")
CLOSED = re.compile(r"[.!?…。！？؟۔।॥]['\"”’)\]]*\s*$")
Others = Annotated[tuple[Phrase, ...], Field(min_length=2)]


class Text(NamedTuple):
    """A text, and its second one where it is a pair."""

    text: str
    second: str | None = None


class Entity(NamedTuple):
    """A labelled part of a text: from `start` to `end`, in characters."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True)
class Original:
    """A text as it was found, with the entities that it was labelled with."""

    text: Text
    entities: tuple[Entity, ...] = ()


class Edit(BaseModel):
    """What all kinds share."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TypingErrors(Edit):
    """Slips of the fingers: a neighbouring key, two letters swapped, one left out or doubled; at least one a text."""

    kind: Literal["typing_errors"] = "typing_errors"
    rate: float = Field(0.03, gt=0, le=0.5, description="slips a letter")

    def apply(self, original: Original, random: Random) -> str:
        """The text with slips."""
        text = original.text.text
        slips = slips_in(text, (match.span() for match in WORD.finditer(text)), self.rate, random)
        return "".join(slips.get(at, letter) for at, letter in enumerate(text))


class Casing(Edit):
    """All letters small, all large, or the first one of each word."""

    kind: Literal["casing"] = "casing"
    to: Literal["lower", "upper", "title"]

    def apply(self, original: Original, random: Random) -> str:
        """The text in that case."""
        text = original.text.text
        if self.to == "upper":
            return text.upper()
        return CAPITAL.sub(lambda m: m.group().upper(), text.lower()) if self.to == "title" else text.lower()


class Punctuation(Edit):
    """Marks left out at the ends of words, or a full stop behind a text that has no end."""

    kind: Literal["punctuation"] = "punctuation"
    marks: Literal["dropped", "added"]

    def apply(self, original: Original, random: Random) -> str:
        """The text with fewer marks, or one more."""
        text = original.text.text
        if self.marks == "dropped":
            return MARKS.sub("", text)
        return text if CLOSED.search(text) else f"{text.rstrip()}."


class Numbers(Edit):
    """Other digits in each number that stands alone, as many of them."""

    kind: Literal["numbers"] = "numbers"

    def apply(self, original: Original, random: Random) -> str:
        """The text with other numbers."""
        return NUMBER.sub(lambda m: _other_number(m.group(), random), original.text.text)


class Words(Edit):
    """Words of a list, each with another one of it in its place: names of people or places, say."""

    kind: Literal["words"] = "words"
    words: Others

    def apply(self, original: Original, random: Random) -> str:
        """The text with other words of the list."""
        text = original.text.text
        return exchanged(text, {word: _another(word, self.words, random) for word in found_in(text, self.words)})


class Entities(Edit):
    """Every entity that a text is labelled with, of one kind, with one of a list in its place."""

    kind: Literal["entities"] = "entities"
    entity: str = Field(min_length=1, description="kind of the entities, as in the tags of the rows")
    others: Others

    def apply(self, original: Original, random: Random) -> str:
        """The text with other entities."""
        text = original.text.text
        for kind, start, end in sorted(original.entities, key=lambda of: -of.start):
            if kind == self.entity:
                text = text[:start] + _another(text[start:end], self.others, random) + text[end:]
        return text


class Replaced(Edit):
    """The first word or phrase that is a key, with what stands for it: `is: is not`."""

    kind: Literal["replaced"] = "replaced"
    words: dict[Phrase, str] = Field(min_length=1)

    def apply(self, original: Original, random: Random) -> str:
        """The text with the replacement."""
        return exchanged(original.text.text, self.words, once=True)


class Template(Edit):
    """Something said before or after the text: `{text} This is outrageous.`"""

    kind: Literal["template"] = "template"
    template: str

    @field_validator("template")
    @classmethod
    def _holds_the_text(cls, template: str) -> str:
        check_places([template], {"text": ()})
        return template

    def apply(self, original: Original, random: Random) -> str:
        """The template with the text in it."""
        return self.template.replace("{text}", original.text.text)


AnyEdit = Annotated[
    TypingErrors | Casing | Punctuation | Numbers | Words | Entities | Replaced | Template, Field(discriminator="kind")
]


def _another(word: str, words: Iterable[str], random: Random) -> str:
    return random.choice([other for other in words if other.casefold() != word.casefold()] or [word])


def _other_number(digits: str, random: Random) -> str:
    first = random.choice([digit for digit in "123456789" if digit != digits[0]])
    return first + "".join(random.choice("0123456789") for _ in digits[1:])
