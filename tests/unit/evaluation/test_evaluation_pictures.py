import warnings

import pytest

from tasks.evaluation.pictures import CONFUSED_LABELS, confused_labels, confusion, confusion_caption

PNG = b"\x89PNG\r\n\x1a\n"


def drawn(labels: list[str]) -> bytes:
    """The labels taken for each other, by a matplotlib whose warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return confusion(labels, labels, labels[::-1])


@pytest.mark.parametrize("labels", [["$_$", "other"], ["under $10_", "$10 to $50"], ["x^2$", "$"]])
def test_labels_that_hold_dollars_are_no_formulas(labels: list[str]) -> None:
    assert drawn(labels).startswith(PNG)


def test_a_label_with_two_dollars_is_drawn_as_it_is_written() -> None:
    # As a formula, the spaces between the dollars would be left out.
    assert drawn(["$a  b$", "c"]) != drawn(["$ab$", "c"])


@pytest.mark.parametrize("labels", [["W" * 300, "M" * 300], ["two\nlines " * 9, "one"], ["W" * 30] * CONFUSED_LABELS])
def test_names_as_long_as_they_may_be_leave_room_for_the_picture(labels: list[str]) -> None:
    assert drawn(labels).startswith(PNG)


def test_of_many_labels_those_are_shown_that_are_confused() -> None:
    many = [f"label {number}" for number in range(CONFUSED_LABELS + 1)]
    assert confused_labels(many, many, many) == []
    assert confused_labels(many, many, [many[1], *many[1:]]) == many[:2]
    assert confused_labels(many[:-1], many[:-1], many[:-1]) == many[:-1]


def test_a_caption_says_that_labels_are_left_out() -> None:
    assert confusion_caption("mood", ["bad", "坏"], ["bad", "坏"]) == "mood, where no. 2 is 坏"
    said = "mood, the 2 of 150 labels that are confused most, where no. 2 is 坏"
    assert confusion_caption("mood", ["bad", "坏"], ["bad", "坏"] * 75) == said


def test_labels_that_the_font_cannot_write_are_drawn_as_numbers() -> None:
    # A letter that is lacking would be a warning, and so an error.
    assert drawn(["退款", "refund", "धनवापसी", "возврат", "एक\nदो", "W" * 31]).startswith(PNG)
