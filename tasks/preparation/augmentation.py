"""Augmentation: variants of training texts as people might have typed them, or said otherwise. Labels are copied.

What is edited are single characters, so that tagged tokens keep their places and tags (`Passage.edited`).
"""

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.modeling.slips import Edits, slips_in
from tasks.modeling.words import CAPITAL, MARKS
from tasks.preparation.passages import Passage
from tasks.preparation.translation import Translator

ENDING = ".!?…。！？"


class Variation(BaseModel):
    """What all kinds share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keeps_tags: ClassVar[bool] = True

    share: float = Field(0.2, gt=0, le=1, description="of the training rows that get variants")
    copies: int = Field(1, ge=1, le=16, description="variants a row, fewer where they come out alike")

    @property
    def translators(self) -> tuple[Translator, ...]:
        """Models that the variants come from."""
        return ()


class Punctuation(Variation):
    """No marks at all, none or another one at the end, or the last one several times over; entities keep theirs."""

    kind: Literal["punctuation"] = "punctuation"

    def vary(self, passages: Sequence[Passage], randoms: Sequence[Random]) -> list[Passage]:
        """A variant of each passage."""
        return _edited(_edit_marks, passages, randoms)


class Casing(Variation):
    """All small, all CAPITALS, Each Word With One, or only the text's first letter."""

    kind: Literal["casing"] = "casing"

    def vary(self, passages: Sequence[Passage], randoms: Sequence[Random]) -> list[Passage]:
        """A variant of each passage."""
        return _edited(_edit_case, passages, randoms)


class TypingNoise(Variation):
    """Slips of the fingers: a neighbouring key, two letters swapped, one left out or doubled (`slips_in`)."""

    kind: Literal["typing_noise"] = "typing_noise"
    rate: float = Field(0.03, gt=0, le=0.5, description="slips a letter; at least one a text")

    def vary(self, passages: Sequence[Passage], randoms: Sequence[Random]) -> list[Passage]:
        """A variant of each passage."""
        return _edited(self._edit_letters, passages, randoms)

    def _edit_letters(self, passage: Passage, random: Random) -> Edits:
        return slips_in(passage.text, passage.words, self.rate, random)


class WordDropout(Variation):
    """Words left out, but none of an entity, and never all (random deletion of Wei and Zou 2019, arXiv:1901.11196)."""

    kind: Literal["word_dropout"] = "word_dropout"
    rate: float = Field(0.1, gt=0, le=0.5, description="share of the words that go; at least one a text")

    def vary(self, passages: Sequence[Passage], randoms: Sequence[Random]) -> list[Passage]:
        """A variant of each passage."""
        return _edited(self._edit_words, passages, randoms)

    def _edit_words(self, passage: Passage, random: Random) -> Edits:
        words = [(a, b) for a, b in _tokens_or_words(passage) if any(map(str.isalnum, passage.text[a:b]))]
        kept = passage.in_entities
        free = [word for word in words if kept.isdisjoint(range(*word))]
        if len(words) < 2 or not free:
            return {}
        chosen = [word for word in free if random.random() < self.rate] or [random.choice(free)]
        if len(chosen) == len(words):
            chosen.remove(random.choice(chosen))
        return _without_words(passage.text, chosen)


class BackTranslation(Variation):
    """Into another language and back, by any two sequence-to-sequence models.

    After Sennrich et al. 2016 (arXiv:1511.06709); for labelled texts Xie et al. 2020 (arXiv:1904.12848). Rows with tags
    are left out, for nothing says where in the variant they belong.
    """

    kind: Literal["back_translation"] = "back_translation"
    keeps_tags: ClassVar[bool] = False
    copies: int = Field(1, ge=1, le=1, description="one a row, for no lots are drawn")
    forward: Translator
    backward: Translator
    beams: int = Field(1, ge=1, le=16, description="1 is greedy decoding")
    batch_rows: int = Field(32, ge=1)

    @property
    def translators(self) -> tuple[Translator, ...]:
        """There and back."""
        return (self.forward, self.backward)

    def vary(self, passages: Sequence[Passage], randoms: Sequence[Random]) -> list[Passage]:
        """A variant of each passage; the passage itself where a translator did not come to an end."""
        texts = [passage.text for passage in passages]
        for translator in self.translators:
            texts = translator.translate(texts, beams=self.beams, batch_rows=self.batch_rows)
        return [Passage(text, {}) if text else passage for text, passage in zip(texts, passages, strict=True)]


Augmentation = Annotated[
    Punctuation | Casing | TypingNoise | WordDropout | BackTranslation, Field(discriminator="kind")
]


def _edited(
    edit: Callable[[Passage, Random], Edits], passages: Sequence[Passage], randoms: Sequence[Random]
) -> list[Passage]:
    return [passage.edited(edit(passage, random)) for passage, random in zip(passages, randoms, strict=True)]


def _edit_marks(passage: Passage, random: Random) -> Edits:
    text, kept = passage.text, passage.in_entities
    end = len(text.rstrip())
    runs = [m.span() for m in MARKS.finditer(text, 0, end) if kept.isdisjoint(range(*m.span()))]
    forms: list[Edits] = [{at: "" for run in runs for at in range(*run)}]
    if runs and runs[-1][1] == end:
        forms.append(dict.fromkeys(range(*runs[-1]), ""))
        if text[end - 1] in ENDING:
            forms.append({end - 1: text[end - 1] * random.choice((2, 3))})
    else:
        forms.append({end: random.choice((".", "!", "...")) + text[end : end + 1]})
    return random.choice([form for form in forms if form])


def _edit_case(passage: Passage, random: Random) -> Edits:
    small, large = _letters(passage.text, str.lower), _letters(passage.text, str.upper)
    capitals = [match.start(1) for match in CAPITAL.finditer(passage.text)]
    every, first = (
        [large[at] if at in places else letter for at, letter in enumerate(small)]
        for places in (set(capitals), set(capitals[:1]))
    )
    forms = [form for form in (small, large, every, first) if form != list(passage.text)]
    return dict(enumerate(random.choice(forms))) if forms else {}


def _letters(text: str, change: Callable[[str], str]) -> list[str]:
    """What each character becomes: by the whole text, for Greek's last sigma is another, unless that moves places."""
    changed = change(text)
    return list(changed) if len(changed) == len(text) else [change(letter) for letter in text]


def _tokens_or_words(passage: Passage) -> list[tuple[int, int]]:
    """A word that goes takes its whole token with it."""
    for tokens in passage.tagged.values():
        return [(start, end) for start, end, _ in tokens]
    return passage.words


def _without_words(text: str, words: Iterable[tuple[int, int]]) -> Edits:
    """Each goes with the white space before it; then no white space is left at the beginning."""
    edits: Edits = {}
    for start, end in words:
        begin = len(text[:start].rstrip())
        edits |= dict.fromkeys(range(begin, end), "")
    for at in (at for at in range(len(text)) if at not in edits):
        if not text[at].isspace():
            break
        edits[at] = ""
    return edits
