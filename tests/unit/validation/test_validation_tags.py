"""Which BIO sequences are legal."""

import pytest

from tasks.validation.tags import tag_problem

KINDS = ("PLACE", "PERSON")


@pytest.mark.parametrize(
    "tags",
    [
        "O",
        "O O O",
        "B-PLACE I-PLACE I-PLACE O",
        "B-PLACE B-PLACE I-PLACE",
        "B-PERSON B-PLACE",
    ],
)
def test_legal_sequences_have_no_problem(tags: str) -> None:
    assert tag_problem(["x"] * len(tags.split()), tags.split(), KINDS) is None


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ("I-PLACE", "I-PLACE at token 1 continues nothing"),
        ("B-PLACE O I-PLACE", "I-PLACE at token 3 continues nothing"),
        ("B-PERSON I-PLACE", "I-PLACE at token 2 continues nothing"),
        ("O B-MONEY", "unknown tag 'B-MONEY' at token 2"),
        ("O PLACE", "unknown tag 'PLACE' at token 2"),
        ("o", "unknown tag 'o' at token 1"),
        ("B-", "unknown tag 'B-' at token 1"),
        ("", "no tokens"),
    ],
)
def test_the_first_illegal_tag_is_named(tags: str, problem: str) -> None:
    assert tag_problem(["x"] * len(tags.split()), tags.split(), KINDS) == problem


def test_every_token_has_one_tag() -> None:
    assert tag_problem(["a", "b", "c"], ["O", "O"], KINDS) == "3 tokens but 2 tags"
    assert tag_problem([], ["O"], KINDS) == "0 tokens but 1 tags"
