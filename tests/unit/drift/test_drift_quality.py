"""What makes a window bad data: each limit, and windows that are hardly any."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tasks.drift.quality import QualityLimits, TextFacts, quality_measures, quality_problems, text_facts
from tasks.modeling.limits import TokenLimit
from tasks.modeling.tokens import TextEncoder
from tests.unit.drift.worlds import usual_texts

Write = Callable[..., Path]
LIMITS = QualityLimits()
# Hieroglyphs, which the vocabulary of the embedded encoder lacks.
UNKNOWN = "\U00013000\U00013001"


@pytest.fixture(scope="module")
def encoder(tiny_encoder: Path) -> TextEncoder:
    return TextEncoder(tiny_encoder, TokenLimit(max_tokens=8))


def facts(tokens: list[int], unknown: list[float] | None = None, repeated: list[bool] | None = None) -> TextFacts:
    rows = len(tokens)
    return TextFacts(np.array(tokens), np.array(unknown or [0.0] * rows), np.array(repeated or [False] * rows))


def problems(measures: dict[str, float], rows: int = 100, limits: QualityLimits = LIMITS) -> list[str]:
    return quality_problems(limits, measures, rows)


# What texts are like


def test_texts_are_counted_whole_with_a_real_tokenizer(write_rows: Write, encoder: TextEncoder) -> None:
    texts = ["please help", f"please {UNKNOWN}", "please help", " ".join(["please"] * 40), None, UNKNOWN]
    found = text_facts(write_rows("window", text=texts), "window", ["text"], encoder)
    # Two special tokens, which are no pieces of the text, and no cut at the limit of eight.
    assert found.tokens.tolist() == [4, 4, 4, 42, 2, 3]
    assert found.unknown == pytest.approx([0, 1 / 2, 0, 0, 0, 1])
    assert found.repeated.tolist() == [False, False, True, False, False, False]
    assert len(found) == 6


def test_pairs_repeat_where_both_texts_do(write_rows: Write, encoder: TextEncoder) -> None:
    folder = write_rows("window", text=["a", "a", "a", "b"], reply=["x", "y", "x", "a"])
    found = text_facts(folder, "window", ["text", "reply"], encoder)
    assert found.repeated.tolist() == [False, False, True, False]
    assert found.tokens.tolist() == [4] * 4


def test_texts_of_an_earlier_split_repeat_in_a_later_one(write_rows: Write, encoder: TextEncoder) -> None:
    write_rows("validation", text=["a", "b"])
    folder = write_rows("test", text=["b", "c", "c"])
    before: set[tuple[str | None, ...]] = set()
    assert text_facts(folder, "validation", ["text"], encoder, before).repeated.tolist() == [False, False]
    assert text_facts(folder, "test", ["text"], encoder, before).repeated.tolist() == [True, False, True]
    assert text_facts(folder, "test", ["text"], encoder).repeated.tolist() == [False, False, True]


def test_no_texts_have_no_facts(write_rows: Write, encoder: TextEncoder) -> None:
    import pyarrow as pa

    folder = write_rows("window", text=pa.array([], pa.string()))
    assert len(text_facts(folder, "window", ["text"], encoder)) == 0


# Shares


def test_shares_are_those_beyond_the_references() -> None:
    reference = facts([10] * 8 + [2, 90], [0.1] * 10, [True] * 2 + [False] * 8)
    window = facts([10, 10, 1, 95, 100], [0.3] * 5, [True] * 3 + [False] * 2)
    found = quality_measures(reference, window, broken=5, lost=1)
    # The reference's lengths at 0.5% and 99.5% are 2.36 and 86.4: two of ten of its own texts are beyond.
    assert found == pytest.approx(
        {
            "broken_share": 5 / 10,
            "repeated_share": 3 / 5 - 2 / 10,
            "unknown_share": 0.3 - 0.1,
            "odd_length_share": 3 / 5 - 2 / 10,
            "lost_share": 1 / 5,
        }
    )


def test_odd_is_shorter_or_longer_than_199_of_200_texts_on_either_side() -> None:
    reference = facts(list(range(1, 1001)))
    # Five of the thousand are shorter than 5.995 tokens, and five longer than 995.005.
    found = quality_measures(reference, facts([5, 6, 995, 996]), broken=0, lost=0)
    assert found["odd_length_share"] == pytest.approx(2 / 4 - 10 / 1000)


def test_a_window_without_rows_is_not_said_to_break_the_contract() -> None:
    nothing = facts([])
    assert quality_measures(usual_texts(50), nothing, broken=0, lost=0) == {"broken_share": 0}
    assert quality_measures(usual_texts(50), nothing, broken=3, lost=0) == {"broken_share": 1}


def test_against_a_reference_without_texts_nothing_is_odd() -> None:
    found = quality_measures(facts([]), facts([1, 1000], [0.5, 0.5], [False, True]), broken=0, lost=0)
    assert (found["odd_length_share"], found["unknown_share"], found["repeated_share"]) == (0, 0.5, 0.5)


# Limits


@pytest.mark.parametrize(
    ("name", "limit", "words"),
    [
        ("broken_share", 0.1, "of the rows break the contract; 10% are let pass"),
        ("repeated_share", 0.5, "of the rows repeat a text of the window, beyond what is usual; 50% are let pass"),
        ("unknown_share", 0.1, "of the pieces of text are unknown to the vocabulary"),
        ("odd_length_share", 0.3, "of the texts are shorter or longer than nearly all"),
        ("lost_share", 0.01, "of the rows got no answer that is a number; 1% are let pass"),
    ],
)
def test_each_limit_lets_pass_what_is_at_it_and_names_what_is_beyond(name: str, limit: float, words: str) -> None:
    assert problems({name: limit}, rows=1000) == []
    (found,) = problems({name: limit + 0.01}, rows=1000)
    assert found.startswith(f"{limit + 0.01:.1%} {words}")
    assert found.endswith(f"(drift.quality.{name})")


def test_all_problems_are_told_together() -> None:
    assert len(problems(dict.fromkeys(QualityLimits.model_fields, 1.0))) == 5
    assert problems({}) == []


def test_limits_can_be_set() -> None:
    assert problems({"lost_share": 0.05}, limits=QualityLimits(lost_share=0.1)) == []
    assert len(problems({"lost_share": 0.05}, limits=QualityLimits(lost_share=0.04))) == 1


@pytest.mark.parametrize("rows", [2, 3, 49, 98, 107])
def test_one_row_is_no_share_and_two_are(rows: int) -> None:
    # 2 / 49 * 49 is a little less than 2.
    assert problems({"lost_share": 1 / rows}, rows) == []
    assert len(problems({"lost_share": 2 / rows}, rows)) == 1


def test_a_single_row_against_the_contract_is_all_of_its_window() -> None:
    assert len(problems({"broken_share": 1.0}, rows=1)) == 1
