"""The best sequence of tags: the Viterbi algorithm (Viterbi 1967, IEEE Transactions on Information Theory 13)."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

IMPOSSIBLE = -1e4
UNSEEN = 0.1
# So that the sums of all steps from tag to tag stay in the cache of a processor.
ROWS_AT_ONCE = 16


def best_sequences(
    scores: NDArray[np.float64], transitions: NDArray[np.float64], counts: Sequence[int]
) -> list[tuple[list[int], float]]:
    """Of each row's first `counts` words, the tags whose scores and transitions have the largest sum, and their share.

    `scores` is (rows, words, tags). `transitions` is (tags + 1, tags): from the tag of a row to the tag of a column,
    and in the last row to the first tag of a text. The share is that of exp(sum) in the total over all sequences, by
    the forward algorithm: the sequence's probability in a linear chain (Lafferty et al. 2001, ICML).
    """
    found: list[tuple[list[int], float]] = []
    for start in range(0, len(counts), ROWS_AT_ONCE):
        own = counts[start : start + ROWS_AT_ONCE]
        found += _best_of(scores[start : start + ROWS_AT_ONCE, : max(own)], transitions, own)
    return found


def _best_of(
    scores: NDArray[np.float64], transitions: NDArray[np.float64], counts: Sequence[int]
) -> list[tuple[list[int], float]]:
    _, words, tags = scores.shape
    if not words:
        return [([], 1.0) for _ in counts]
    between, likelihoods = transitions[:tags], np.exp(transitions[:tags])
    best = total = scores[:, 0] + transitions[tags]
    sums = [(best, total)]
    for word in range(1, words):
        best = (best[:, :, None] + between).max(axis=1) + scores[:, word]
        highest = total.max(axis=1, keepdims=True)
        # What is 700 below the highest is as good as impossible, and its logarithm minus infinity.
        with np.errstate(divide="ignore"):
            total = np.log(np.exp(total - highest) @ likelihoods) + highest + scores[:, word]
        sums.append((best, total))
    found: list[tuple[list[int], float]] = []
    for row, count in enumerate(counts):
        if not count:
            found.append(([], 1.0))
            continue
        best, total = (of_word[row] for of_word in sums[count - 1])
        path = [int(best.argmax())]
        for word in range(count - 2, -1, -1):
            path.append(int((sums[word][0][row] + between[:, path[-1]]).argmax()))
        share = float(np.exp(best.max() - np.logaddexp.reduce(total)))
        # Where all but one are as good as impossible, rounding may leave it a little over 1.
        found.append((path[::-1], min(1.0, share)))
    return found


def legal_transitions(tags: Sequence[str]) -> NDArray[np.float64]:
    """(tags + 1, tags): 0 where BIO allows the step, and what no sequence overcomes where I- continues nothing."""
    steps = [
        [IMPOSSIBLE if tag.startswith("I-") and before[1:] != tag[1:] else 0.0 for tag in tags]
        for before in (*tags, "O")
    ]
    return np.array(steps)


def tag_associations(tags: Sequence[str], sequences: Iterable[Sequence[str]]) -> NDArray[np.float64]:
    """(tags + 1, tags): log p(tag | tag before) - log p(tag), and in the last row that of the first tag of a text.

    That is their pointwise mutual information (Church and Hanks 1990, Computational Linguistics 16, 22-29). Each tag is
    followed by one more, shared out as tags are in all, so that what is rare after a rare tag is no surprise (MacKay
    and Peto 1995, Natural Language Engineering 1, 289-308).
    """
    position = {tag: number for number, tag in enumerate(tags)}
    counts = np.zeros((len(tags) + 1, len(tags)))
    for sequence in sequences:
        before = len(tags)
        for tag in sequence:
            counts[before, position[tag]] += 1
            before = position[tag]
    shares = counts.sum(axis=0) + UNSEEN
    shares /= shares.sum()
    return np.asarray(np.log((counts / shares + 1) / (counts.sum(axis=1, keepdims=True) + 1)))
