"""Words that a window uses more than the reference does, as log-odds with an informative prior.

Monroe, Colaresi and Quinn 2008, "Fightin' Words" (Political Analysis 16:372-403), sections 3.3.1 and 3.4.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.modeling.words import words_of

CHANCE = 0.05
LEAST_TEXTS = 5


@dataclass(frozen=True)
class RisenWord:
    """A word, the share of texts that hold it, and by how many standard deviations its log-odds rose."""

    word: str
    window: float
    reference: float
    z: float


def risen_words(window: Sequence[str], reference: Sequence[str], *, most: int = 15) -> list[RisenWord]:
    """The words that rose, by z; empty where none rose by more than chance explains.

    A text counts a word once, so a single long text makes no word rise. The prior says that words are used as
    in all texts together, and is worth as many words as the smaller side has: with a weaker one, a word that the
    reference lacks hardly counts. Words of fewer than LEAST_TEXTS texts are not compared. A share of CHANCE of those
    listed is there by chance (Benjamini and Hochberg 1995); of texts that are alike, so is one list in 1 / CHANCE.
    """
    from scipy.stats import norm

    found, before = _texts_that_hold(window), _texts_that_hold(reference)
    words = sorted(word for word in found if found[word] + before[word] >= LEAST_TEXTS)
    if not words or not before:
        return []
    counts = [np.array([of[word] for word in words]) for of in (found, before)]
    sizes = found.total(), before.total()
    scores = log_odds_scores(counts[0], counts[1], sizes, prior_words=float(min(sizes)))
    order = np.argsort(-scores, kind="stable")
    ranks = np.arange(1, len(words) + 1)
    beaten = np.flatnonzero(norm.sf(scores[order]) <= CHANCE * ranks / len(words))
    risen = order[: min(beaten[-1] + 1, most)] if len(beaten) else order[:0]
    return [
        RisenWord(words[at], found[words[at]] / len(window), before[words[at]] / len(reference), float(scores[at]))
        for at in risen
    ]


def log_odds_scores(
    window: NDArray[np.int64], reference: NDArray[np.int64], sizes: tuple[int, int], *, prior_words: float
) -> NDArray[np.float64]:
    """(words,) z-scores of the difference in log-odds, from (words,) counts in each, and of how many words they are."""
    prior = prior_words * (window + reference) / sum(sizes)

    def odds(counts: NDArray[np.int64], size: int) -> NDArray[np.float64]:
        return np.log((counts + prior) / (size + prior_words - counts - prior))

    # A word that is all there is leaves nothing beside it; its odds say nothing.
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = odds(window, sizes[0]) - odds(reference, sizes[1])
        deviation = np.sqrt(1 / (window + prior) + 1 / (reference + prior))
        return np.nan_to_num(difference / deviation, nan=0.0, posinf=0.0, neginf=0.0)


def _texts_that_hold(texts: Sequence[str]) -> Counter[str]:
    return Counter(word for text in texts for word in {of.lower() for of in words_of(text) if of[0].isalnum()})
