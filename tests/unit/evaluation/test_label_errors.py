from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data_contracts.errors import InputError
from tasks.evaluation.label_errors import (
    Suspect,
    confident_joint,
    held_out_shares,
    likely_wrong,
    read_suspects,
    suspects,
    write_suspects,
)

# Label 0 has a mean probability of its own of 0.6, label 1 of 0.7; the third row is sure of label 1.
GIVEN = np.array([0, 0, 0, 1, 1])
SHARES = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.3, 0.7]])


def planted(rows: int = 600, labels: int = 4, share: float = 0.05) -> tuple[NDArray[np.float64], ...]:
    """States around a mean for each label, labels of which a share is exchanged, and which these are."""
    random = np.random.default_rng(7)
    truth = np.arange(rows) % labels
    states = random.normal(size=(rows, 6)) + 4 * np.eye(labels, 6)[truth]
    wrong = random.random(rows) < share
    given = np.where(wrong, (truth + random.integers(1, labels, rows)) % labels, truth)
    return states, given, wrong, truth


def test_a_row_counts_as_of_the_label_that_is_surer_than_it_is_on_average() -> None:
    # Of the three rows of label 0, two reach 0.6 and one reaches label 1's 0.7.
    assert confident_joint(GIVEN, SHARES) == pytest.approx(np.array([[2, 1], [0, 2]]))


def test_rows_that_count_for_no_label_have_the_shares_of_those_that_do() -> None:
    # Label 0 is sure from 0.48 on: of its four rows one is, another is sure of label 1, and two are of neither.
    given = np.array([0, 0, 0, 0, 1])
    shares = np.array([[0.9, 0.05, 0.05], [0.1, 0.9, 0.0], [0.46, 0.0, 0.54], [0.46, 0.0, 0.54], [0.2, 0.8, 0.0]])
    found = confident_joint(given, shares)
    assert found == pytest.approx(np.array([[2, 2, 0], [0, 1, 0], [0, 0, 0]]))


def test_the_joint_sums_to_the_rows_of_each_label() -> None:
    states, given, _, _ = planted()
    joint = confident_joint(given.astype(int), held_out_shares(states, given.astype(int), 5))
    assert joint.sum(axis=1) == pytest.approx([*np.bincount(given.astype(int)), 0])


def test_the_row_that_speaks_for_the_other_label_is_suspected() -> None:
    assert likely_wrong(GIVEN, SHARES).tolist() == [False, False, True, False, False]
    (found,) = suspects(list("abcde"), ["text"] * 5, GIVEN, SHARES, ("refund", "praise"))
    assert found == Suspect("c", "text", "refund", "praise", 0.1, 0.9)


def test_no_row_is_suspected_whose_own_label_is_the_likeliest() -> None:
    # Two rows of label 0 are counted as of label 1, but only one of its four rows is not most likely of label 0.
    given = np.array([0, 0, 0, 0, 1])
    unsure = [0.46, 0.27, 0.27]
    shares = np.array([[0.9, 0.05, 0.05], [0.1, 0.9, 0.0], unsure, unsure, [0.2, 0.8, 0.0]])
    assert confident_joint(given, shares)[0, 1] == pytest.approx(2)
    assert likely_wrong(given, shares).tolist() == [False, True, False, False, False]


def test_most_exchanged_labels_are_found_and_little_else_and_what_they_were_is_suggested() -> None:
    states, given, wrong, truth = planted()
    shares = held_out_shares(states, given, 4)
    found = likely_wrong(given, shares)
    assert (found & wrong).sum() / found.sum() > 0.8
    assert (found & wrong).sum() / wrong.sum() > 0.7
    right = {str(row): str(label) for row, label in enumerate(truth)}
    listed = suspects([str(row) for row in range(600)], [""] * 600, given, shares, "0123")
    hits = [suspect for suspect in listed if wrong[int(suspect.id)]]
    assert sum(suspect.suggested == right[suspect.id] for suspect in hits) / len(hits) > 0.9


def test_the_worst_is_listed_first() -> None:
    states, given, wrong, _ = planted()
    listed = suspects([str(row) for row in range(600)], [""] * 600, given, held_out_shares(states, given, 4), "0123")
    gaps = [suspect.suggested_probability - suspect.given_probability for suspect in listed]
    assert gaps == sorted(gaps, reverse=True)
    assert all(wrong[int(suspect.id)] for suspect in listed[:10])


def test_clean_labels_that_are_told_apart_well_leave_few_suspects() -> None:
    states, _, _, truth = planted()
    assert likely_wrong(truth, held_out_shares(states, truth, 4)).mean() < 0.02


def test_probabilities_are_by_models_that_have_not_seen_the_row() -> None:
    # States say nothing, and enough of them fit any labels: a model that had seen the rows would be right on them.
    random = np.random.default_rng(0)
    states, given = random.normal(size=(60, 200)), np.arange(60) % 2
    shares = held_out_shares(states, given, 2)
    assert shares.sum(axis=1) == pytest.approx(np.ones(60))
    assert 0.25 < (shares.argmax(axis=1) == given).mean() < 0.75


def test_a_label_of_one_row_is_not_suspected_and_one_of_two_rows_is_judged() -> None:
    states, given, _, _ = planted(labels=3)
    rare = np.concatenate([given, [3, 4, 4]])
    shares = held_out_shares(np.concatenate([states, states[:3]]), rare, 5)
    assert shares[-3].tolist() == [0, 0, 0, 1, 0]
    assert 0 < shares[-1, 4] < 1
    assert not likely_wrong(rare, shares)[-3]


@pytest.mark.parametrize("given", [[0, 1], [0] * 9, [0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 1]])
def test_rows_that_no_model_can_be_fitted_on_are_refused(given: list[int]) -> None:
    with pytest.raises(InputError, match=f"looked for in {len(given)} rows"):
        held_out_shares(np.zeros((len(given), 2)), np.array(given), 6)


def test_suspects_come_back_from_disk_as_they_were(tmp_path: Path) -> None:
    found = {"intent": [Suspect("a", "Größe?", "refund", "praise", 0.1, 0.9)], "mood": []}
    write_suspects(tmp_path / "suspects.json", found)
    assert read_suspects(tmp_path / "suspects.json") == found
