"""Ids of rows, and a sample of those that were not made from others."""

from tasks.modeling.row_ids import id_of_made, sample_own


def test_a_row_that_was_made_is_named_by_its_own_row_and_how() -> None:
    assert id_of_made("r7", "typing1") == "r7~typing1"


def test_a_sample_is_of_rows_that_were_not_made_in_their_order_and_always_the_same() -> None:
    ids = [name for row in range(1000) for name in (f"r{row}", id_of_made(f"r{row}", "oversample1"))]
    drawn = sample_own(ids, 100, seed=1)
    assert len(set(drawn.tolist())) == 100
    assert drawn.tolist() == sorted(drawn.tolist()) == sample_own(ids, 100, seed=1).tolist()
    assert not any("~" in ids[at] for at in drawn)
    assert drawn.tolist() != sample_own(ids, 100, seed=2).tolist()


def test_few_rows_are_all_taken() -> None:
    assert sample_own(["a", "a~typing1", "b"], 5, seed=1).tolist() == [0, 2]
