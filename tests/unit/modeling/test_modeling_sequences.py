"""The best sequence of tags, against trying every one."""

import itertools

import numpy as np
import pytest

from tasks.modeling.sequences import IMPOSSIBLE, best_sequences, legal_transitions, tag_associations

TAGS = ("O", "B-X", "I-X", "B-Y", "I-Y")


def test_it_is_the_best_of_all_sequences() -> None:
    random = np.random.default_rng(0)
    counts = [5, 0, 3, 1, 4] * 4  # more than are taken at once
    for _ in range(5):
        scores, transitions = random.normal(size=(20, 5, 3)), random.normal(size=(4, 3))
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


def test_a_sequence_of_words_that_are_certain_is_certain() -> None:
    scores = np.full((1, 40, 5), -1e4)
    scores[0, :, 0] = 0.0
    scores[0, 20] = [-900, -0.5, -1e4, -0.9, -1e4]
    ((path, share),) = best_sequences(scores, legal_transitions(TAGS), [40])
    assert path == [0] * 20 + [1] + [0] * 19
    assert share == pytest.approx(np.exp(-0.5) / (np.exp(-0.5) + np.exp(-0.9)))
    for others in (-1e4, -2e3):  # of which none is likely enough to count
        scores[0, 20] = [0, others, others, others, others]
        assert best_sequences(scores, legal_transitions(TAGS), [40]) == [([0] * 40, 1.0)]


def test_only_what_continues_an_entity_of_its_kind_is_inside_of_one() -> None:
    allowed = legal_transitions(TAGS) == 0
    assert allowed.shape == (6, 5)
    assert allowed[:, [0, 1, 3]].all()
    assert allowed[:, 2].tolist() == [False, True, True, False, False, False]
    assert set(np.unique(legal_transitions(TAGS))) == {0.0, IMPOSSIBLE}


def test_associations_are_how_much_likelier_a_tag_is_after_another() -> None:
    found = np.exp(tag_associations(("O", "B-X"), [["O", "B-X", "O"], ["O"], []]))
    share = np.array([3.1, 1.1]) / 4.2
    assert found[0] == pytest.approx([1 / 2, (1 / share[1] + 1) / 2])
    assert found[1] == pytest.approx([(1 / share[0] + 1) / 2, 1 / 2])
    assert found[2] == pytest.approx([(2 / share[0] + 1) / 3, 1 / 3])
    # Of each tag before, the shares that this makes are shares.
    assert found @ share == pytest.approx([1, 1, 1])


def test_tags_that_follow_by_chance_are_associated_with_none() -> None:
    random = np.random.default_rng(0)
    drawn = random.choice(["O", "B-X", "B-Y"], p=[0.9, 0.09, 0.01], size=(50_000, 4))
    assert tag_associations(("O", "B-X", "B-Y"), drawn.tolist())[:2] == pytest.approx(0, abs=0.15)


def test_a_tag_that_training_lacks_is_after_none_likelier_than_by_itself() -> None:
    found = tag_associations(("O", "B-X", "B-Y"), [["O", "B-X", "O"]])
    assert (found[:, 2] <= 0).all()
    assert found[2] == pytest.approx(0)
