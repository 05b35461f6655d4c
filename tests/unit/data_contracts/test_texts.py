"""Words alone: what two texts are compared by."""

import random
import unicodedata

import pyarrow as pa
import pytest

from data_contracts.texts import words_alone

LETTERS = "aB c,.!_-\t\n9\x00\x7f'\u00c9\u00e9\u0309\u00df\ufb01\u0661\U0001f600 \u1ea1"


def slowly(text: str) -> str:
    """The same, letter by letter."""
    folded = unicodedata.normalize("NFKC", text).lower()
    kept = "".join(letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in folded)
    return " ".join(kept.split(" ")).strip(" ") if "  " not in kept else " ".join(kept.split())


@pytest.mark.parametrize("alphabet", [LETTERS, LETTERS[:13]], ids=["any letters", "ASCII"])
def test_words_are_those_that_a_look_at_every_letter_finds(alphabet: str) -> None:
    chance = random.Random(7)
    texts = ["".join(chance.choice(alphabet) for _ in range(chance.randint(0, 14))) for _ in range(3000)]
    column = pa.array(texts)
    assert words_alone(column).to_pylist() == [slowly(text) for text in texts]
    assert words_alone(column.slice(100, 50)).to_pylist() == [slowly(text) for text in texts[100:150]]


def test_what_is_missing_stays_missing() -> None:
    assert words_alone(pa.array([None, "A b!", None])).to_pylist() == [None, "a b", None]
    assert words_alone(pa.array([None, "\u00c0 b!"])).to_pylist() == [None, "\u00e0 b"]
    assert words_alone(pa.array([None, None], pa.string())).to_pylist() == [None, None]
    assert words_alone(pa.chunked_array([["A"], [None, "?"]])).to_pylist() == ["a", None, ""]
    assert words_alone(pa.array([], pa.string())).to_pylist() == []
