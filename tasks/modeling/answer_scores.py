"""Scores of answers that are parts of a text, as SQuAD has them (Rajpurkar et al. 2016, arXiv:1606.05250, section 6.1).

No answer is one, too (Rajpurkar et al. 2018, arXiv:1806.03822): it is right where there is none, and wrong elsewhere.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(answer: str) -> str:
    """In lower case, without punctuation and English articles, parted by single spaces."""
    return " ".join(ARTICLES.sub(" ", answer.lower().translate(PUNCTUATION)).split())


def answer_is_right(given: str, wanted: Sequence[str]) -> bool:
    """Whether the answer is one of those wanted; "" is right where none is."""
    return normalised(given) in _each(wanted)


def answer_f1(given: str, wanted: Sequence[str]) -> float:
    """F1 of the words that the answer shares with that of those wanted which it shares most with."""
    return max(_shared_f1(normalised(given).split(), answer.split()) for answer in _each(wanted))


def answer_match(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """token_f1 and exact_match, each the mean over the texts."""
    pairs = list(zip(predictions, references, strict=True))
    return {
        "token_f1": sum(answer_f1(*pair) for pair in pairs) / len(pairs),
        "exact_match": sum(answer_is_right(*pair) for pair in pairs) / len(pairs),
    }


def _each(wanted: Sequence[str]) -> list[str]:
    # Answers of which nothing is left, such as "the", count as none, as in the official script of SQuAD 2.0.
    return [answer for answer in map(normalised, wanted) if answer] or [""]


def _shared_f1(given: list[str], wanted: list[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted))
