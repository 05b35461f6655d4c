"""The best sequence of tags, against trying every one."""

import itertools

import numpy as np
import pytest

from tasks.modeling.sequences import IMPOSSIBLE, best_sequences, legal_transitions, tag_bigrams

TAGS = ("O", "B-X", "I-X", "B-Y", "I-Y")


def test_it_is_the_best_of_all_sequences() -> None:
    random = np.random.default_rng(0)
    counts = [5, 0, 3, 1, 4]
    for _ in range(20):
        scores, transitions = random.normal(size=(5, 5, 3)), random.normal(size=(4, 3))
        for row, (found, share) in enumerate(best_sequences(scores, transitions, counts)):
            sums = {
                path: sum(scores[row, word, tag] for word, tag in enumerate(path))
                + sum(transitions[step] for step in zip((3, *path), path, strict=False))
                for path in itertools.product(range(3), repeat=counts[row])
            }
            assert tuple(found) == max(sums, key=lambda path: sums[path])
            assert share == pytest.approx(np.exp(sums[tuple(found)]) / np.exp(list(sums.values())).sum())


def test_what_no_sequence_may_do_none_does() -> None:
    random = np.random.default_rng(1)
    paths = best_sequences(random.normal(scale=30, size=(50, 12, 5)), legal_transitions(TAGS), [12] * 50)
    for path, _ in paths:
        for before, tag in zip(["O", *(TAGS[at] for at in path)], [TAGS[at] for at in path], strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:]


def test_only_what_continues_an_entity_of_its_kind_is_inside_of_one() -> None:
    allowed = legal_transitions(TAGS) == 0
    assert allowed.shape == (6, 5)
    assert allowed[:, [0, 1, 3]].all()
    assert allowed[:, 2].tolist() == [False, True, True, False, False, False]
    assert set(np.unique(legal_transitions(TAGS))) == {0.0, IMPOSSIBLE}


def test_bigrams_are_smoothed_log_shares_of_what_follows() -> None:
    found = tag_bigrams(("O", "B-X"), [["O", "B-X", "O"], ["O"], []])
    assert np.exp(found).sum(axis=1) == pytest.approx([1, 1, 1])
    assert np.exp(found[0]) == pytest.approx([0.1 / 1.2, 1.1 / 1.2])
    assert np.exp(found[1]) == pytest.approx([1.1 / 1.2, 0.1 / 1.2])
    assert np.exp(found[2]) == pytest.approx([2.1 / 2.2, 0.1 / 2.2])
