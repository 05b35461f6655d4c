import warnings

import pytest

from tasks.evaluation.pictures import CONFUSED_LABELS, confusion

PNG = b"\x89PNG\r\n\x1a\n"


def drawn(labels: list[str]) -> bytes:
    """The labels taken for each other, by a matplotlib whose warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = confusion(labels, labels, labels[::-1])
    assert found is not None
    return found


@pytest.mark.parametrize("labels", [["$_$", "other"], ["under $10_", "$10 to $50"], ["x^2$", "$"]])
def test_labels_that_hold_dollars_are_no_formulas(labels: list[str]) -> None:
    assert drawn(labels).startswith(PNG)


def test_a_label_with_two_dollars_is_drawn_as_it_is_written() -> None:
    # As a formula, the spaces between the dollars would be left out.
    assert drawn(["$a  b$", "c"]) != drawn(["$ab$", "c"])


@pytest.mark.parametrize("labels", [["W" * 300, "M" * 300], ["two\nlines " * 9, "one"], ["W" * 30] * CONFUSED_LABELS])
def test_names_as_long_as_they_may_be_leave_room_for_the_picture(labels: list[str]) -> None:
    assert drawn(labels).startswith(PNG)


def test_of_many_labels_none_of_which_is_confused_there_is_no_picture() -> None:
    many = [f"label {number}" for number in range(CONFUSED_LABELS + 1)]
    assert confusion(many, many, many) is None
    assert confusion(many, many, [many[1], *many[1:]]) is not None
    assert confusion(many[:-1], many[:-1], many[:-1]) is not None
